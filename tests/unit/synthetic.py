"""Synthetic recordings: a healthy five-fault hour, compressed to 240 s, and what can go wrong with it.

All instants are seconds from minute 0. Nothing is random: `healthy().with_failures("search", 40.0, 42.5)` is the same
recording every time, and a reader can count its requests: search is due 60 times a second, the others as `RATES` say.
"""

from __future__ import annotations

import copy
import math
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from synthetic_plan import DESIRED, GATEWAY_BREAKER, LENGTH_S, PUBNUB_BREAKER, RATES, five_faults, plan_of

from steady_state import observations as obs
from steady_state.history import History
from steady_state.instants import Span
from steady_state.judge import Cell, Judgement, judge
from steady_state.judged_plan import BreakerRule, JudgedFault, JudgedPlan
from steady_state.latency import bucket_index
from steady_state.load_plan import LoadPlan, RoutePlan
from steady_state.outcomes import FAILED, SERVED, Outcome
from steady_state.recording import recording_of
from steady_state.verdict import Finding, Verdict

MINUTE_0 = 5000.0
LOAD_START = -15.0
MAXIMA_MS = {"search": 600.0, "recommendations": 200.0, "watchlist": 200.0, "content": 100.0}
OUTSIDE_HZ = 10.0
PROBES = ("pods", "breakers", "calls", "cache", "replication", "delivery")
REPLICAS = {GATEWAY_BREAKER: ("api-gateway-0", "api-gateway-1"), PUBNUB_BREAKER: ("sync-0", "sync-1")}

Key = tuple[str, str, int]
"""Source, route and arrival number of one request."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How one request ended."""

    outcome: Outcome
    latency_ms: float


PLAIN = Ending(Outcome.FRESH, 20.0)


def load_plan(source: str, rates: dict[str, float], phase_s: float) -> LoadPlan:
    routes = {
        route: RoutePlan(rate_per_s=rate, phase_s=phase_s + 0.0007 * place, maximum_ms=MAXIMA_MS[route])
        for place, (route, rate) in enumerate(rates.items())
    }
    return LoadPlan(source=source, start_s=MINUTE_0 + LOAD_START, routes=routes)


@dataclass(slots=True)
class Synthetic:
    """A run as it happened. Every `with_...` returns a changed copy; `lines` are its recording."""

    plan: JudgedPlan
    load: dict[str, LoadPlan]
    endings: dict[Key, Ending] = field(default_factory=dict)
    faults: list[tuple[float, str, str, dict[str, Any]]] = field(default_factory=list)
    ready: dict[str, list[tuple[float, tuple[str, ...]]]] = field(default_factory=dict)
    """Workload -> from when on which pods are there and ready."""
    breakers: dict[tuple[str, str], list[tuple[float, str]]] = field(default_factory=dict)
    counters: dict[tuple[str, str], list[tuple[float, int]]] = field(default_factory=dict)
    standbys: list[tuple[float, int]] = field(default_factory=list)
    errors: dict[str, list[tuple[float, int]]] = field(default_factory=dict)
    """Pod -> from when on how many tries at PubNub had failed."""
    silent: list[tuple[str, float, float]] = field(default_factory=list)
    lagging: dict[int, int] = field(default_factory=dict)
    drops: list[Callable[[obs.Observation], bool]] = field(default_factory=list)
    changes: list[Callable[[obs.Observation], Iterable[obs.Observation]]] = field(default_factory=list)
    extra: list[obs.Observation] = field(default_factory=list)
    shift_s: float = 0.0
    finished: bool = True

    # --- what can go wrong -------------------------------------------------------------------------------------------

    def with_endings(
        self, route: str, start: float, end: float, ending: Ending, *, every: int = 1, sources: Iterable[str] = ("load", "outside")
    ) -> Synthetic:
        """Every n-th request of the route due in [start, end) ends so."""
        changed = copy.deepcopy(self)
        for source in sources:
            first, last = (changed.load[source].first_at_or_after(route, MINUTE_0 + instant) for instant in (start, end))
            changed.endings |= {(source, route, number): ending for number in range(first, last, every)}
        return changed

    def with_failures(
        self, route: str, start: float, end: float, *, every: int = 1, sources: Iterable[str] = ("load", "outside")
    ) -> Synthetic:
        """They are answered 503 after 20 ms."""
        return self.with_endings(route, start, end, Ending(Outcome.SERVER_ERROR, 20.0), every=every, sources=sources)

    def with_slow(self, route: str, start: float, end: float, *, latency_ms: float, every: int = 1) -> Synthetic:
        return self.with_endings(route, start, end, Ending(Outcome.FRESH, latency_ms), every=every, sources=("load",))

    def with_count(self, route: str, start: float, count: int, outcome: Outcome = Outcome.SERVER_ERROR, *, every: int = 1) -> Synthetic:
        """`count` requests of the load's route, every n-th from `start` on, end so."""
        changed = copy.deepcopy(self)
        first = changed.load["load"].first_at_or_after(route, MINUTE_0 + start)
        changed.endings |= {("load", route, first + place * every): Ending(outcome, 20.0) for place in range(count)}
        return changed

    def with_ready(self, workload: str, *steps: tuple[float, int]) -> Synthetic:
        """From each instant on so many of the workload's first pods are ready; the healthy steps of before are forgotten."""
        changed = copy.deepcopy(self)
        pods = [(instant, tuple(f"{workload}-{place}" for place in range(count))) for instant, count in steps]
        changed.ready[workload] = [changed.ready[workload][0], *pods]
        return changed

    def with_breaker(self, breaker: str, replica: str, *steps: tuple[float, str]) -> Synthetic:
        """The breaker in this replica, closed until the first step."""
        changed = copy.deepcopy(self)
        changed.breakers[breaker, replica] = [(LOAD_START, "closed"), *steps]
        return changed

    def with_counter(self, breaker: str, replica: str, *steps: tuple[float, int]) -> Synthetic:
        changed = copy.deepcopy(self)
        changed.counters[breaker, replica] = [(LOAD_START, 0), *steps]
        return changed

    def with_errors(self, pod: str, *steps: tuple[float, int]) -> Synthetic:
        changed = copy.deepcopy(self)
        changed.errors[pod] = list(steps)
        return changed

    def with_step(self, fault: str, phase: str, t: float, **data: Any) -> Synthetic:
        """The fault's step at another instant or with other data (added when it was not there)."""
        changed = self.without_step(fault, phase)
        changed.faults.append((t, fault, phase, data))
        return changed

    def without_step(self, fault: str, *phases: str) -> Synthetic:
        changed = copy.deepcopy(self)
        changed.faults = [step for step in changed.faults if not (step[1] == fault and step[2] in phases)]
        return changed

    def with_rule(self, fault: str, rule: BreakerRule | None) -> Synthetic:
        return self.with_fault(fault, breakers=[] if rule is None else [rule])

    def with_fault(self, fault: str, **changes: Any) -> Synthetic:
        """The plan says something else about this fault."""
        changed = copy.deepcopy(self)
        faults = [one.model_copy(update=changes) if one.name == fault else one for one in changed.plan.faults]
        changed.plan = changed.plan.model_copy(update={"faults": faults})
        return changed

    def with_silence(self, probe: str, start: float, end: float) -> Synthetic:
        """The probe gives no sign of life in the span, and writes no gap line either."""
        changed = copy.deepcopy(self)
        changed.silent.append((probe, start, end))
        return changed

    def with_line(self, line: obs.Observation) -> Synthetic:
        """One line more; its instants count from minute 0 of the shared clock (MINUTE_0)."""
        changed = copy.deepcopy(self)
        changed.extra.append(line)
        return changed

    def with_change(self, change: Callable[[obs.Observation], Iterable[obs.Observation]]) -> Synthetic:
        """Another history: each line was these lines instead (none: it never was)."""
        changed = copy.deepcopy(self)
        changed.changes.append(change)
        return changed

    def with_lag(self, second: float, lagged: int) -> Synthetic:
        """So many requests of the load went out late in this second because the generator lagged."""
        changed = copy.deepcopy(self)
        changed.lagging[math.floor(second - LOAD_START)] = lagged
        return changed

    def without(self, condition: Callable[[obs.Observation], bool]) -> Synthetic:
        """Lines that were recorded and then lost: their numbers are missing."""
        changed = copy.deepcopy(self)
        changed.drops.append(condition)
        return changed

    def without_tallies(self, start: float, end: float, *, source: str = "load") -> Synthetic:
        first, last = math.floor(start - LOAD_START), math.ceil(end - LOAD_START)
        return self.without(lambda line: isinstance(line, obs.TallyLine) and line.source == source and first <= line.second < last)

    def shifted(self, seconds: float) -> Synthetic:
        """The same run at another time of the clock."""
        changed = copy.deepcopy(self)
        changed.shift_s = seconds
        return changed

    def killed(self, at: float) -> Synthetic:
        """`kill -9` at this instant: nothing is written from then on."""
        changed = self.without(lambda line: written_at(line) > MINUTE_0 + at)
        changed.finished = False
        return changed

    @property
    def _end(self) -> float:
        return MINUTE_0 + self.plan.length_s

    # --- its recording -----------------------------------------------------------------------------------------------

    def lines(self) -> list[obs.Observation]:
        """Every line, numbered in the order of writing."""
        happened: list[obs.Observation] = [*self._frame(), *self._traffic(), *self._platform(), *self._signs(), *self.extra]
        for change in self.changes:
            happened = [line for before in happened for line in change(before)]
        written = sorted(happened, key=written_at)
        numbered = [line.model_copy(update={"seq": seq}) for seq, line in enumerate(written)]
        kept = [line for line in numbered if not any(drop(line) for drop in self.drops)]
        return [_moved(line, self.shift_s) for line in kept] if self.shift_s else kept

    def texts(self) -> list[str]:
        return [line.model_dump_json() for line in self.lines()]

    def history(self) -> History:
        return History(recording_of(self.lines()))

    def judged(self) -> Judgement:
        return judge(self.history())

    def finding(self, fault: str, criterion: str) -> Finding:
        """The finding of one cell; fails when the cell does not apply."""
        found = cell_of(self.judged(), fault, criterion).finding
        assert found is not None
        return found

    def _frame(self) -> list[obs.Observation]:
        start, end = MINUTE_0 + LOAD_START, self._end
        lines: list[obs.Observation] = [
            obs.RunLine(
                t=start - 2, run_id="synthetic", seed=1, wall="2026-01-01T00:00:00Z", versions={}, plan=self.plan.model_dump(mode="json")
            ),
            obs.PhaseLine(t=start - 2, phase="preparing"),
            obs.PhaseLine(t=MINUTE_0, phase="timeline"),
        ]
        lines += [obs.LoadPlanLine(t=start - 1, plan=plan) for plan in self.load.values()]
        lines += [obs.FaultLine(t=MINUTE_0 + t, fault=fault, phase=phase, data=data) for t, fault, phase, data in self.faults]  # type: ignore[arg-type]
        lines += [obs.LoadEndLine(t=end + 6, source=source, end_s=end + 0.25) for source in self.load]
        lines += [obs.PhaseLine(t=end, phase="end"), obs.PhaseLine(t=end + 0.2, phase="draining")]
        return [*lines, obs.EndLine(t=end + 7, ended="completed")] if self.finished else lines

    def _traffic(self) -> Iterable[obs.Observation]:
        by_second: dict[tuple[str, int], list[tuple[str, Ending]]] = {}
        for (source, route, number), ending in sorted(self.endings.items()):
            due = self.load[source].due(route, number)
            by_second.setdefault((source, self._second(source, due)), []).append((route, ending))
            if ending.outcome not in SERVED or ending.outcome is Outcome.STALE or ending.latency_ms > MAXIMA_MS[route]:
                yield obs.RequestLine(
                    t=due, source=source, route=route, number=number, outcome=ending.outcome, latency_ms=ending.latency_ms
                )
        for source in self.load:
            for second in range(math.ceil(self.plan.length_s + 0.25 - LOAD_START)):
                yield self._tally(source, second, by_second.get((source, second), []))

    def _second(self, source: str, due: float) -> int:
        return math.floor(due - self.load[source].start_s + 1e-9)

    def _tally(self, source: str, second: int, endings: list[tuple[str, Ending]]) -> obs.TallyLine:
        plan = self.load[source]
        span = Span(plan.start_s + second, min(plan.start_s + second + 1, self._end + 0.25))
        ended: dict[str, list[Ending]] = {route: [] for route in plan.routes}
        for route, ending in endings:
            ended[route].append(ending)
        routes = {route: route_tally(plan.due_in(route, span), tuple(ended[route])) for route in plan.routes}
        lagged = self.lagging.get(second, 0) if source == "load" else 0
        slowest = max((ending.latency_ms for _, ending in endings if ending.outcome in FAILED | SERVED), default=20.0)
        return obs.TallyLine(t=span.end + slowest / 1000, source=source, second=second, routes=routes, lagged=lagged)

    def _platform(self) -> Iterable[obs.Observation]:
        for workload, steps in self.ready.items():
            for t, names in steps:
                yield obs.PodsLine(t=MINUTE_0 + t, workload=workload, pods=[obs.PodState(name=name, ready=True) for name in names])
        for (breaker, replica), changes in self.breakers.items():
            counter = self.counters.get((breaker, replica), [])
            marks = sorted({t for t, _ in changes} | {t for t, _ in counter})
            for t in marks:
                state = [value for at, value in changes if at <= t][-1]
                count = [value for at, value in counter if at <= t]
                yield obs.BreakerLine(
                    t=MINUTE_0 + t,
                    breaker=breaker,
                    replica=replica,
                    state=state,  # type: ignore[arg-type]
                    previous_t=None if t == LOAD_START else MINUTE_0 + t - 0.2,
                    transitions=count[-1] if count else None,
                )
        for second in range(math.floor(LOAD_START), math.ceil(self.plan.length_s)):
            t = MINUTE_0 + second + 0.4
            yield obs.ReplicationLine(t=t, replicas=[_standby(n) for n in range([n for at, n in self.standbys if at <= second + 0.4][-1])])
            yield obs.CacheLine(t=t, hits=60 * (second + 20), misses=20 * (second + 20), flushes=int(second >= 160), keys=500)
            for pod in REPLICAS[PUBNUB_BREAKER]:
                failed = [count for at, count in self.errors.get(pod, []) if at <= second + 0.4]
                yield obs.CallsLine(t=t, pod=pod, calls={"pubnub": 5 * (second + 20)}, errors={"pubnub": failed[-1] if failed else 0})
            queued = 200 <= second < 214
            yield obs.OperationLine(t=t, number=second + 20, user="user-1", accepted=True, queued=queued)
            arrived = MINUTE_0 + 214.0 + 0.01 * (second - 200) if queued else t + 0.03
            yield obs.DeliveryLine(t=arrived, number=second + 20, user="user-1")

    def _signs(self) -> Iterable[obs.Observation]:
        subjects = {
            "pods": list(DESIRED),
            "breakers": [f"{breaker}/{replica}" for breaker, replica in self.breakers],
            "calls": list(REPLICAS[PUBNUB_BREAKER]),
        }
        for probe in PROBES:
            for second in range(math.floor(LOAD_START), math.ceil(self.plan.length_s) + 3):
                if not any(name == probe and start <= second < end for name, start, end in self.silent):
                    yield obs.BeatLine(t=MINUTE_0 + second + 0.9, probe=probe, seen=dict.fromkeys(subjects.get(probe, [probe]), 5))


@cache
def route_tally(due: int, ended: tuple[Ending, ...]) -> obs.RouteTally:
    """One route in one second: these endings, and all others of the due requests served as usual."""
    endings = [*ended, *([PLAIN] * (due - len(ended)))]
    latency = Counter(bucket_index(int(one.latency_ms * 1000)) for one in endings if one.outcome in SERVED)
    return obs.RouteTally(due=due, counts=dict(Counter(one.outcome for one in endings)), latency=sorted(latency.items()))


def written_at(line: obs.Observation) -> float:
    """When the recorder wrote the line: a request's `t` is its due instant, but it is written at its end."""
    return line.t + line.latency_ms / 1000 if isinstance(line, obs.RequestLine) else line.t


def quiet(*kinds: str, rates: dict[str, float] | None = None, length_s: float = LENGTH_S, outside_hz: float = OUTSIDE_HZ) -> Synthetic:
    """A run with these faults (default: all five) of which the platform feels nothing: no replica, breaker or answer changes."""
    rates = rates or RATES
    faults = [fault for fault in five_faults() if not kinds or fault.name in kinds]
    plan = plan_of(faults, length_s=length_s, routes=list(rates))
    run = Synthetic(
        plan,
        {"load": load_plan("load", rates, 0.0023), "outside": load_plan("outside", dict.fromkeys(rates, outside_hz), 0.0511)},
    )
    for fault in faults:
        run.faults += _life(fault)
    for workload, count in DESIRED.items():
        run.ready[workload] = [(LOAD_START, tuple(f"{workload}-{place}" for place in range(count)))]
    run.standbys = [(LOAD_START, 3)]
    for breaker, replicas in REPLICAS.items():
        run.breakers |= {(breaker, replica): [(LOAD_START, "closed")] for replica in replicas}
    return run


def healthy() -> Synthetic:
    """A platform that holds: PASS in every cell.

    The killed pod is replaced after 4 s; the standby is away for 15.5 s and back 3.5 s after its heal; both breakers of
    `sync` open 1.5 s into the partition, after three failing tries each, and close 3 s after it; watchlist answers are
    queued (fallback) meanwhile.
    """
    run = quiet()
    run.ready["discovery"] += [(40.05, ("discovery-1",)), (44.0, ("discovery-1", "discovery-2"))]
    three = run.ready["postgresql-replica"][0][1]
    run.ready["postgresql-replica"] += [(120.1, three[:2]), (135.0, three)]
    run.standbys += [(120.0, 2), (135.4, 3)]
    for pod in REPLICAS[PUBNUB_BREAKER]:
        run.breakers[PUBNUB_BREAKER, pod] += [(201.5, "open"), (214.0, "half_open"), (215.0, "closed")]
        run.errors[pod] = [(200.3, 1), (200.8, 2), (201.3, 3)]
    return run.with_endings("watchlist", 200.0, 214.0, Ending(Outcome.FALLBACK, 20.0))


def _life(fault: JudgedFault) -> list[tuple[float, str, str, dict[str, Any]]]:
    """All steps of a fault that was injected 2 ms late, felt after 0.5 s and taken away 0.1 s after its hold."""
    at, name = fault.at_s, fault.name
    end = at + fault.hold_s if fault.hold_s else at + 0.6
    return [
        (at - 12, name, "prepared", {"target": f"the {name} target"}),
        (at - 1, name, "exposure", {"count": 600, "source": "its own counters"}),
        (at + 0.002, name, "injecting", {}),
        (at + 0.02, name, "injected", {}),
        (at + 0.5, name, "proof", {"grade": "felt", "detail": "a canary felt it"}),
        (end, name, "healing", {}),
        (end + 0.1, name, "healed", {}),
    ]


def _standby(number: int) -> obs.ReplicaState:
    return obs.ReplicaState(name=f"standby-{number}", state="streaming", lag_bytes=0)


def _moved(line: obs.Observation, seconds: float) -> obs.Observation:
    """The line with all its instants later by so many seconds."""
    update: dict[str, Any] = {"t": line.t + seconds}
    match line:
        case obs.LoadPlanLine():
            update["plan"] = line.plan.model_copy(update={"start_s": line.plan.start_s + seconds})
        case obs.LoadEndLine():
            update["end_s"] = line.end_s + seconds
        case obs.BreakerLine(previous_t=float(previous)):
            update["previous_t"] = previous + seconds
        case obs.GapLine():
            update["from_t"] = line.from_t + seconds
        case _:
            pass
    return line.model_copy(update=update)


def cell_of(judgement: Judgement, fault: str, criterion: str) -> Cell:
    return next(cell for cell in judgement.cells if (cell.fault, cell.criterion) == (fault, criterion))


def verdicts(judgement: Judgement) -> dict[tuple[str, str], Verdict]:
    """The verdict of each cell that applies."""
    return {(cell.fault, cell.criterion): cell.finding.verdict for cell in judgement.cells if cell.finding is not None}
