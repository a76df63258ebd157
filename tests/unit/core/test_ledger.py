"""The ledger: receipts survive torn lines and new starts; what cannot be written is an error."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from scripted_fault import receipt

from orchestrator.errors import HarnessError
from orchestrator.ledger import Ledger


def names(ledger: Ledger) -> list[str]:
    return [one.fault for one in ledger.open_receipts()]


def test_open_receipts_come_back_whole_the_newest_first(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.jsonl")
    assert ledger.open_receipts() == []
    first, second = receipt("first"), receipt("second")
    ledger.open(first)
    ledger.open(second)
    assert Ledger(ledger.path).open_receipts() == [second, first]
    ledger.close(second)
    assert Ledger(ledger.path).open_receipts() == [first]


def test_a_healed_fault_may_be_opened_again(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.jsonl")
    for _ in range(3):
        ledger.open(receipt())
        ledger.close(receipt())
    assert names(ledger) == []


def test_a_second_receipt_would_hide_the_first(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.jsonl")
    ledger.open(receipt())
    with pytest.raises(HarnessError, match="heal it first"):
        ledger.open(receipt())
    assert names(ledger) == ["cut"]


@pytest.mark.parametrize("kept", [0, 1, 2, 20, 100, 150, 400])
def test_a_line_that_a_crash_cut_off_takes_nothing_with_it(tmp_path: Path, kept: int) -> None:
    ledger = Ledger(tmp_path / "ledger.jsonl")
    ledger.open(receipt("whole"))
    before = ledger.path.stat().st_size
    ledger.open(receipt("torn"))
    size = min(before + kept, ledger.path.stat().st_size)
    os.truncate(ledger.path, size)
    assert set(names(ledger)) <= {"whole", "torn"}
    again = Ledger(ledger.path)
    again.open(receipt("after"))
    assert {"whole", "after"} <= set(names(again))
    again.close(receipt("whole"))
    assert "whole" not in names(again)
    assert "after" in names(again)


def test_bytes_that_are_no_text_are_no_line(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.jsonl")
    ledger.open(receipt())
    with ledger.path.open("ab") as file:
        file.write(b"\xff\xfe\x00")
    assert names(ledger) == ["cut"]
    ledger.close(receipt())
    assert names(ledger) == []


def test_a_receipt_that_does_not_reach_the_disk_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_number: int) -> None:
        raise OSError(errno.EIO, "input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(HarnessError, match="input/output error"):
        Ledger(tmp_path / "ledger.jsonl").open(receipt())


@pytest.mark.parametrize("place", ["missing/ledger.jsonl", ""])
def test_a_place_that_cannot_be_written_is_an_error(tmp_path: Path, place: str) -> None:
    with pytest.raises(HarnessError, match="cannot be"):
        Ledger(tmp_path / place).open(receipt())
