"""The guardian: a small process that waits until a run lets go of a pipe, and then heals what the run left.

Standard library only, and as little of it as may be: it must stay small and has nothing to say while the run lives. It holds
the lifeline of a sandbox that the run owns (a descriptor that it inherits and never uses), so that there is something to heal.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

from orchestrator.ledger_lines import open_entries

AT_MOST_TRIES = 80
LONGEST_PAUSE_S = 8.0
"""A target that is down is tried for about ten minutes: what was injected must not stay once it is back.

Each try renews the run's lease, which lasts 15 s.
"""
HEAL_WITHIN_S = 120.0
HEARD = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)


def main() -> int:
    """`guardian LEDGER TRIES`: exit 0 when nothing is left, 1 when something is. A run that ends well says goodbye first."""
    ledger, tries = Path(sys.argv[1]), int(sys.argv[2])
    for heard in HEARD:
        signal.signal(heard, signal.SIG_IGN)
    goodbye = b""
    while heard_now := os.read(0, 64):
        goodbye += heard_now
    pause_s = 0.5
    for number in range(tries):
        # A run that died without a receipt may have left its lease.
        if not _open(ledger) and (goodbye or number):
            return 0
        if number:
            threading.Event().wait(pause_s)
            pause_s = min(LONGEST_PAUSE_S, 2 * pause_s)
        _heal(ledger.parent)
    return 1 if _open(ledger) else 0


def _open(ledger: Path) -> bool:
    """Whether a receipt is open."""
    return ledger.exists() and bool(open_entries(ledger.read_text(encoding="utf-8", errors="replace")))


def _heal(run: Path) -> None:
    with (run / "guardian.log").open("ab") as log:
        command = [sys.executable, "-m", "orchestrator", "heal", str(run)]
        # One that hangs is killed, and the next try begins.
        with contextlib.suppress(subprocess.TimeoutExpired):
            subprocess.run(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=False, timeout=HEAL_WITHIN_S)


if __name__ == "__main__":
    sys.exit(main())
