"""The window of each fault: from its injection to the next, when it recovered, and what spoils it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

from steady_state.fault_history import FaultHistory
from steady_state.history import STANDBYS, History
from steady_state.instants import HAIR_S, Instant, Span
from steady_state.settling import first_settled, undecided_by_latency
from steady_state.violations import RUN_GAP_S, Violation, breaker_violations, replica_violations, request_violations, runs


@dataclass(frozen=True, slots=True)
class Recovery:
    """When a fault's window was steady again. `recovered` is R, or None when that was not seen before `until`."""

    recovered: Instant | None
    until: Instant
    causes: tuple[str, ...] = field(default=())
    carried: bool = False
    """Whether the clock ran on past the window's end with an unbroken violation."""
    latency_undecided: tuple[str, ...] = field(default=())
    """Routes with too few samples in the settled stretch for their latency to count."""


@dataclass(frozen=True, slots=True)
class Relapse:
    """What was steady was broken again: from the first to the last of it. `unfinished`: it reached the window's end."""

    span: Span
    causes: tuple[str, ...]
    unfinished: bool


@dataclass(frozen=True, slots=True)
class Window:
    """One injected fault's stretch [I, next I). `healed` is H; a fault that was never taken away has none."""

    history: History
    fault: FaultHistory
    injected: Instant
    end: Instant
    last: bool
    recovery: Recovery
    contaminated_by: str | None = None
    over: Instant = math.inf
    """From here on the fault spoils nothing: it recovered, or all was steady in a later window."""

    @property
    def name(self) -> str:
        return self.fault.name

    @property
    def span(self) -> Span:
        return Span(self.injected, self.end)

    @property
    def base(self) -> Instant:
        """max(I, H): where recovery starts to count; the window's end while the fault is still there."""
        return max(self.injected, self.fault.healed) if self.fault.healed is not None else self.end

    @property
    def settled(self) -> Instant | None:
        """max(H, R), the end of the stretch that counts as "during"; None when the window never settled."""
        if self.recovery.recovered is None or self.fault.healed is None:
            return None
        return max(self.base, self.recovery.recovered)

    @property
    def charged(self) -> Span:
        """The stretch whose downtime is this fault's: its window, and on until it recovers (design 6)."""
        return Span(self.injected, max(self.end, min(self.over, self.history.end)))


def windows(history: History) -> list[Window]:
    """A window for each fault whose injection was begun, in order. A write that was not acknowledged may have had its effect."""
    begun = sorted(
        (fault.attempted, place)
        for place, fault in enumerate(history.faults)
        if fault.attempted is not None and fault.attempted < history.end
    )
    found: list[Window] = []
    for position, (injected, place) in enumerate(begun):
        last = position + 1 == len(begun)
        end = history.end if last else begun[position + 1][0]
        fault = history.faults[place]
        found.append(Window(history, fault, injected, end, last, recovery_of(history, fault, Span(injected, end))))
    over = [_over(window, found[position + 1 :]) for position, window in enumerate(found)]
    return [replace(window, over=over[position], contaminated_by=_carrier(found, over, position)) for position, window in enumerate(found)]


def _over(window: Window, later: list[Window]) -> Instant:
    """A fault that was taken away is over when it recovered; when that was not seen, when a later window settled by itself."""
    if window.fault.healed is None:
        return math.inf
    if window.recovery.recovered is not None:
        return window.recovery.recovered
    steady = [one.recovery.recovered for one in later if one.recovery.recovered is not None and not one.recovery.carried]
    return min(steady, default=math.inf)


def _carrier(found: list[Window], over: list[Instant], position: int) -> str | None:
    """The first earlier fault that was not over when this one was injected: it spoils this one's window."""
    return next((found[earlier].name for earlier in range(position) if over[earlier] > found[position].injected), None)


def recovery_of(history: History, fault: FaultHistory, span: Span) -> Recovery:
    """R of one fault: see design 6, `recovery_time`.

    Without a heal there is no recovery. Inside the window the first settled stretch decides; a window that never settles,
    or whose last violations go on to its end, lets the clock run on while the fault's own violation lasts unbroken.
    """
    if fault.healed is None:
        return Recovery(None, span.end, ("the fault was not taken away",))
    base = max(span.start, fault.healed)
    violations = request_violations(history, span) + _shortages(history, span)
    settled = first_settled(history, Span(base, span.end)) if base < span.end else None
    if settled is None:
        return _carried(history, fault, span, violations)
    undecided = tuple(undecided_by_latency(history, settled, span.end))
    if not violations:
        # Failures too thin for a violation can still keep every stretch from being settled.
        recovered = span.start if settled.start <= base + HAIR_S else settled.start
        return Recovery(recovered, span.end, latency_undecided=undecided)
    # A hair later: the request that ends the run belongs to what came before recovery.
    crossing = [run.end + HAIR_S for run in runs(violations) if run.start - settled.start < RUN_GAP_S and settled.start <= run.end]
    if crossing and any(_unfinished(one, span.end) and one.span.start <= crossing[-1] for one in violations):
        return _carried(history, fault, span, violations)
    causes = _causes(violations, since=base)
    return Recovery(max([settled.start, *crossing]), span.end, causes, latency_undecided=undecided)


def relapse(window: Window) -> Relapse | None:
    """What the fault may touch, broken again after its settled stretch; None where all stayed steady.

    Fewer ready replicas than at the baseline for as long as a downtime; or a route that fails or is slow, without a second's pause, for as
    long as a settled stretch. What is shorter is told by downtime and rates, breakers by a criterion of their own.
    """
    recovered, history = window.settled, window.history
    if recovered is None or recovered >= window.end:
        return None
    things, after, limits = _things_by_kind(window.fault), Span(recovered + HAIR_S, window.end), history.limits
    short = replica_violations(history, after, [name for kind, name in things if kind == "workload"])
    broken = [one for one in short if one.span.length_s >= limits.downtime_s]
    for route in sorted(name for kind, name in things if kind == "route"):
        found = request_violations(history, after, [route])
        lasting = [run for run in runs(found) if run.length_s >= limits.settled_s]
        broken += [one for one in found if any(run.start <= one.span.start <= run.end for run in lasting)]
    if not broken:
        return None
    whole = Span(min(one.span.start for one in broken), max(one.span.end for one in broken))
    return Relapse(whole, _causes(broken, since=whole.start), any(_unfinished(one, window.end) for one in broken))


def _shortages(history: History, span: Span) -> list[Violation]:
    return replica_violations(history, span) + breaker_violations(history, span)


def _causes(violations: list[Violation], *, since: Instant) -> tuple[str, ...]:
    ordered = sorted(violations, key=lambda one: (one.span.start, one.what))
    return tuple(dict.fromkeys(one.what for one in ordered if one.span.end >= since))


def _unfinished(violation: Violation, horizon: Instant) -> bool:
    """Whether it may go on past the horizon: a shortage that reaches it, or requests less than RUN_GAP_S before it."""
    near = RUN_GAP_S if violation.span.length_s == 0 else HAIR_S
    return violation.span.end > horizon - near


def _carried(history: History, fault: FaultHistory, span: Span, violations: list[Violation]) -> Recovery:
    """The fault's own violation, followed unbroken past the window's end as far as it can be told from later faults'."""
    assert fault.healed is not None
    causes = _causes(violations, since=fault.healed)
    own = _own_violations(history, fault, span)
    run = next((run for run in runs(one for one, _ in own) if run.start < span.end <= run.end + HAIR_S), None)
    if run is None:
        return Recovery(None, span.end, causes)
    causes = _causes([one for one, _ in own if one.span.end >= run.start], since=span.end - RUN_GAP_S) or causes
    # Where the run ends because we had to stop looking, nobody saw it end.
    stopped = [horizon for one, horizon in own if one.span.end > run.end - RUN_GAP_S and _unfinished(one, horizon)]
    mine = {one.what for one, _ in own}
    foreign = any(_unfinished(one, span.end) for one in violations if one.what not in mine)
    recovered = None if stopped or foreign else run.end + HAIR_S
    return Recovery(recovered, max([run.end, span.end, *stopped]), causes, carried=True)


def _own_violations(history: History, fault: FaultHistory, span: Span) -> list[tuple[Violation, Instant]]:
    """Violations that are this fault's (its target's replicas, its breakers, its affected routes), each with its horizon.

    The horizon is the injection of the first later fault that touches the same thing: from there on nobody can tell
    whose violation it is.
    """
    later = sorted(
        (one.attempted, place)
        for place, one in enumerate(history.faults)
        if one.attempted is not None and one.attempted >= span.end - HAIR_S
    )

    def seen_until(touched: str) -> Instant:
        return next((instant for instant, place in later if touched in _things(history.faults[place])), history.end)

    own: list[tuple[Violation, Instant]] = []
    for kind, name in sorted(_things_by_kind(fault)):
        horizon = max(span.end, seen_until(f"{kind} {name}"))
        onwards = Span(span.start, horizon)
        find = {"route": request_violations, "workload": replica_violations, "breaker": breaker_violations}[kind]
        own += [(violation, horizon) for violation in find(history, onwards, [name])]
    return own


def _things_by_kind(fault: FaultHistory) -> set[tuple[str, str]]:
    """What a fault may touch by its declaration."""
    things = {("route", route) for route in fault.fault.affected_routes}
    things |= {("breaker", rule.breaker) for rule in fault.fault.breakers if rule.rule != "must_stay_closed"}
    things |= {("workload", fault.fault.own_workload)} if fault.fault.own_workload else set()
    return things | ({("workload", STANDBYS)} if fault.fault.kind == "replica_failure" else set())


def _things(fault: FaultHistory) -> set[str]:
    return {f"{kind} {name}" for kind, name in _things_by_kind(fault)}
