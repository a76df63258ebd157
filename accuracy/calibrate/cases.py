"""The cases: what is scripted on each route or breaker, and what is therefore true."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random

from accuracy.calibrate.timetable import Action, BreakerStep, Phase, State
from steady_state.verdict import Verdict

LENGTHS_S = (0.2, 0.5, 1.0, 1.1, 5.0, 30.0, 119.0, 121.0)
"""Short ones lie on both sides of the 1 s of `zero_downtime`, long ones on both sides of the 120 s of `recovery_time`."""
BETWEEN_S = (0.73, 1.26)
"""Outages only: no multiple of the outside probe's 0.1 s, which is also the last digit of a downtime."""
RATE_PER_S = 23.0
"""Load of each route. A downtime is told to about 1 / rate: on a route with less load it is told less well."""
STEADY = "steady"
"""The route that nothing happens to; breakers' cases are judged with it."""
DOWNTIME_LIMIT_S, RECOVERY_LIMIT_S, CLOSES_WITHIN_S = 1.0, 120.0, 15.0
"""Source: design 6; the third is what the breakers' rule says."""
FIRST_AT_S = 12.0
"""A baseline of this length comes before every case."""
SPREAD_S = 60.0
"""Short cases begin within this long, so that not all of them happen at once."""
LONG_S = 30.0
HOLD_S = (2.0, 2.1)
"""Cases of LONG_S and more are faults held for about this long, from which the route recovers `length` later; others are one-shot."""
AFTER_S = 25.0
"""Judged on for this long: `error_rate_after` needs 400 requests, the settled stretch 10 s."""
SETTLED_S = 11.5
"""Longer than half a second of errors and the settled stretch of 10 s together."""
_SEED = 5


@dataclass(frozen=True, slots=True)
class Truth:
    """What the judge should find. Seconds; `transitions` as (seconds from minute 0, state)."""

    downtime_s: float
    recovery_s: float
    verdicts: Mapping[str, Verdict]
    transitions: tuple[tuple[float, State], ...] = ()
    by_breaker: bool = False
    """Recovery ends with a breaker's closing: its error is that of a transition."""


@dataclass(frozen=True, slots=True)
class Case:
    """One fault: I is `at_s` from minute 0, H is `hold_s` later (a one-shot fault has none)."""

    name: str
    at_s: float
    truth: Truth
    hold_s: float = 0.0
    phases: tuple[Phase, ...] = ()
    steps: tuple[BreakerStep, ...] = ()
    fallback_expected: bool = False
    may_open: bool = False
    own_counter: bool = False
    """The breaker is read from a health document with a counter of changes; otherwise from a metric."""

    @property
    def route(self) -> str:
        return self.name if self.phases else STEADY

    @property
    def healed_s(self) -> float:
        """H, seconds from minute 0."""
        return self.at_s + self.hold_s

    @property
    def edges_s(self) -> tuple[float, ...]:
        """The instants at which the script changes something."""
        edges = [self.at_s, *(edge for phase in self.phases for edge in (phase.start_s, phase.end_s)), *(step.at_s for step in self.steps)]
        return tuple(sorted(set(edges)))

    @property
    def end_s(self) -> float:
        """The end of the case's window: after the last edge, with room for everything after recovery."""
        return max(self.healed_s + self.truth.recovery_s + AFTER_S, self.edges_s[-1] + 3.0)


def all_cases() -> list[Case]:
    """Every case, by kind and length."""
    outages: tuple[Action, ...] = ("error", "reset", "eof", "hang")
    cases = [_outage(action, length_s) for action in outages for length_s in (*LENGTHS_S, *BETWEEN_S)]
    cases += [_slow(length_s) for length_s in LENGTHS_S]
    cases += [_breaker(length_s) for length_s in LENGTHS_S]
    cases += [_burst("burst-4-percent", every=23), _burst("burst-6-percent", every=16)]
    cases += [_afterwards("after-one-percent", every=100), _afterwards("after-one-in-300", every=300)]
    return [*cases, _degraded("stale"), _degraded("fallback"), _nothing()]


def _verdicts(downtime_s: float, recovery_s: float, **more: Verdict) -> dict[str, Verdict]:
    return {
        "zero_downtime": Verdict.FAIL if downtime_s >= DOWNTIME_LIMIT_S else Verdict.PASS,
        "recovery_time": Verdict.FAIL if recovery_s > RECOVERY_LIMIT_S else Verdict.PASS,
        **more,
    }


def _hold(name: str, length_s: float) -> float:
    """How long the case's fault is held, drawn by its name: the downtime is then no multiple of its last digit."""
    return round(Random(f"{_SEED}/{name}/hold").uniform(*HOLD_S), 4) if length_s >= LONG_S else 0.0


def _outage(action: Action, length_s: float) -> Case:
    """Nothing is served from I until `length_s` after H."""
    name = f"{action}-{length_s:g}s"
    at_s, hold_s = _at(name, length_s), _hold(name, length_s)
    lasts_s = hold_s + length_s
    truth = Truth(lasts_s, length_s, _verdicts(lasts_s, length_s))
    return Case(name, at_s, truth, hold_s, phases=(Phase(start_s=at_s, end_s=at_s + lasts_s, action=action),))


def _slow(length_s: float) -> Case:
    """Every answer is served, above the route's maximum, from I until `length_s` after H."""
    name = f"slow-{length_s:g}s"
    at_s, hold_s = _at(name, length_s), _hold(name, length_s)
    truth = Truth(0.0, length_s, _verdicts(0.0, length_s))
    return Case(name, at_s, truth, hold_s, phases=(Phase(start_s=at_s, end_s=at_s + hold_s + length_s, action="slow"),))


def _breaker(length_s: float) -> Case:
    """Open from I, half-open for the last half second of longer ones, closed `length_s` after H.

    The shortest is no longer than the sampler's period: its state may be missed, its own counter may not.
    """
    name = f"breaker-{length_s:g}s"
    at_s, hold_s = _at(name, length_s), _hold(name, length_s)
    closed_s = at_s + hold_s + length_s
    steps = [BreakerStep(at_s=at_s, state="open"), BreakerStep(at_s=closed_s, state="closed")]
    if length_s > 1:
        steps.insert(1, BreakerStep(at_s=closed_s - 0.5, state="half_open"))
    seen = length_s > LENGTHS_S[0]
    verdict = Verdict.PASS if seen and length_s <= CLOSES_WITHIN_S else Verdict.FAIL
    truth = Truth(
        downtime_s=0.0,
        recovery_s=length_s,
        verdicts=_verdicts(0.0, length_s, breakers=verdict) if seen else {"breakers": verdict},
        transitions=tuple((step.at_s, step.state) for step in steps) if seen else (),
        by_breaker=True,
    )
    return Case(name, at_s, truth, hold_s, steps=tuple(steps), may_open=seen, own_counter=not seen or length_s in (1.0, 5.0, 119.0))


def _burst(name: str, *, every: int) -> Case:
    """One of `every` requests of the load fails for the 30 s that the fault is held, on one side of the 5 %."""
    at_s = _at(name, 1.0)
    verdict = Verdict.FAIL if 1 / every >= 0.05 else Verdict.PASS
    truth = Truth(0.0, 0.0, _verdicts(0.0, 0.0, error_rate_during=verdict))
    return Case(name, at_s, truth, 30.0, phases=_pulses(at_s, at_s + 30.0, every=every))


def _afterwards(name: str, *, every: int) -> Case:
    """Half a second of errors, a settled stretch, then one of `every` requests of the load fails: on one side of the 0.5 %."""
    at_s = _at(name, 1.0)
    verdict = Verdict.FAIL if 1 / every >= 0.005 else Verdict.PASS
    truth = Truth(0.5, 0.5, _verdicts(0.5, 0.5, error_rate_after=verdict))
    first = Phase(start_s=at_s, end_s=at_s + 0.5, action="error")
    return Case(name, at_s, truth, phases=(first, *_pulses(at_s + SETTLED_S, at_s + 55.0, every=every)))


def _degraded(action: Action) -> Case:
    """Every answer is degraded for the 10 s that the fault is held, on one side of the route's limit of age."""
    at_s = _at(action, 1.0)
    verdict = Verdict.FAIL if action == "stale" else Verdict.PASS
    truth = Truth(0.0, 0.0, _verdicts(0.0, 0.0, degradation=verdict))
    phases = (Phase(start_s=at_s, end_s=at_s + 10.0, action=action),)
    return Case(action, at_s, truth, 10.0, phases=phases, fallback_expected=action == "fallback")


def _nothing() -> Case:
    """A fault that the platform does not feel."""
    quiet = {"error_rate_during": Verdict.PASS, "error_rate_after": Verdict.PASS, "degradation": Verdict.PASS}
    return Case("nothing", _at("nothing", 1.0), Truth(0.0, 0.0, _verdicts(0.0, 0.0, **quiet)))


def _pulses(start_s: float, end_s: float, *, every: int) -> tuple[Phase, ...]:
    """Pulses as long as the time between two requests of the load, one in the time of `every` requests."""
    width_s = 1 / RATE_PER_S
    count = int((end_s - start_s) / (every * width_s))
    starts = [start_s + number * every * width_s for number in range(count)]
    return tuple(Phase(start_s=at_s, end_s=at_s + width_s, action="error") for at_s in starts)


def _at(name: str, length_s: float) -> float:
    """The case's instant, drawn by its name: the same whatever other cases are chosen."""
    room_s = 1.0 if length_s >= LONG_S else SPREAD_S
    return round(FIRST_AT_S + Random(f"{_SEED}/{name}").uniform(0.0, room_s), 4)
