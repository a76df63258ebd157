"""Placebos: faults that never happened, written into a recording in which nothing was broken.

Whatever the judge then holds against the platform, no fault did: it is a false alarm.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import accumulate

from steady_state.fault_history import read_faults
from steady_state.history import History
from steady_state.instants import Instant
from steady_state.judged_plan import BreakerRule, JudgedFault, JudgedPlan
from steady_state.observations import FaultLine
from steady_state.recording import Recording

ROOM_S = 28.0
"""What a window has beyond its hold: the shortest that the hour has at scale 15 (a fault every 40 s, held for 12 s)."""
FIRST_AFTER_S = 12.0
"""Earliest first placebo: what comes before is the baseline, against which medians, tries and 4xx are held."""
INJECTED_AFTER_S, FELT_AFTER_S, ONE_SHOT_S, HEALED_AFTER_S = 0.02, 0.5, 0.6, 0.1
"""A write that was acknowledged, felt and read back in good time, so that nothing spoils the cells."""
LEFT_OUT: Mapping[str, str] = {
    "refill": "a placebo empties no cache",
    "validity": "a placebo does nothing that could be proved",
}

Draw = Callable[[], float]
"""Random numbers in [0, 1), from outside: the judge has none of its own."""


class NoRoomError(Exception):
    """The timeline is too short for so many placebos; the text says by how much."""


def placebo_history(watched: History, faults: Sequence[JudgedFault], draw: Draw) -> History:
    """The watched history with a placebo of each fault in it. Traffic and samples are shared with it, not read again.

    Raises NoRoomError.
    """
    for name in _columns():
        getattr(watched, name)
    placebo = copy.copy(watched)
    # How many replicas there should be is told by the baseline, which the first fault ends.
    vars(placebo).pop("ready", None)
    placebo.recording = placebo_recording(watched.recording, faults, draw, watched.timeline)
    placebo.plan = placebo.recording.plan
    placebo.faults = read_faults(placebo.recording, placebo.timeline)
    return placebo


def placebo_recording(watched: Recording, faults: Sequence[JudgedFault], draw: Draw, timeline: Instant) -> Recording:
    """The watched recording with another plan and the lines of its placebos. Raises NoRoomError."""
    planned = placebo_faults(watched.plan, faults, draw, counted=bool(watched.calls))
    lines = [line for fault in planned for line in _life(fault, timeline)]
    return replace(watched, plan=watched.plan.model_copy(update={"faults": planned}), faults=lines)


def placebo_faults(plan: JudgedPlan, faults: Sequence[JudgedFault], draw: Draw, *, counted: bool = True) -> list[JudgedFault]:
    """The faults in a drawn order at drawn instants, each with its hold and ROOM_S to itself. Raises NoRoomError."""
    ordered = [fault for _, fault in sorted(((draw(), fault) for fault in faults), key=lambda pair: pair[0])]
    rooms = [fault.hold_s + ROOM_S for fault in ordered]
    slack = plan.length_s - FIRST_AFTER_S - sum(rooms)
    if slack < 0:
        raise NoRoomError(f"{len(ordered)} placebos need {-slack:.1f} s more than the {plan.length_s:g} s of the timeline")
    moved = sorted(draw() * slack for _ in ordered)
    earliest = accumulate(rooms, initial=FIRST_AFTER_S)
    return [_placebo(plan, fault, start + more, counted) for fault, start, more in zip(ordered, earliest, moved, strict=False)]


def _placebo(plan: JudgedPlan, fault: JudgedFault, at_s: float, counted: bool) -> JudgedFault:
    """The fault at its instant, and nothing that a fault would excuse or demand."""
    left_out = dict(LEFT_OUT)
    if plan.sync_route is None:
        left_out["delivery"] = "the target description names no delivery"
    if not counted:
        left_out["amplification"] = "the target does not count its tries"
    rules = [BreakerRule(breaker=rule.breaker, rule="must_stay_closed") for rule in fault.breakers]
    return fault.model_copy(update={"at_s": at_s, "breakers": rules, "fallback_expected": False, "not_applicable": left_out})


def _life(fault: JudgedFault, timeline: Instant) -> list[FaultLine]:
    start = timeline + fault.at_s
    end = start + (fault.hold_s or ONE_SHOT_S)
    return [
        FaultLine(t=start - FIRST_AFTER_S, fault=fault.name, phase="prepared", data={"target": "nothing"}),
        FaultLine(t=start - 1, fault=fault.name, phase="exposure", data={"count": 1, "source": "a placebo"}),
        FaultLine(t=start, fault=fault.name, phase="injecting"),
        FaultLine(t=start + INJECTED_AFTER_S, fault=fault.name, phase="injected"),
        FaultLine(t=start + FELT_AFTER_S, fault=fault.name, phase="proof", data={"grade": "felt", "detail": "a placebo"}),
        FaultLine(t=end, fault=fault.name, phase="healing"),
        FaultLine(t=end + HEALED_AFTER_S, fault=fault.name, phase="healed"),
    ]


def _columns() -> list[str]:
    """What a history computes once from its samples, and what does not hang on the faults."""
    return [name for name, value in vars(History).items() if isinstance(value, cached_property) and name != "ready"]
