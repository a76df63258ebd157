"""When to kill: after each phase of a run and each step of each fault, by the lines of the recording."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

FAULTS = ("pod-kill", "qdrant-latency", "replica-failure", "cache-flush", "pubnub-partition")
"""Those of experiments/overlap.json."""
STEPS = ("prepared", "exposure", "injecting", "injected", "proof", "healing", "healed")
BEFORE, AFTER = ("preparing", "baseline_check", "timeline"), ("end", "draining")
JUDGING = "judging"
"""The recording has its last line, and the reports are not written yet."""
SPREAD_S = 0.4
"""Kills come up to this long after their line, evenly: between two lines there is work, too."""


@dataclass(frozen=True, slots=True)
class Moment:
    """So long after the first line of this kind: a phase of the run, or a step of a fault."""

    step: str
    fault: str = ""
    delay_s: float = 0.0

    def __str__(self) -> str:
        return f"{self.fault or 'run'}: {self.step.replace('_', ' ')} + {self.delay_s * 1000:.0f} ms"

    def is_in(self, line: Mapping[str, Any]) -> bool:
        """Whether this is the line that it waits for."""
        if self.step == JUDGING:
            return bool(line["kind"] == "finished")
        if not self.fault:
            return bool(line["kind"] == "phase" and line["phase"] == self.step)
        return bool(line["kind"] == "fault" and line["phase"] == self.step and line["fault"] == self.fault)


def moments(count: int) -> list[Moment]:
    """So many, spread evenly over all phases and steps; one that comes again has another delay."""
    steps = [
        *(Moment(step) for step in BEFORE),
        *(Moment(step, fault) for step in STEPS for fault in FAULTS),
        *(Moment(step) for step in AFTER),
    ]
    chosen = (steps[number * len(steps) // count] for number in range(count))
    return [Moment(one.step, one.fault, round(SPREAD_S * (number * 7 % 16) / 16, 3)) for number, one in enumerate(chosen)]
