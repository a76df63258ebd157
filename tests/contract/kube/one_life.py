"""The life of one fault as a command, for a place from which pods can be reached: `one_life.py DESCRIPTION EXPERIMENT LEDGER`.

The one fault of the experiment, at second 13 instead of its own instant. Says what was recorded as a JSON list of lines on stdout.
"""

import asyncio
import json
import sys
from dataclasses import replace
from pathlib import Path
from random import Random

from orchestrator.experiment_file import read_experiment
from orchestrator.fault_life import FaultLife
from orchestrator.faults.base import Surroundings
from orchestrator.faults.kinds import make_fault
from orchestrator.guards import beyond
from orchestrator.ledger import Ledger
from orchestrator.plan import read_plan
from probes.clock import SystemClock
from probes.target import load_description
from steady_state.observations import Observation

AT_S = 13.0
"""A fault is prepared 12 s before."""


async def main(description: str, experiment: str, ledger: str) -> None:
    told, clock = load_description(Path(description).read_text(encoding="utf-8"), source=description), SystemClock()
    (planned,) = read_plan(read_experiment(Path(experiment))).faults
    planned = replace(planned, at_s=AT_S)
    around = Surroundings(planned.name, "run-1", told, told.roles[planned.settings.role], clock)
    lines: list[Observation] = []
    life = FaultLife(
        planned=planned,
        fault=make_fault(planned.kind, planned.settings, around),
        ledger=Ledger(Path(ledger)),
        record=lines.append,
        clock=clock,
        aborted=asyncio.Event(),
        start=clock.now(),
        rng=Random(1),
        tell=lambda _text: None,
        objection=lambda radius: beyond(radius, told.blast_caps),
    )
    await life.run()
    print(json.dumps([line.model_dump(mode="json") for line in lines]))


asyncio.run(main(*sys.argv[1:]))
