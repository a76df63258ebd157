"""Which signals in which phase under which Python: every pair of two of them."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from dataclasses import dataclass

from accuracy.killing.moments import JUDGING, Moment

APART_S = 0.25
FIVE = (signal.SIGINT, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGTERM)
SIGNALS: dict[str, tuple[signal.Signals, ...]] = {
    "INT": (signal.SIGINT,),
    "TERM": (signal.SIGTERM,),
    "HUP": (signal.SIGHUP,),
    "USR1": (signal.SIGUSR1,),
    "five in a row": FIVE,
}
PHASES = (
    Moment("preparing"),
    Moment("baseline_check", delay_s=1.0),
    Moment("exposure", "pod-kill"),
    Moment("injecting", "replica-failure"),
    Moment("proof", "pubnub-partition"),
    Moment("healing", "qdrant-latency"),
)
"""Before anything, in the look at the baseline, just before an injection, in one, while all is held, in a heal."""
LATE = (("TERM", Moment("draining")), ("TERM", Moment(JUDGING)), ("five in a row", Moment(JUDGING)))
"""After the end of the timeline, before the verdict; and while the verdict is found and written."""


@dataclass(frozen=True, slots=True)
class Case:
    """These signals, APART_S from each other, at this moment of a run by this interpreter."""

    name: str
    signals: tuple[signal.Signals, ...]
    moment: Moment
    python: str


def cases(pythons: Sequence[str]) -> list[Case]:
    """Every signal in every phase; the interpreters take turns so that each meets every signal and every phase."""
    found = []
    for row, (name, numbers) in enumerate(SIGNALS.items()):
        for column, moment in enumerate(PHASES):
            found.append(Case(name, numbers, moment, pythons[(row + column) % len(pythons)]))
    return [*found, *(Case(name, SIGNALS[name], moment, pythons[row % len(pythons)]) for row, (name, moment) in enumerate(LATE))]
