"""The faults on the time axis of the picture: held from I to H, recovering until R."""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.report.series import Axis
from orchestrator.report.words import printable
from steady_state.judge import Judgement
from steady_state.windows import Window

NAME_SHARE = 0.13
"""How much of the axis a fault's name takes, at least."""


@dataclass(frozen=True, slots=True)
class Mark:
    """One injected fault in minutes of the hour; `row` keeps names apart where faults lie close."""

    name: str
    injected: float
    healed: float
    recovered: float
    row: int


def marks(judgement: Judgement, axis: Axis) -> list[Mark]:
    """All injected faults, in order. What was not seen to end lasts to the end of its window."""
    found: list[Mark] = []
    free: list[float] = []
    width = NAME_SHARE * axis.length_s * axis.minutes_per_s
    for window in judgement.windows:
        start = axis.x(window.injected)
        row = next((place for place, until in enumerate(free) if until <= start), len(free))
        mark = _mark(window, axis, row)
        free[row : row + 1] = [max(start + width, mark.recovered)]
        found.append(mark)
    return found


def rows(found: list[Mark]) -> int:
    return max((mark.row + 1 for mark in found), default=1)


def _mark(window: Window, axis: Axis, row: int) -> Mark:
    healed = window.end if window.fault.healed is None else window.fault.healed
    recovered = window.recovery.recovered if window.recovery.recovered is not None else window.recovery.until
    return Mark(printable(window.name), axis.x(window.injected), axis.x(healed), axis.x(max(healed, recovered)), row)
