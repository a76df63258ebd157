"""A command with a cluster around it: `python -m testbed.trial COMMAND...`, and nothing of the cluster left afterwards.

A cluster that is up already is used and stays up; then nothing is compared. Told to end by SIGTERM or SIGHUP it ends the
cluster, as on Ctrl-C.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from types import FrameType

from testbed import machines
from testbed.__main__ import main as testbed
from testbed.layout import CONTROL, folders
from testbed.traces import traces

USAGE, INTERRUPTED = 2, 130


def main(command: list[str]) -> int:
    """Exit code: the command's, with CLUSTER_KUBECONFIG set; the testbed's when no cluster starts; 130 interrupted, 1 something left."""
    if not command:
        print("usage: python -m testbed.trial COMMAND...", file=sys.stderr)
        return USAGE
    place = folders()
    if machines.first_process(place, CONTROL) is not None:
        return _run(command, str(place.admin))
    if (code := testbed(["build"])) != 0:
        return code
    before = traces()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    try:
        code = testbed(["up"]) or _run(command, str(place.admin))
    except KeyboardInterrupt:
        code = INTERRUPTED
    finally:
        testbed(["down"])
    left = sorted(traces() - before)
    for line in left:
        print(f"left on the machine: {line}", file=sys.stderr)
    print(f"traces left: {len(left)}", flush=True)
    return code or int(bool(left))


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _run(command: list[str], kubeconfig: str) -> int:
    process = subprocess.Popen(command, env={**os.environ, "CLUSTER_KUBECONFIG": kubeconfig})
    try:
        return process.wait()
    except KeyboardInterrupt:
        # By Ctrl-C it was told, too, by a signal to us alone it was not.
        process.terminate()
        raise
    finally:
        process.wait()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
