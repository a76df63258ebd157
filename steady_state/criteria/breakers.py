"""`breakers`: per fault a declared list of what each breaker must and must not do, in every replica.

Source: spec 3.5, "Circuit breakers activate appropriately"; the lists and their reasons are ADR 0009.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from steady_state.blindness import SILENT_S, load_gaps, probe_gaps, unhurried
from steady_state.history import COPY, BreakerTrack, History
from steady_state.instants import HAIR_S, Instant, Span
from steady_state.judged_plan import BreakerRule
from steady_state.medians import histogram, median_ms
from steady_state.outcomes import Outcome
from steady_state.verdict import Finding, Verdict, inconclusive, worst
from steady_state.windows import Window

COUNT_SEEN_S = 2.0
"""The n-th failing try is known from a counter read once a second: the opening may be seen this much before or after it."""
HUNG = frozenset({Outcome.LATE, Outcome.TIMEOUT, Outcome.UNSENT})


@dataclass(frozen=True, slots=True)
class Part:
    """The result of one rule on one replica."""

    verdict: Verdict
    words: str
    judged: bool = True
    """False where the rule does not bind the replica (it had no traffic)."""


def judge(window: Window) -> Finding:
    """Every rule of the fault on every replica that was seen; breakers without a rule must stay closed."""
    history = window.history
    rules = {rule.breaker: rule for rule in window.fault.fault.breakers}
    parts: list[Part] = []
    for breaker in history.plan.breakers:
        rule = rules.get(breaker.name) or BreakerRule(breaker=breaker.name, rule="must_stay_closed")
        parts += _apply(window, rule)
    return _combined(window, parts)


def judge_closed(history: History, span: Span) -> Finding:
    """All breakers closed throughout the span (the baseline uses it)."""
    where = history.window(span)
    opened = [words for track in history.breakers if (words := _opened(history, track, span))]
    if opened:
        return Finding(Verdict.FAIL, opened[0], window=where, evidence=tuple(opened[:5]))
    unread = [breaker.name for breaker in history.plan.breakers if not _tracks(history, breaker.name)]
    gaps = [f"{name} was never read" for name in unread] + probe_gaps(history, span, "breakers")
    if gaps:
        return inconclusive(gaps[0], window=where)
    return Finding(Verdict.PASS, f"{len(history.breakers)} breakers closed throughout", window=where, n=len(history.breakers))


def _combined(window: Window, parts: list[Part]) -> Finding:
    where = window.history.window(window.span)
    if not parts:
        return inconclusive("the target description names no breaker", window=where)
    verdict = worst(part.verdict for part in parts)
    telling = [part.words for part in parts if part.verdict is verdict]
    gaps = probe_gaps(window.history, window.span, "breakers") if verdict is Verdict.PASS else []
    if gaps:
        return inconclusive(f"not seen throughout: {gaps[0]}", window=where)
    notable = [part.words for part in parts if "stayed closed" not in part.words]
    told = telling if verdict is not Verdict.PASS else notable or [f"all {len(parts)} stayed closed"]
    because = "; ".join([*_shares(window), *told])
    evidence = (*(part.words for part in parts), *_witnesses(window))
    return Finding(verdict, because, n=len(parts), window=where, evidence=evidence)


def _shares(window: Window) -> list[str]:
    """On how many replicas each breaker that must open did: "on 1 of 2" is another finding than "opened"."""
    history, shares = window.history, []
    for rule in window.fault.fault.breakers:
        tracks = [track for track in _tracks(history, rule.breaker) if _alive_in(history, track, window.span)]
        if rule.rule == "must_open" and tracks:
            opened = sum(_first_change(track, window.span) is not None for track in tracks)
            shares.append(f"{rule.breaker} opened on {opened} of {len(tracks)} replicas")
    return shares


def _witnesses(window: Window) -> list[str]:
    """What other sources said of the fault's breakers: they decide nothing, but a contradiction shows."""
    history = window.history
    named = {rule.breaker for rule in window.fault.fault.breakers}
    return [_witness(history, track, window.span) for track in history.breaker_witnesses if track.breaker in named]


def _witness(history: History, track: BreakerTrack, span: Span) -> str:
    changes = [
        f"{state} at {history.minute(instant):.1f} s"
        for instant, state in zip(track.states.instants, track.states.values, strict=True)
        if span.contains(instant)
    ]
    said = ", ".join(changes) or f"{track.states.at(span.start) or 'unknown'} throughout"
    source = "its copy in the cache" if track.source == COPY else f"the {track.source} of {track.replica}"
    return f"{track.breaker} by {source}: {said}"


def _apply(window: Window, rule: BreakerRule) -> list[Part]:
    history = window.history
    tracks = [track for track in _tracks(history, rule.breaker) if _alive_in(history, track, window.span)]
    if not tracks:
        copied = any(track.breaker == rule.breaker for track in history.breaker_witnesses)
        why = "was seen only as a copy, which says nothing of each replica" if copied else "was never read"
        return [Part(Verdict.INCONCLUSIVE, f"{rule.breaker} {why}")]
    if rule.rule == "must_stay_closed":
        return [_kept_closed(history, track, window.span) for track in tracks]
    parts = [part for track in tracks for part in _bound(window, rule, track)]
    if rule.rule == "must_open" and not any(part.judged for part in parts):
        parts.append(Part(Verdict.INCONCLUSIVE, f"no replica of {rule.breaker} had {rule.opens_after} failing tries"))
    if rule.fails_fast_on and rule.rule == "must_open":
        parts.append(_fail_fast(window, rule, tracks))
    return parts


def _kept_closed(history: History, track: BreakerTrack, span: Span) -> Part:
    words = _opened(history, track, span)
    return Part(Verdict.FAIL, words) if words else Part(Verdict.PASS, f"{track.breaker} on {track.replica} stayed closed")


def _bound(window: Window, rule: BreakerRule, track: BreakerTrack) -> list[Part]:
    """A rule that lets the breaker open, on one replica: did it open in time where it had to, and close in time."""
    opened = _first_change(track, window.span)
    if opened is None:
        return [_never_opened(window, rule, track)]
    return [_opening(window, rule, track, opened), _closing(window, rule, track)]


def _never_opened(window: Window, rule: BreakerRule, track: BreakerTrack) -> Part:
    if rule.rule == "may_open":
        return Part(Verdict.PASS, f"{rule.breaker} on {track.replica} stayed closed")
    tries = _failing_tries(window, rule, track)
    if tries is None or (tries < rule.opens_after and not _counted_throughout(window, track)):
        return Part(Verdict.INCONCLUSIVE, f"{rule.breaker} did not open on {track.replica}, and its failing tries were not counted")
    if tries >= rule.opens_after:
        words = f"{rule.breaker} never opened on {track.replica} although {tries} tries failed ({rule.opens_after} must open it)"
        return Part(Verdict.FAIL, words)
    return Part(Verdict.PASS, f"{rule.breaker} on {track.replica} had {tries} failing tries, not judged", judged=False)


def _opening(window: Window, rule: BreakerRule, track: BreakerTrack, opened: Instant) -> Part:
    after = opened - window.injected
    words = f"{rule.breaker} opened on {track.replica} after {after:.1f} s"
    if rule.rule == "must_open" and track.states.at(window.injected) not in (None, "closed"):
        return Part(Verdict.INCONCLUSIVE, f"{rule.breaker} on {track.replica} was not closed when the fault began, so it could not open")
    if rule.rule == "may_open" or after <= rule.opens_within_s:
        return Part(Verdict.PASS, words)
    if not _error_counts(window, rule, track):
        return Part(Verdict.INCONCLUSIVE, f"{words}, and its failing tries were not counted")
    reached = _nth_failure(window, rule, track)
    if reached is None and window.fault.healed is not None and opened > window.fault.healed + COUNT_SEEN_S:
        return Part(Verdict.FAIL, f"{words}, when the fault was over and fewer than {rule.opens_after} tries had failed")
    if reached is None:
        return Part(Verdict.PASS, f"{words}, before failing try {rule.opens_after}")
    late = opened - reached > COUNT_SEEN_S
    return Part(Verdict.FAIL if late else Verdict.PASS, f"{words}, {max(0.0, opened - reached):.1f} s after failing try {rule.opens_after}")


def _closing(window: Window, rule: BreakerRule, track: BreakerTrack) -> Part:
    """Closed within its time after H, and closed from then on."""
    healed = window.fault.healed
    if healed is None:
        return Part(Verdict.INCONCLUSIVE, f"{rule.breaker}: the fault was never taken away")
    due = max(healed, window.injected) + rule.closes_within_s
    not_closed = track.states.where(lambda state: state != "closed", end=window.history.recording.last_t)
    late = [span for span in not_closed if span.end > due and span.start < window.end]
    if late and due < window.end:
        first = Span(max(late[0].start, due), late[0].end)
        when = f"from {first.start - healed:.1f} s after the fault ended for {first.length_s:.1f} s (limit {rule.closes_within_s:g} s)"
        return Part(Verdict.FAIL, f"{rule.breaker} on {track.replica} was not closed {when}")
    if due >= window.end and track.states.at(window.end - HAIR_S) != "closed":
        return Part(Verdict.INCONCLUSIVE, f"{rule.breaker} on {track.replica} was still not closed at the end of the window")
    closed = max((span.end for span in not_closed if window.injected < span.end <= due), default=healed)
    return Part(Verdict.PASS, f"{rule.breaker} closed on {track.replica} {max(0.0, closed - healed):.1f} s after the fault ended")


def _fail_fast(window: Window, rule: BreakerRule, tracks: list[BreakerTrack]) -> Part:
    """Median of the affected route while the breaker is open, in all replicas that opened, against the baseline's."""
    history = window.history
    assert rule.fails_fast_on is not None
    baseline = history.baseline
    steady, open_spans = unhurried(history, baseline), _all_open(window, tracks)
    before = median_ms(history, rule.fails_fast_on, steady)
    while_open = median_ms(history, rule.fails_fast_on, open_spans)
    if before is None or while_open is None:
        return Part(Verdict.INCONCLUSIVE, f"no latency of {rule.fails_fast_on} to compare while {rule.breaker} was open")
    blind = [gap for span in (*steady, *open_spans) for gap in load_gaps(history, span)]
    if blind:
        return Part(Verdict.INCONCLUSIVE, f"latency of {rule.fails_fast_on} not seen throughout: {blind[0]}")
    limit = before + history.limits.fail_fast_extra_ms
    hung, answered = _hung(history, rule.fails_fast_on, open_spans), sum(histogram(history, rule.fails_fast_on, open_spans).values())
    if hung > answered:
        words = f"{hung} requests of {rule.fails_fast_on} hung while {rule.breaker} was open, {answered} were answered"
        return Part(Verdict.FAIL, words)
    verdict = Verdict.PASS if while_open <= limit else Verdict.FAIL
    words = f"{rule.fails_fast_on} median {while_open:.1f} ms while open, {before:.1f} ms at the baseline (limit {limit:.1f} ms)"
    return Part(verdict, words)


def _hung(history: History, route: str, spans: list[Span]) -> int:
    """Requests of the load on the route that waited in vain: the opposite of a fast failure."""
    due = [line.t for line in history.recording.requests if (line.source, line.route) == ("load", route) and line.outcome in HUNG]
    return sum(span.contains(instant) for instant in due for span in spans)


def _all_open(window: Window, tracks: list[BreakerTrack]) -> list[Span]:
    """The stretches of the window in which every replica that opened at all was open."""
    end = window.history.recording.last_t
    opened = [spans for track in tracks if (spans := _open_in(track, window.span, end))]
    shared = opened[0] if opened else []
    for spans in opened[1:]:
        shared = [one.clipped(other) for one in shared for other in spans if one.overlaps(other)]
    return shared


def _open_in(track: BreakerTrack, span: Span, end: Instant) -> list[Span]:
    return [one.clipped(span) for one in track.states.where(lambda state: state == "open", end=end) if one.overlaps(span)]


def _tracks(history: History, breaker: str) -> list[BreakerTrack]:
    return [track for track in history.breakers if track.breaker == breaker]


def _alive_in(history: History, track: BreakerTrack, span: Span) -> bool:
    return bool(track.states.instants) and track.states.instants[0] < span.end and history.there(track.replica, span)


def _first_change(track: BreakerTrack, span: Span) -> Instant | None:
    """When the breaker was first not closed in the span, by its state or by its own counter of changes."""
    if track.states.at(span.start) not in (None, "closed"):
        return span.start
    changes = zip(track.states.instants, track.states.values, strict=True)
    by_state = [instant for instant, state in changes if span.contains(instant) and state != "closed"]
    before = track.counter.at(span.start) or 0
    counted = zip(track.counter.instants, track.counter.values, strict=True)
    by_counter = [instant for instant, count in counted if span.contains(instant) and count > before]
    return min([*by_state, *by_counter], default=None)


def _opened(history: History, track: BreakerTrack, span: Span) -> str | None:
    """A sentence when the breaker was not closed in the span, by its state or by its own counter of changes."""
    out = [one for one in track.states.where(lambda state: state != "closed", end=history.recording.last_t) if one.overlaps(span)]
    if out:
        return f"{track.breaker} was not closed on {track.replica} from {history.minute(out[0].start):.1f} s for {out[0].length_s:.1f} s"
    # A replica that is new in the span counts from zero.
    before, after = track.counter.at(span.start) or 0, track.counter.at(span.end)
    if after is not None and after > before:
        return f"{track.breaker} changed {after - before} times on {track.replica} between two looks, by its own counter"
    return None


def _failing_tries(window: Window, rule: BreakerRule, track: BreakerTrack) -> int | None:
    """Failing tries of the replica at the rule's dependency from I to H, by its own counter; None when it was not counted."""
    counted = _error_counts(window, rule, track)
    return None if counted is None else counted[-1][1]


def _counted_throughout(window: Window, track: BreakerTrack) -> bool:
    """Whether the replica's tries were counted until the fault ended (or until the replica was gone)."""
    lasted = Span(window.injected, max(window.fault.healed or window.end, window.injected + SILENT_S))
    if probe_gaps(window.history, lasted, "calls", {track.replica}):
        return False
    last = max((line.t for line in window.history.calls.get(track.replica, ()) if line.t <= lasted.end), default=-math.inf)
    return lasted.end - last <= SILENT_S or not window.history.there(track.replica, Span(last + SILENT_S, lasted.end))


def _nth_failure(window: Window, rule: BreakerRule, track: BreakerTrack) -> Instant | None:
    counted = _error_counts(window, rule, track)
    return next((instant for instant, count in counted or () if count >= rule.opens_after), None)


def _error_counts(window: Window, rule: BreakerRule, track: BreakerTrack) -> list[tuple[Instant, int]] | None:
    """(instant, failing tries since I) of the replica, once a second while the fault lasts."""
    if rule.dependency is None:
        return None
    until = (window.fault.healed or window.end) + COUNT_SEEN_S
    lines = window.history.calls.get(track.replica, [])
    before = [line for line in lines if line.t <= window.injected]
    inside = [line for line in lines if window.injected < line.t <= until]
    if not inside:
        return None
    read = bool(before) and before[-1].t >= window.injected - SILENT_S
    if not read and window.history.there(track.replica, Span(window.injected - SILENT_S, window.injected)):
        # It was there, and what it had counted by then is not known.
        return None
    base = before[-1].errors.get(rule.dependency, 0) if before else 0
    return [(line.t, line.errors.get(rule.dependency, 0) - base) for line in inside]
