"""Where nothing was seen: seconds without a tally, a lagging generator, silent probes, lost lines."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise

from steady_state.history import COPY, LIVE, PLAIN, STANDBYS, History
from steady_state.instants import HAIR_S, Instant, Span
from steady_state.load_plan import LoadPlan
from steady_state.observations import BeatLine, TallyLine, breaker_subject
from steady_state.outcomes import Outcome

SILENT_S = 2.5
"""A probe beats once a second; a longer silence is a gap even where no gap line was written (the probe died)."""
UNSEEN_BEATS = 3
"""So many beats in a row without a look at a subject are a gap even where no gap line was written (the run was killed)."""
AT_AN_EDGE = 1
"""Requests of a second that may be counted in the one beside it."""
LAGGED_RATIO, LAGGED_COUNT = 0.01, 3
"""A second is generator-limited when more than 1 % and at least 3 of its requests lagged. Source: design 4."""


def load_gaps(history: History, span: Span, source: str = "load") -> list[str]:
    """Sentences about seconds of a source in the span whose outcomes are unknown or made by our own generator."""
    plan = history.recording.load_plans.get(source)
    if source == "load" and history.plan.load_engine == "none":
        return ["the load is the platform's own, so its rates are not known"]
    if plan is None:
        return [f"no requests of source {source} were recorded"]
    tallies = history.recording.tallies.get(source, {})
    lines = history.exceptions[source]
    unborn = math.ceil(plan.start_s - span.start - HAIR_S)
    missing, limited, torn = [-second for second in range(unborn, 0, -1)], [], []
    living = Span(plan.start_s, history.recording.load_ends.get(source, math.inf))
    for second in _seconds(span, plan.start_s):
        tally = tallies.get(second)
        if tally is None or len(tally.workers) != plan.workers:
            missing.append(second)
        elif _generator_limited(tally):
            limited.append(second)
        elif _torn(tally, lines.get(second, 0)) or _short(tally, plan, living.clipped(_second(plan, second))):
            torn.append(second)
    words = ((f"without a record of source {source}", missing), ("generator-limited", limited), ("with lost requests", torn))
    return [f"{len(seconds)} s {what} (first at {_at(history, plan.start_s, seconds[0])})" for what, seconds in words if seconds]


def traffic_gaps(history: History, span: Span) -> list[str]:
    """As `load_gaps`, of every source that the run should have: the load, where it is ours, and the outside probe."""
    sources = ["outside"] if history.plan.load_engine == "none" else ["load", "outside"]
    return [gap for source in sources for gap in load_gaps(history, span, source)]


def clock_gaps(history: History, span: Span) -> list[str]:
    """As `load_gaps`, of the source by which recovery is told."""
    return load_gaps(history, span, "outside" if history.plan.load_engine == "none" else "load")


def unhurried(history: History, span: Span) -> list[Span]:
    """The whole seconds of the load in the span, without those in which the generator lagged: latencies of those are its own."""
    plan = history.recording.load_plans.get("load")
    if plan is None:
        return []
    tallies = history.recording.tallies.get("load", {})
    whole = [Span(plan.start_s + second, plan.start_s + second + 1) for second in _seconds(span, plan.start_s)]
    return [
        one
        for second, one in zip(_seconds(span, plan.start_s), whole, strict=True)
        if one.start > span.start - HAIR_S
        and one.end < span.end + HAIR_S
        and not ((tally := tallies.get(second)) and _generator_limited(tally))
    ]


def load_share(history: History, span: Span) -> float | None:
    """Share of the load planned for the span that our generator did send in time, by its own count; None without load."""
    plan = history.recording.load_plans.get("load")
    if plan is None:
        return None
    tallies = history.recording.tallies.get("load", {})
    seconds = [second for second in _seconds(span, plan.start_s) if span.contains(plan.start_s + second) and second in tallies]
    # The load stops in the middle of its last second.
    whole = Span(plan.start_s, history.recording.load_ends.get("load", math.inf))
    planned = sum(plan.due_in(route, Span(plan.start_s + s, plan.start_s + s + 1).clipped(whole)) for route in plan.routes for s in seconds)
    sent = sum(row.due - row.counts.get(Outcome.GENERATOR, 0) for s in seconds for row in tallies[s].routes.values())
    return sent / planned if planned else None


def probe_gaps(history: History, span: Span, probe: str, subjects: set[str] | None = None) -> list[str]:
    """Sentences about stretches of the span in which a probe saw nothing (of the subjects, default: of any that decides something)."""
    idle = _idle(history) if probe == "breakers" else frozenset[str]()
    gaps = [
        f"{line.probe} saw nothing of {line.subject} for {line.t - line.from_t:.1f} s "
        f"from {history.minute(line.from_t):.1f} s ({line.reason})"
        for line in history.recording.gaps
        if line.probe == probe
        and line.subject not in idle
        and (subjects is None or line.subject in subjects)
        and Span(line.from_t, line.t).overlaps(span)
    ]
    unseen = [sentence for name, sentence in _unseen(history, span, probe) if name not in idle and (subjects is None or name in subjects)]
    return gaps + _silences(history, span, probe) + unseen


def _idle(history: History) -> frozenset[str]:
    """Subjects of the breakers probe that decide nothing: copies, and sources of a replica beside the one that is believed."""
    believed = {(track.breaker, track.replica): track.source for track in history.breakers}
    beside = {(*key, source) for key, best in believed.items() for source in LIVE if source != best}
    copies = {(breaker.name, COPY, COPY) for breaker in history.plan.breakers}
    return frozenset(breaker_subject(*key) for key in beside | copies)


def platform_gaps(history: History, span: Span) -> list[str]:
    """Gaps in what tells whether replicas and breakers are as they should be."""
    gaps = [f"no pod of {one} was seen before minute 0" for one in history.plan.workloads if history.ready[one].unknown]
    standbys = history.ready.get(STANDBYS)
    if _replicated(history) and (standbys is None or standbys.unknown):
        gaps.append("no standby was seen before minute 0")
    looked_at = {"pods": history.plan.workloads, "breakers": history.plan.breakers, "replication": _replicated(history)}
    return gaps + [gap for probe, declared in looked_at.items() if declared for gap in probe_gaps(history, span, probe)]


def _replicated(history: History) -> bool:
    """Whether the platform has standbys that somebody looked at, or should have."""
    planned = any(fault.kind == "replica_failure" for fault in history.plan.faults)
    return planned or STANDBYS in history.ready or "replication" in history.beats


def _seconds(span: Span, start: Instant) -> range:
    """Numbers of the seconds of a source that overlap the span."""
    first = max(0, math.floor(span.start - start + HAIR_S))
    return range(first, max(first, math.ceil(span.end - start - HAIR_S)))


def _silences(history: History, span: Span, probe: str) -> list[str]:
    near = Span(span.start - SILENT_S, span.end + SILENT_S)
    inside = [beat.t for beat in history.beats.get(probe, ()) if near.contains(beat.t)]
    if not inside:
        return [f"{probe} gave no sign of life"]
    # A beat shortly before the span vouches for its start, one shortly after it for its end.
    marks = sorted([*inside, *([span.start] if inside[0] > span.start else []), *([span.end] if inside[-1] < span.end else [])])
    return [
        f"{probe} was silent for {after - before:.1f} s from {history.minute(before):.1f} s"
        for before, after in pairwise(marks)
        if after - before > SILENT_S and Span(before, after).overlaps(span)
    ]


def _unseen(history: History, span: Span, probe: str) -> Iterator[tuple[str, str]]:
    """Subjects that the probe looked for in vain, beat after beat, each with a sentence."""
    inside = [beat for beat in history.beats.get(probe, ()) if span.contains(beat.t)]
    rows: dict[str, int] = {}
    for beat in inside:
        rows = {name: 0 if looks else rows.get(name, 0) + 1 for name, looks in beat.seen.items()}
        for name, row in sorted(rows.items()):
            if row == UNSEEN_BEATS:
                yield name, f"{probe} saw nothing of {name} from {_from(history, beat):.1f} s"


def _from(history: History, beat: BeatLine) -> float:
    return history.minute(beat.t - UNSEEN_BEATS)


def _torn(tally: TallyLine, lines: int) -> bool:
    """Whether the second's own counts do not add up, or count exceptions that have no line."""
    counts = [row.counts for row in tally.routes.values()]
    exceptions = sum(count for row in counts for outcome, count in row.items() if outcome not in PLAIN)
    return exceptions > lines or sum(sum(row.values()) for row in counts) != sum(row.due for row in tally.routes.values())


def _second(plan: LoadPlan, second: int) -> Span:
    return Span(plan.start_s + second, plan.start_s + second + 1)


def _short(tally: TallyLine, plan: LoadPlan, span: Span) -> bool:
    """Whether a route's planned requests are missing from the second's own count: without a line they would be taken as served."""
    return any((row.due if (row := tally.routes.get(route)) else 0) < plan.due_in(route, span) - AT_AN_EDGE for route in plan.routes)


def _generator_limited(tally: TallyLine) -> bool:
    due = sum(route.due for route in tally.routes.values())
    unsent = sum(route.counts.get(Outcome.GENERATOR, 0) for route in tally.routes.values())
    hurt = tally.lagged + unsent
    return hurt >= LAGGED_COUNT and hurt > LAGGED_RATIO * due


def _at(history: History, start: Instant, second: int) -> str:
    return f"{history.minute(start + second):.0f} s"
