"""A recording read back: its lines by kind, and what is missing from them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from steady_state import observations as obs
from steady_state.instants import Instant
from steady_state.judged_plan import JudgedPlan
from steady_state.load_plan import LoadPlan


class RecordingError(Exception):
    """The recording cannot be judged at all; the text says why."""


@dataclass(slots=True)
class Recording:
    """All lines of a run, by kind, in the order of their instants where order matters."""

    run: obs.RunLine
    plan: JudgedPlan
    last_t: Instant
    lost: list[str] = field(default_factory=list)
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
    beats: list[obs.BeatLine] = field(default_factory=list)
    gaps: list[obs.GapLine] = field(default_factory=list)
    notes: list[obs.NoteLine] = field(default_factory=list)
    end: obs.EndLine | None = None

    def phase_at(self, name: str) -> Instant | None:
        """The instant at which a phase began, or None."""
        return next((line.t for line in self.phases if line.phase == name), None)


def read_recording(lines: Iterable[str]) -> Recording:
    """Parse the lines of `recording.jsonl` in any order.

    A line cut off by a crash, and holes in the sequence numbers, are named in `lost`. Raises RecordingError when the
    first line of a run is missing, since nothing can be judged without the plan.
    """
    parsed: list[obs.Observation] = []
    lost: list[str] = []
    for number, text in enumerate(lines, 1):
        if not text.strip():
            continue
        try:
            parsed.append(obs.OBSERVATION.validate_python(json.loads(text), strict=False))
        except (ValueError, ValidationError) as error:
            lost.append(f"line {number} is unreadable ({type(error).__name__})")
    return recording_of(parsed, lost)


def recording_of(lines: Iterable[obs.Observation], lost: Iterable[str] = ()) -> Recording:
    """A recording of parsed lines in any order. Raises RecordingError as `read_recording` does."""
    parsed = sorted(lines, key=lambda line: line.seq)
    lost = [*lost, *_holes(parsed)]
    run = next((line for line in parsed if isinstance(line, obs.RunLine)), None)
    if run is None:
        raise RecordingError("the recording has no line of kind 'run': without the plan nothing can be judged")
    recording = Recording(run, JudgedPlan.model_validate(run.plan), max(line.t for line in parsed), lost)
    for line in parsed:
        _file(recording, line)
    return recording


def _holes(lines: list[obs.Observation]) -> list[str]:
    """Sentences about sequence numbers that are missing or doubled."""
    sentences: list[str] = []
    expected = 0
    for line in lines:
        if line.seq > expected:
            sentences.append(f"lines {expected} to {line.seq - 1} are missing")
        elif line.seq < expected:
            sentences.append(f"line {line.seq} is there twice")
        expected = max(expected, line.seq) + 1
    return sentences


def _file(recording: Recording, line: obs.Observation) -> None:
    """Put one line where it belongs."""
    match line:
        case obs.LoadPlanLine():
            recording.load_plans[line.plan.source] = line.plan
        case obs.LoadEndLine():
            recording.load_ends[line.source] = line.end_s
        case obs.TallyLine():
            recording.tallies.setdefault(line.source, {})[line.second] = line
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
        "beat": recording.beats,
        "gap": recording.gaps,
        "note": recording.notes,
    }
    return lists[line.kind]
