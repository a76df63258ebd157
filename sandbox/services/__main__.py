"""Starts one of the services: `python -m sandbox.services gateway|discovery|sona|sync|auth`."""

import importlib
import os
import sys
import threading

_CLASSES = {
    "gateway": ("sandbox.services.gateway.app", "Gateway"),
    "discovery": ("sandbox.services.discovery.app", "Discovery"),
    "sona": ("sandbox.services.sona", "Sona"),
    "sync": ("sandbox.services.sync.app", "Sync"),
    "auth": ("sandbox.services.auth", "Auth"),
}
_START_NICENESS = 15


def _import(module: str) -> None:
    # On Linux niceness belongs to a thread: a starting pod must not take the processor from those that serve, and needs no
    # right to be itself again afterwards. It stands in for the CPU shares that a container would have.
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _START_NICENESS)
    importlib.import_module(module)


def main() -> None:
    name = sys.argv[1] if len(sys.argv) == 2 else ""
    if name not in _CLASSES:
        sys.exit(f"name one service: {', '.join(_CLASSES)}")
    module, kind = _CLASSES[name]
    importing = threading.Thread(target=_import, args=(module,))
    importing.start()
    importing.join()
    # Imported again where that failed, for its error.
    service = importlib.import_module(module)
    importlib.import_module("sandbox.services.service").main(getattr(service, kind))


if __name__ == "__main__":
    main()
