"""A command with a cluster around it: `python -m testbed.trial COMMAND...`, and nothing of the cluster left afterwards.

A cluster that is up already is used and stays up; then nothing is compared.
"""

from __future__ import annotations

import os
import subprocess
import sys

from testbed import machines
from testbed.__main__ import main as testbed
from testbed.layout import CONTROL, folders
from testbed.traces import traces

USAGE = 2


def main(command: list[str]) -> int:
    """Exit code: the command's, with CLUSTER_KUBECONFIG set; the testbed's when no cluster starts; 1 when something was left."""
    if not command:
        print("usage: python -m testbed.trial COMMAND...", file=sys.stderr)
        return USAGE
    place = folders()
    if machines.first_process(place, CONTROL) is not None:
        return _run(command, str(place.admin))
    if (code := testbed(["build"])) != 0:
        return code
    before = traces()
    try:
        code = testbed(["up"]) or _run(command, str(place.admin))
    finally:
        testbed(["down"])
    left = sorted(traces() - before)
    for line in left:
        print(f"left on the machine: {line}", file=sys.stderr)
    print(f"traces left: {len(left)}", flush=True)
    return code or int(bool(left))


def _run(command: list[str], kubeconfig: str) -> int:
    return subprocess.run(command, env={**os.environ, "CLUSTER_KUBECONFIG": kubeconfig}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
