"""Why a cell is not green: its first failing request, the last healthy second, what each sampler saw, what we ourselves did."""

from __future__ import annotations

from dataclasses import dataclass

from steady_state.accounts import Account, accounts
from steady_state.blindness import load_gaps, probe_gaps
from steady_state.downtime import downtimes
from steady_state.failures import Failures, failures, request_lines
from steady_state.fault_history import FaultHistory
from steady_state.history import History
from steady_state.instants import Instant, Span
from steady_state.judge import Cell, Judgement
from steady_state.observations import TallyLine
from steady_state.outcomes import FAILED, Outcome
from steady_state.starvation import starved
from steady_state.verdict import Finding, Verdict
from steady_state.windows import Window

BEFORE_S, AFTER_S = 5.0, 15.0
"""The samplers tell of this stretch around the instant that matters."""
STEAL_RATIO = 0.05
"""CPU steal from here on is named: a twentieth of a second is what the load may lag (design 4)."""
LAG_MS = 50.0
"""Lag of the generator from here on is named. Source: design 4."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """One cell explained. Instants are seconds from minute 0."""

    cell: Cell
    finding: Finding
    fault: tuple[tuple[str, float | None], ...]
    """The steps in the life of the fault: planned, injected, felt, healed, recovered. Empty for the baseline."""
    around: tuple[float, float]
    """The stretch of which `seen` tells."""
    failing: Failures
    seen: tuple[Account, ...]
    reasons: tuple[str, ...]
    """What we ourselves or our machine contributed: CPU steal, lag of the generator, gaps, lost lines."""
    host_seen: bool
    """Whether CPU steal was recorded at all."""


def unproven_cells(judgement: Judgement) -> list[Cell]:
    """The cells that are not PASS, FAIL first, otherwise in the order of the hour."""
    found = [cell for cell in judgement.cells if cell.finding is not None and cell.finding.verdict is not Verdict.PASS]
    return sorted(found, key=lambda cell: cell.finding is not None and cell.finding.verdict is not Verdict.FAIL)


def explain(judgement: Judgement, cell: Cell) -> Explanation:
    """A pure function of the recording and one of its cells. Raises ValueError for a cell that does not apply."""
    if cell.finding is None:
        raise ValueError(f"{cell.fault}/{cell.criterion} does not apply: {cell.not_applicable}")
    history = judgement.history
    scene = _scene(judgement, cell, cell.finding)
    failing = failures(history, scene.span, request_lines(history, _OUTCOMES.get(cell.criterion, FAILED)), scene.routes)
    around = _around(scene, failing, history)
    return Explanation(
        cell=cell,
        finding=cell.finding,
        fault=tuple((what, None if instant is None else history.minute(instant)) for what, instant in _life(scene)),
        around=history.window(around),
        failing=failing,
        seen=accounts(history, around),
        reasons=_reasons(history, Span(min(scene.span.start, around.start), max(scene.span.end, around.end))),
        host_seen=bool(history.recording.hosts),
    )


_OUTCOMES: dict[str, frozenset[Outcome]] = {
    "state_kept": frozenset({Outcome.CLIENT_ERROR}),
    "degradation": FAILED | {Outcome.STALE},
}
"""The requests that count against a criterion, where they are not the failed ones."""


@dataclass(frozen=True, slots=True)
class _Scene:
    """Where to look: the cell's stretch, the routes (None: all), the fault's window where it has one."""

    criterion: str
    verdict: Verdict
    span: Span
    routes: list[str] | None
    fault: FaultHistory | None
    window: Window | None


def _scene(judgement: Judgement, cell: Cell, finding: Finding) -> _Scene:
    history = judgement.history
    fault = next((one for one in history.faults if one.name == cell.fault), None)
    window = next((one for one in judgement.windows if one.name == cell.fault), None)
    span = _row(judgement, fault, window)
    if finding.window is not None:
        span = Span(history.timeline + finding.window[0], history.timeline + finding.window[1])
    routes = None
    if cell.criterion == "zero_downtime" and (found := downtimes(history, span)):
        worst = max(found, key=lambda one: one.span.length_s)
        span, routes = worst.span, [worst.route]
    return _Scene(cell.criterion, finding.verdict, span, routes, fault, window)


def _row(judgement: Judgement, fault: FaultHistory | None, window: Window | None) -> Span:
    """The window of the cell's row; for a fault that was never injected, from its planned instant to the end of the record."""
    history = judgement.history
    if window is not None:
        return window.span
    if fault is not None:
        return Span(min(fault.planned, history.recording.last_t), history.recording.last_t)
    return history.baseline


def _around(scene: _Scene, failing: Failures, history: History) -> Span:
    """The stretch of which the samplers tell: around the instant at which this criterion's trouble showed."""
    window = scene.window
    if not history.started:
        return Span(history.recording.last_t - AFTER_S - BEFORE_S, history.recording.last_t)
    if scene.criterion == "recovery_time" and window is not None:
        end = window.recovery.until if window.recovery.recovered is None else window.recovery.recovered
        return Span(end - AFTER_S, end + BEFORE_S)
    focus: Instant | None = None
    if scene.criterion == "breakers":
        focus = _first_opened(scene, history)
    elif scene.criterion == "delivery":
        focus = _first_undelivered(scene, history)
    elif scene.criterion not in _FROM_THE_START and failing.first is not None:
        focus = history.timeline + float(str(failing.first["t"]))
    if focus is None and scene.verdict is Verdict.INCONCLUSIVE:
        focus = _first_blind(history, scene.span)
    focus = scene.span.start if focus is None else focus
    return Span(focus - BEFORE_S, focus + AFTER_S)


_FROM_THE_START = frozenset({"refill", "amplification", "validity"})
"""Criteria about what follows an injection, whether or not a request failed."""


def _first_blind(history: History, span: Span) -> Instant | None:
    """When the generator first lagged, or a gap began, in the stretch."""
    lagged = [second.start for source in history.recording.load_plans for _, second in _lagging(history, source, span)]
    gaps = [line.from_t for line in history.recording.gaps if Span(line.from_t, line.t).overlaps(span)]
    return min([*lagged, *gaps], default=None)


def _first_opened(scene: _Scene, history: History) -> Instant | None:
    """When a breaker first left closed in the stretch: one that should have stayed closed, else any."""
    declared = {rule.breaker for rule in scene.fault.fault.breakers if rule.rule != "must_stay_closed"} if scene.fault else set()
    opened = [
        (track.breaker in declared, out.start)
        for track in history.breakers
        for out in track.states.where(lambda state: state != "closed", end=history.recording.last_t)
        if scene.span.contains(out.start)
    ]
    return min(opened)[1] if opened else None


def _first_undelivered(scene: _Scene, history: History) -> Instant | None:
    """When the first operation was sent that did not arrive exactly once and in order."""
    bad = (one for one in history.operations if len(one.arrivals) != 1 or one.overtaken)
    return next((one.operation.t for one in bad if scene.span.contains(one.operation.t)), None)


def _life(scene: _Scene) -> tuple[tuple[str, Instant | None], ...]:
    fault, window = scene.fault, scene.window
    if fault is None:
        return ()
    recovered = window.recovery.recovered if window else None
    return (
        ("planned", fault.planned),
        ("injected", fault.injected),
        ("felt", fault.felt),
        ("healed", fault.healed),
        ("recovered", recovered),
    )


def _reasons(history: History, span: Span) -> tuple[str, ...]:
    """Sentences about our own machine and our own eyes over the cell's whole stretch."""
    watched = span.clipped(Span(history.timeline, max(history.timeline, history.end)))
    gaps = [f"{source}: {gap}" for source in sorted(history.recording.load_plans) for gap in load_gaps(history, watched, source)]
    probes = sorted({"pods", "breakers"} | (set(history.beats) - {"host"}))
    gaps += [gap for probe in probes for gap in probe_gaps(history, watched, probe)]
    unborn = [] if history.started else ["minute 0 never came; instants count back from the end of the record"]
    hungry = starved(history, watched)
    return (
        *unborn,
        *history.recording.lost,
        *([hungry] if hungry else []),
        *_steal(history, span),
        *_lag(history, span),
        *(gaps if history.started else []),
    )


def _steal(history: History, span: Span) -> list[str]:
    stolen = [line for line in history.recording.hosts if span.contains(line.t) and line.steal_ratio >= STEAL_RATIO]
    if not stolen:
        return []
    worst = max(stolen, key=lambda line: line.steal_ratio)
    return [
        f"CPU steal of {STEAL_RATIO:.0%} or more in {len(stolen)} s, at most {worst.steal_ratio:.0%} in the second before "
        f"{history.minute(worst.t):.1f} s: this machine got less time than it wanted, so late answers may be its doing"
    ]


def _lag(history: History, span: Span) -> list[str]:
    sentences: list[str] = []
    for source in sorted(history.recording.load_plans):
        hurt = _lagging(history, source, span)
        if hurt:
            worst, second = max(hurt, key=lambda one: one[0].lag_max_ms)
            sentences.append(
                f"the generator of source {source} lagged in {len(hurt)} s ({sum(line.lagged for line, _ in hurt)} requests late), "
                f"at most {worst.lag_max_ms:.0f} ms in second {history.minute(second.start):.0f}"
            )
    return sentences


def _lagging(history: History, source: str, span: Span) -> list[tuple[TallyLine, Span]]:
    """Seconds of the source in the span in which its generator lagged, in order."""
    start = history.recording.load_plans[source].start_s
    tallies = sorted(history.recording.tallies.get(source, {}).items())
    seconds = [(line, Span(start + number, start + number + 1)) for number, line in tallies if line.lagged or line.lag_max_ms > LAG_MS]
    return [(line, second) for line, second in seconds if second.overlaps(span)]
