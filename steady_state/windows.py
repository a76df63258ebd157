"""The window of each fault: from its injection to the next, when it recovered, and what spoils it."""

from __future__ import annotations

from dataclasses import dataclass, field

from steady_state.fault_history import FaultHistory
from steady_state.history import STANDBYS, History
from steady_state.instants import Instant, Span
from steady_state.settling import first_settled
from steady_state.violations import Violation, breaker_violations, replica_violations, request_violations, runs


@dataclass(frozen=True, slots=True)
class Recovery:
    """When a fault's window was steady again. `recovered` is R, or None when that was not seen before `until`."""

    recovered: Instant | None
    until: Instant
    causes: tuple[str, ...] = field(default=())
    carried: bool = False
    """Whether the clock ran on across the next injection."""


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


def windows(history: History) -> list[Window]:
    """A window for each fault that was injected, in order."""
    injected = [fault for fault in history.faults if fault.injected is not None]
    result: list[Window] = []
    for position, fault in enumerate(injected):
        following = injected[position + 1].injected if position + 1 < len(injected) else None
        window = _window(history, fault, following)
        carrier = next((earlier for earlier in reversed(result) if _contaminates(earlier, window.injected)), None)
        result.append(window if carrier is None else _contaminated(window, carrier.name))
    return result


def _window(history: History, fault: FaultHistory, following: Instant | None) -> Window:
    assert fault.injected is not None
    end = history.end if following is None else min(following, history.end)
    return Window(history, fault, fault.injected, end, following is None, recovery_of(history, fault, Span(fault.injected, end)))


def _contaminated(window: Window, by: str) -> Window:
    return Window(window.history, window.fault, window.injected, window.end, window.last, window.recovery, by)


def _contaminates(earlier: Window, injected: Instant) -> bool:
    """An earlier fault that had not recovered when this one was injected spoils this one's window."""
    recovered = earlier.recovery.recovered
    return recovered is None or recovered > injected


def recovery_of(history: History, fault: FaultHistory, span: Span) -> Recovery:
    """R of one fault: see design 6, `recovery_time`.

    Without a heal there is no recovery. Inside the window the first settled stretch decides; a window that never settles
    lets the clock run on across later injections while the fault's own violation lasts unbroken.
    """
    if fault.healed is None or fault.injected is None:
        return Recovery(None, span.end, ("the fault was not taken away",))
    base = max(fault.injected, fault.healed)
    violations = _all_violations(history, span)
    settled = first_settled(history, Span(base, span.end)) if base < span.end else None
    if settled is None:
        return _carried(history, fault, span)
    if not violations:
        return Recovery(fault.injected, span.end)
    crossing = [run for run in runs(violations) if run.start < settled.start <= run.end]
    recovered = max([settled.start, *(run.end for run in crossing)])
    causes = tuple(dict.fromkeys(one.what for one in violations if one.span.end >= base))
    return Recovery(recovered, span.end, causes)


def _all_violations(history: History, span: Span) -> list[Violation]:
    return request_violations(history, span) + replica_violations(history, span) + breaker_violations(history, span)


def _carried(history: History, fault: FaultHistory, span: Span) -> Recovery:
    """The fault's own violation, followed unbroken past the window's end as far as it can be told from the next fault's."""
    onwards = Span(span.start, history.end)
    own = _own_violations(history, fault, span, onwards)
    run = next((run for run in runs(own) if run.start < span.end <= run.end), None)
    causes = tuple(dict.fromkeys(one.what for one in own if run is not None and one.span.end >= span.end))
    if run is None:
        return Recovery(None, span.end, tuple(dict.fromkeys(one.what for one in own)))
    ended = run.end < history.end - 1e-6
    return Recovery(run.end if ended else None, run.end, causes, carried=True)


def _own_violations(history: History, fault: FaultHistory, span: Span, onwards: Span) -> list[Violation]:
    """Violations that are this fault's: its workload's replicas, its breakers, its affected routes.

    Past the window's end only what no later fault touches can be told apart from that fault's.
    """
    later = [one for one in history.faults if one.injected is not None and fault.injected is not None and one.injected > fault.injected]
    workloads = [name for name in (fault.fault.own_workload,) if name]
    if fault.fault.kind == "replica_failure":
        workloads.append(STANDBYS)
    breakers = [rule.breaker for rule in fault.fault.breakers if rule.rule != "must_stay_closed"]
    taken_workloads = {one.fault.own_workload for one in later}
    taken_breakers = {rule.breaker for one in later for rule in one.fault.breakers if rule.rule != "must_stay_closed"}
    taken_routes = {route for one in later for route in one.fault.affected_routes}
    own = request_violations(history, span, fault.fault.affected_routes)
    own += request_violations(history, Span(span.end, onwards.end), set(fault.fault.affected_routes) - taken_routes)
    own += replica_violations(history, span, workloads)
    own += replica_violations(history, onwards, [name for name in workloads if name not in taken_workloads])
    own += breaker_violations(history, span, breakers)
    own += breaker_violations(history, onwards, [name for name in breakers if name not in taken_breakers])
    return own
