"""A recording read back: its lines by kind, and what is missing from them."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import groupby, pairwise
from typing import Any

from pydantic import ValidationError

from steady_state import observations as obs
from steady_state.instants import Instant
from steady_state.judged_plan import JudgedPlan
from steady_state.load_plan import LoadPlan
from steady_state.merging import merged

WRITTEN_WITHIN_S = 18.0
"""A line is written this long after its instant at most: a request ends 5 s after it was due, an operation a little later, and a load
worker in a pod may be silent for 10 s before the run gives it up."""


class RecordingError(Exception):
    """The recording cannot be judged at all; the text says why."""


@dataclass(slots=True)
class Recording:
    """All lines of a run, by kind, in the order of their instants where order matters."""

    run: obs.RunLine
    plan: JudgedPlan
    last_t: Instant
    lost: list[str] = field(default_factory=list)
    lost_from: Instant | None = None
    """Nothing before this instant is touched by lost lines; None when no line is lost."""
    load_plans: dict[str, LoadPlan] = field(default_factory=dict)
    load_ends: dict[str, Instant] = field(default_factory=dict)
    tallies: dict[str, dict[int, obs.TallyLine]] = field(default_factory=dict)
    requests: list[obs.RequestLine] = field(default_factory=list)
    exemplars: list[obs.ExemplarLine] = field(default_factory=list)
    phases: list[obs.PhaseLine] = field(default_factory=list)
    faults: list[obs.FaultLine] = field(default_factory=list)
    pods: list[obs.PodsLine] = field(default_factory=list)
    breakers: list[obs.BreakerLine] = field(default_factory=list)
    caches: list[obs.CacheLine] = field(default_factory=list)
    replications: list[obs.ReplicationLine] = field(default_factory=list)
    operations: list[obs.OperationLine] = field(default_factory=list)
    deliveries: list[obs.DeliveryLine] = field(default_factory=list)
    calls: list[obs.CallsLine] = field(default_factory=list)
    hosts: list[obs.HostLine] = field(default_factory=list)
    beats: list[obs.BeatLine] = field(default_factory=list)
    gaps: list[obs.GapLine] = field(default_factory=list)
    notes: list[obs.NoteLine] = field(default_factory=list)
    end: obs.EndLine | None = None

    def phase_at(self, name: str) -> Instant | None:
        """The instant at which a phase began, or None."""
        return next((line.t for line in self.phases if line.phase == name), None)

    def newest_second(self, source: str) -> int | None:
        """The newest second of which the tallies of all the source's workers are there, or None."""
        plan = self.load_plans.get(source)
        whole = (second for second, tally in self.tallies.get(source, {}).items() if plan and len(tally.workers) >= plan.workers)
        return max(whole, default=None)


def read_recording(lines: Iterable[str]) -> Recording:
    """Parse the lines of `recording.jsonl` in any order.

    A line cut off by a crash, and holes in the sequence numbers, are named in `lost`. Raises RecordingError when the
    first line of a run is missing, since nothing can be judged without the plan, and when a later version wrote it.
    """
    parsed: list[obs.Observation] = []
    lost: list[str] = []
    for number, text in enumerate(lines, 1):
        if not text.strip():
            continue
        try:
            document = json.loads(text)
            _require_known_schema(document)
            parsed.append(obs.OBSERVATION.validate_python(document, strict=False))
        except (ValueError, ValidationError) as error:
            lost.append(f"line {number} is unreadable ({type(error).__name__})")
    return recording_of(parsed, lost)


def _require_known_schema(document: Any) -> None:
    version = document.get("schema_version") if isinstance(document, dict) and document.get("kind") == "run" else None
    if isinstance(version, int) and version > obs.SCHEMA_VERSION:
        raise RecordingError(
            f"the recording has schema version {version}, this orchestrator reads up to {obs.SCHEMA_VERSION}: judge it with a newer one"
        )


def recording_of(lines: Iterable[obs.Observation], lost: Iterable[str] = ()) -> Recording:
    """A recording of parsed lines in any order. Raises RecordingError as `read_recording` does."""
    ordered = sorted(lines, key=lambda line: line.seq)
    parsed = _once(ordered)
    run = next((line for line in parsed if isinstance(line, obs.RunLine)), None)
    if run is None:
        raise RecordingError("the recording has no line of kind 'run': without the plan nothing can be judged")
    try:
        plan = JudgedPlan.model_validate(run.plan)
    except ValidationError as error:
        raise RecordingError(f"the plan in the recording cannot be read: {error.errors()[0]['msg']}") from error
    recording = Recording(run, plan, max(line.t for line in parsed))
    for line in parsed:
        _file(recording, line)
    losses = [*((recording.last_t, sentence) for sentence in lost), *_holes(ordered), *_planless(recording)]
    recording.lost = [sentence for _, sentence in losses]
    recording.lost_from = min((instant for instant, _ in losses), default=math.inf) - WRITTEN_WITHIN_S if losses else None
    return recording


def _once(ordered: list[obs.Observation]) -> list[obs.Observation]:
    """One line for each number: of several, the first by its text, so that the order of reading does not matter."""
    kept: list[obs.Observation] = []
    for seq, same in groupby(ordered, key=lambda line: line.seq):
        alike = list(same)
        kept += [min(alike, key=lambda line: line.model_dump_json())] if seq >= 0 and len(alike) > 1 else alike
    return kept


def _holes(ordered: list[obs.Observation]) -> list[tuple[Instant, str]]:
    """Sentences about sequence numbers that are missing or doubled, with the instant of the line before."""
    losses: list[tuple[Instant, str]] = []
    if ordered[0].seq > 0:
        losses.append((-math.inf, f"lines 0 to {ordered[0].seq - 1} are missing"))
    for before, after in pairwise(ordered):
        if after.seq == before.seq >= 0:
            losses.append((min(before.t, after.t), f"line {after.seq} is there twice"))
        elif after.seq > before.seq + 1:
            losses.append((min(before.t, after.t), f"lines {before.seq + 1} to {after.seq - 1} are missing"))
    return losses


def _planless(recording: Recording) -> list[tuple[Instant, str]]:
    """Requests whose plan is not there: nobody knows when they were due. They are set aside."""
    known = {(source, route) for source, plan in recording.load_plans.items() for route in plan.routes}
    planless = [line for line in recording.requests if (line.source, line.route) not in known]
    if not planless:
        return []
    recording.requests = [line for line in recording.requests if (line.source, line.route) in known]
    return [(min(line.t for line in planless), f"{len(planless)} requests belong to no load plan")]


def _file(recording: Recording, line: obs.Observation) -> None:
    """Put one line where it belongs."""
    match line:
        case obs.LoadPlanLine():
            recording.load_plans[line.plan.source] = line.plan
        case obs.LoadEndLine():
            recording.load_ends[line.source] = line.end_s
        case obs.TallyLine():
            seconds = recording.tallies.setdefault(line.source, {})
            seconds[line.second] = merged(seconds[line.second], line) if line.second in seconds else line
        case obs.EndLine():
            recording.end = line
        case obs.RunLine():
            pass
        case _:
            _list_of(recording, line).append(line)


def _list_of(recording: Recording, line: obs.Observation) -> list[Any]:
    """The list in which lines of this kind are kept."""
    lists: dict[str, list[Any]] = {
        "request": recording.requests,
        "exemplar": recording.exemplars,
        "phase": recording.phases,
        "fault": recording.faults,
        "pods": recording.pods,
        "breaker": recording.breakers,
        "cache": recording.caches,
        "replication": recording.replications,
        "operation": recording.operations,
        "delivery": recording.deliveries,
        "calls": recording.calls,
        "host": recording.hosts,
        "beat": recording.beats,
        "gap": recording.gaps,
        "note": recording.notes,
    }
    return lists[line.kind]
