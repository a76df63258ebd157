"""The host probe: shares from the kernel's counters, and silence where there are none."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import cast

import pytest
from virtual_time import START_S, VirtualClock, run_virtual

from probes.host import HostProbe, Ticks, parse
from steady_state.observations import BeatLine, GapLine, HostLine, Observation

FIRST = "cpu  1000 0 500 8000 100 10 20 70 300 0\ncpu0 500 0 250 4000 50 5 10 35 0 0\n"


def seen(proc_stat: Path, changes: dict[float, str | None]) -> list[Observation]:
    """What the probe records in 6.5 s while the file changes at these instants (None: it cannot be read)."""

    async def main(clock: VirtualClock) -> list[Observation]:
        lines, stop = cast("list[Observation]", []), asyncio.Event()
        loop = asyncio.get_running_loop()
        for at, text in changes.items():
            loop.call_later(at, proc_stat.write_text if text is not None else lambda _: proc_stat.unlink(), text or "")
        loop.call_later(6.5, stop.set)
        await HostProbe(clock=clock, proc_stat=proc_stat).run(lines.append, stop)
        return lines

    return run_virtual(main)


def hosts(lines: list[Observation]) -> list[tuple[float, float, float]]:
    return [(line.t - START_S, line.steal_ratio, line.busy_ratio) for line in lines if isinstance(line, HostLine)]


def test_the_line_of_all_processors_is_read_and_guests_are_not_counted_twice() -> None:
    assert parse(FIRST.partition("\n")[0]) == Ticks(busy=1530, steal=70, total=9700)


@pytest.mark.parametrize("line", ["", "cpu0 1 2 3 4 5 6 7 8", "cpu 1 2 3", "cpu a b c d e f g h", "intr 1 2 3 4 5 6 7 8"])
def test_another_line_is_not_taken_for_it(line: str) -> None:
    assert parse(line) is None


def test_shares_are_those_of_the_last_second(tmp_path: Path) -> None:
    path = tmp_path / "stat"
    path.write_text(FIRST)
    # 200 ticks more: 60 user, 100 idle, 40 stolen; then 100 more, all idle.
    second = "cpu  1060 0 500 8100 100 10 20 110 300 0\n"
    third = "cpu  1060 0 500 8200 100 10 20 110 300 0\n"
    found = hosts(seen(path, {0.5: second, 1.5: third}))
    assert found[:2] == [(1.0, 0.2, 0.3), (2.0, 0.0, 0.0)]


def test_counters_that_stand_still_are_no_observation(tmp_path: Path) -> None:
    path = tmp_path / "stat"
    path.write_text(FIRST)
    assert hosts(seen(path, {})) == []


def test_a_machine_without_the_file_records_nothing_and_goes_on_until_the_end(tmp_path: Path) -> None:
    assert seen(tmp_path / "none", {}) == []


def test_a_file_that_goes_away_is_a_gap(tmp_path: Path) -> None:
    path = tmp_path / "stat"
    path.write_text(FIRST)
    lines = seen(path, {0.5: FIRST.replace("8000", "8100"), 1.5: None})
    assert [(line.subject, line.from_t - START_S) for line in lines if isinstance(line, GapLine)] == [("host", 1.0)]
    assert [line for line in lines if isinstance(line, BeatLine)]


@pytest.mark.skipif(not Path("/proc/stat").is_file(), reason="Linux only")
def test_the_real_file_is_understood() -> None:
    found = parse(Path("/proc/stat").read_text(encoding="ascii").partition("\n")[0])
    assert found is not None
    assert found.total >= found.busy + found.steal > 0
