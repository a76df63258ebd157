"""The table of planted defects: each is a setting that differs, and an experiment that holds its fault."""

import json
from pathlib import Path

import pytest

from sandbox.flaws import FLAWS, Flaw
from sandbox.settings import Settings
from steady_state.judge import BASELINE, CRITERIA

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("flaw", FLAWS, ids=[flaw.name for flaw in FLAWS])
def test_a_flaw_changes_settings_and_names_a_cell_of_its_experiment(flaw: Flaw) -> None:
    assert Settings(**flaw.settings) != Settings()  # type: ignore[arg-type]
    experiment = json.loads((ROOT / flaw.experiment).read_text(encoding="utf-8"))
    faults = {entry["name"] for entry in experiment["method"] if entry["type"] == "action"}
    for fault, criterion in ((flaw.fault, flaw.criterion), *flaw.may_follow):
        assert fault in faults | {BASELINE}
        assert criterion in CRITERIA
    assert (flaw.fault, flaw.criterion) not in flaw.may_follow


def test_every_flaw_has_its_own_name_and_changes_something_of_its_own() -> None:
    assert len({flaw.name for flaw in FLAWS}) == len(FLAWS)
    assert len({Settings(**flaw.settings).model_dump_json() for flaw in FLAWS}) == len(FLAWS)  # type: ignore[arg-type]
