"""Which dependency goes away how and when: all of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from accuracy.killing.moments import Moment
from accuracy.outages.dependencies import DEPENDENCIES, Dependency

Way = Literal["refused", "black hole"]
WAYS: tuple[Way, ...] = ("refused", "black hole")


@dataclass(frozen=True, slots=True)
class Case:
    """The dependency goes away at the moment and stays away until the run has ended. No moment: before the start."""

    dependency: Dependency
    way: Way
    moment: Moment | None

    def __str__(self) -> str:
        return f"{self.dependency.name} {self.way} at {self.moment or 'the start'}"


def cases(names: frozenset[str] = frozenset()) -> list[Case]:
    """Before the start, in the injection of the fault that needs it, and while a fault is held whose heal does.

    Of these dependencies only, where some are named.
    """
    return [
        Case(one, way, moment)
        for one in DEPENDENCIES
        if not names or one.name in names
        for way in WAYS
        for moment in (None, Moment("injecting", one.injected), Moment("proof", one.held))
    ]
