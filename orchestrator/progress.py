"""Progress for people: one live line at a terminal, a plain line every ten seconds elsewhere. All of it goes to stderr."""

from __future__ import annotations

import contextlib
import sys
import threading

from rich.console import Console
from rich.status import Status

from orchestrator.durations import in_words
from orchestrator.plan import Plan
from orchestrator.run import Run

PLAIN_PERIOD_S = 10.0
LIVE_PERIOD_S = 0.5


def announce(text: str, *, to_stdout: bool = False) -> None:
    """One message for the person who runs this; results go to stdout, everything else to stderr."""
    stream = sys.stdout if to_stdout else sys.stderr
    # A terminal that was closed must not keep the run from healing and judging.
    with contextlib.suppress(OSError, ValueError):
        stream.write(text + "\n")
        stream.flush()


class Progress:
    """Tells how far the run is, from a thread of its own."""

    def __init__(self, run: Run, plan: Plan) -> None:
        self._run = run
        self._plan = plan
        self._stop = threading.Event()
        self._console = Console(stderr=True)
        self._thread = threading.Thread(target=self._live if self._console.is_terminal else self._plain, name="progress", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(2.0)

    def line(self) -> str:
        """Where the run is: minute of the hour, next fault, load, errors, last event."""
        live = self._run.live
        load = f"{live.due} requests/s, {live.failed} failed" if live.second >= 0 else "no load yet"
        return f"{self._where()} | {load} | {self._run.last_event}"

    def _where(self) -> str:
        if self._run.start is None:
            return "before the timeline"
        passed = self._run.now() - self._run.start
        minute = passed * self._plan.scale_time / 60
        coming = next((fault for fault in self._plan.faults if fault.at_s > passed), None)
        following = (
            f"{coming.name} in {in_words(round(coming.at_s - passed))}"
            if coming
            else f"end in {in_words(max(0, round(self._plan.length_s - passed)))}"
        )
        return f"minute {minute:4.1f} of {self._plan.length_s * self._plan.scale_time / 60:.0f} | next: {following}"

    def _plain(self) -> None:
        announce(self.line())
        while not self._stop.wait(PLAIN_PERIOD_S):
            announce(self.line())

    def _live(self) -> None:
        with Status(self.line(), console=self._console) as status:
            while not self._stop.wait(LIVE_PERIOD_S):
                status.update(self.line())
