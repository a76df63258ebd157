"""The report as one document: the content of `report.json`, a pure function of the recording."""

from __future__ import annotations

from typing import Any

from steady_state.fault_history import FaultHistory
from steady_state.history import History
from steady_state.instants import Span
from steady_state.judge import BASELINE, Cell, Judgement
from steady_state.measurements import measure
from steady_state.power import power
from steady_state.verdict import EXIT_CODES, Verdict

SCHEMA_VERSION = 1
FIRST_FAILURES = 10
"""So many of each window are shown whole."""

Document = dict[str, Any]


def document(judgement: Judgement) -> Document:
    """Plain JSON: verdict, scale, faults, cells, measurements, how the run ended."""
    history = judgement.history
    run, plan, end = history.recording.run, history.plan, history.recording.end
    return {
        "schema_version": SCHEMA_VERSION,
        "run": run.run_id,
        "title": plan.title,
        "verdict": judgement.verdict.value,
        "exit_code": EXIT_CODES[judgement.verdict],
        "trial": trial_sentence(history),
        "scale": {"time": plan.scale_time, "load": plan.scale_load},
        "target": plan.target,
        "criteria_set": plan.criteria_set,
        "seed": run.seed,
        "began": run.wall,
        "versions": run.versions,
        "ended": {"how": end.ended if end else "cut off", "reason": end.reason if end else "the recording has no last line"},
        "length_s": plan.length_s,
        "lost_lines": list(history.recording.lost),
        "faults": [_fault(history, fault) for fault in history.faults],
        "cells": [_cell(cell) for cell in judgement.cells],
        "measurements": _measurements(judgement),
        "power": power(judgement),
        "counts": {
            verdict.value: sum(1 for cell in judgement.cells if cell.finding and cell.finding.verdict is verdict) for verdict in Verdict
        },
        "notes": [{"t": history.minute(note.t), "text": note.text} for note in history.recording.notes],
        "first_failures": _first_failures(judgement),
    }


def trial_sentence(history: History) -> str:
    """The first line of every report of a scaled run; empty at full scale."""
    plan = history.plan
    if plan.scale_time == 1 and plan.scale_load == 1:
        return ""
    return (
        f"A trial, not a test at specification load: time divided by {plan.scale_time:g}, load divided by {plan.scale_load:g}; "
        "limits are not scaled."
    )


def _fault(history: History, fault: FaultHistory) -> Document:
    def at(instant: float | None) -> float | None:
        return None if instant is None else history.minute(instant)

    return {
        "name": fault.name,
        "kind": fault.fault.kind,
        "role": fault.fault.role,
        "target": fault.target,
        "hold_s": fault.fault.hold_s,
        "affected_routes": fault.fault.affected_routes,
        "planned": at(fault.planned),
        "injected": at(fault.injected),
        "felt": at(fault.felt),
        "proof": fault.proof,
        "healed": at(fault.healed),
        "exposure": fault.exposure,
        "exposure_source": fault.exposure_source,
        "trouble": fault.trouble,
    }


def _cell(cell: Cell) -> Document:
    finding = cell.finding
    if finding is None:
        return {"fault": cell.fault, "criterion": cell.criterion, "verdict": None, "because": cell.not_applicable}
    return {
        "fault": cell.fault,
        "criterion": cell.criterion,
        "verdict": finding.verdict.value,
        "because": finding.because,
        "measured": finding.measured,
        "limit": finding.limit,
        "unit": finding.unit,
        "n": finding.n,
        "window": None if finding.window is None else list(finding.window),
        "evidence": list(finding.evidence),
    }


def _measurements(judgement: Judgement) -> Document:
    return {name: measure(judgement.history, span) for name, span in _spans(judgement).items()}


def _spans(judgement: Judgement) -> dict[str, Span]:
    """The baseline and each fault's window; none when the timeline never began."""
    history = judgement.history
    if not history.started:
        return {}
    return {BASELINE: history.baseline} | {window.name: window.span for window in judgement.windows}


def _first_failures(judgement: Judgement) -> list[Document]:
    """The first failing requests of each window whole, as far as they were kept."""
    history = judgement.history
    exemplars = sorted(history.recording.exemplars, key=lambda line: (line.t, line.source, line.route, line.number))
    return [
        {
            "t": history.minute(line.t),
            "source": line.source,
            "route": line.route,
            "outcome": line.outcome.value,
            "status": line.status,
            "served_by": line.served_by,
            "detail": line.detail,
        }
        for span in _spans(judgement).values()
        for line in [one for one in exemplars if span.contains(one.t)][:FIRST_FAILURES]
    ]
