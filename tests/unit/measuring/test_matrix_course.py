"""When a row is tried again, and when not; what is written of a measurement."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from accuracy.matrix import course
from accuracy.matrix.bench import Bench
from accuracy.matrix.comparison import OUR_TROUBLE
from accuracy.matrix.course import Course
from accuracy.matrix.rows import CellName, Row
from accuracy.matrix.sabotages import CONTROLS, SABOTAGES
from accuracy.matrix.subset import CI
from accuracy.matrix.trial import Order, Trial, TrialError
from accuracy.results import Results, write_results
from accuracy.sandbox import SandboxTrouble
from steady_state.judge import CRITERIA

ROW = Row("flaw", "flaw", "", "x.json", CellName("kill", "breakers"), "FAIL", flaws=("flaw",))
CAUGHT, MISSED = ("FAIL", "because"), ("PASS", "because")
BUSY = ("INCONCLUSIVE", f"2 s {OUR_TROUBLE[0]}")


class FakeBench(Bench):
    """Stands until told otherwise; counts what is asked of it."""

    def __init__(self, *, falls: int = 0) -> None:
        super().__init__("fake", lambda _: None)
        self.falls = falls
        self.planted: list[tuple[str, ...]] = []
        self.renewed = 0

    def plant(self, flaws: tuple[str, ...]) -> dict[str, str]:
        self.planted.append(flaws)
        if self.falls:
            raise SandboxTrouble("no sandbox is running")
        return {}

    def stands(self) -> bool:
        return not self.falls

    def renew(self) -> None:
        self.falls -= 1
        self.renewed += 1


async def ran(monkeypatch: pytest.MonkeyPatch, folder: Path, bench: FakeBench, *ends: tuple[str, str] | TrialError) -> Course:
    left = list(ends)

    async def trial(order: Order) -> Trial:
        order.folder.mkdir()
        end = left.pop(0)
        if isinstance(end, TrialError):
            raise end
        cells: list[dict[str, Any]] = [{"fault": "kill", "criterion": "breakers", "verdict": end[0], "because": end[1]}]
        return Trial({"cells": cells, "ended": {"how": "completed"}}, order.folder)

    monkeypatch.setattr(course, "trial", trial)
    one = Course([ROW], bench, folder, lambda _: None)
    await one.run()
    assert not left
    return one


async def test_a_row_as_declared_is_run_once_and_leaves_no_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    bench = FakeBench()
    one = await ran(monkeypatch, tmp_path, bench, CAUGHT)
    assert one.outcomes[0].good
    assert one.outcomes[0].notes == ()
    assert bench.planted == [("flaw",)]
    assert list(tmp_path.iterdir()) == []


async def test_a_miss_is_a_result_and_is_not_tried_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    one = await ran(monkeypatch, tmp_path, FakeBench(), MISSED)
    assert not one.outcomes[0].good
    assert Path(one.outcomes[0].run).is_dir()


async def test_what_we_left_open_is_tried_once_more_and_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    bench = FakeBench()
    one = await ran(monkeypatch, tmp_path, bench, BUSY, CAUGHT)
    assert one.outcomes[0].good
    assert "repeated once" in one.outcomes[0].notes[0]
    assert bench.planted == [("flaw",), ("flaw",)]


async def test_there_is_no_third_try(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    one = await ran(monkeypatch, tmp_path, FakeBench(), BUSY, BUSY)
    assert not one.outcomes[0].good


async def test_a_sandbox_that_toppled_is_made_anew_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    bench = FakeBench(falls=1)
    one = await ran(monkeypatch, tmp_path, bench, CAUGHT)
    assert one.outcomes[0].good
    assert bench.renewed == 1
    assert "toppled" in one.outcomes[0].notes[0]


async def test_a_run_without_a_report_is_no_catch(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    one = await ran(monkeypatch, tmp_path, FakeBench(), TrialError("it left no report"))
    assert not one.outcomes[0].caught
    assert "it left no report" in one.outcomes[0].words()


def test_every_sabotage_and_control_names_cells_and_an_experiment_that_exist() -> None:
    names = [row.name for row in (*SABOTAGES, *CONTROLS)]
    assert len(names) == len(set(names))
    for row in (*SABOTAGES, *CONTROLS):
        document = json.loads((course.ROOT / row.experiment).read_text())
        activities = {activity["name"] for activity in document["method"]}
        cells = [*row.may_follow, *([row.cell] if row.cell else [])]
        assert {cell.fault for cell in cells} <= activities | {"baseline"}, row.name
        assert {cell.criterion for cell in cells} <= set(CRITERIA), row.name
        assert (row.cell is None) == (row.kind == "control")


def test_the_subset_for_ci_has_two_sabotages_and_each_row_once() -> None:
    assert len(CI) == len(set(CI))
    assert len(set(CI) & {row.name for row in SABOTAGES}) == 2


def test_results_are_written_whole_with_date_and_machine(tmp_path: Path) -> None:
    path = write_results(Results("matrix", "all caught", True, {"caught": 1}, [{"name": "x"}]), tmp_path / "results")
    document = json.loads(path.read_text())
    assert path.name == "matrix.json"
    assert list(document) == ["target", "schema_version", "date", "machine", "goal", "met", "figures", "rows"]
    assert document["date"].endswith("+00:00")
    assert set(document["machine"]) == {"cpus", "model", "kernel", "python"}
    assert [one.name for one in path.parent.iterdir()] == ["matrix.json"]
