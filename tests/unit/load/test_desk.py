"""A serving worker's answers: nothing is lost when an answer is, nothing is told without the key, commands count once."""

from __future__ import annotations

import asyncio

import pytest
from pydantic import BaseModel
from virtual_time import START_S, VirtualClock, run_virtual

from orchestrator.load import wire
from orchestrator.load.desk import Desk
from orchestrator.load.kept_lines import AT_ONCE, KeptLines, NotHereError
from orchestrator.load.serving import UNHEARD_S, unheard

KEY = "hush"


class Line(BaseModel):
    n: int


def filled(count: int) -> KeptLines:
    lines = KeptLines()
    for n in range(count):
        lines.add(Line(n=n))
    return lines


def numbers(texts: list[str]) -> list[int]:
    return [Line.model_validate_json(text).n for text in texts]


def test_lines_are_given_again_until_the_reader_has_them() -> None:
    lines = filled(5)
    assert numbers(lines.read(0)) == numbers(lines.read(0)) == [0, 1, 2, 3, 4]
    assert numbers(lines.read(3)) == [3, 4]
    lines.add(Line(n=5))
    assert numbers(lines.read(5)) == [5]
    assert lines.read(6) == []
    for known_elsewhere in (4, 8):
        with pytest.raises(NotHereError, match=f"asked for lines from {known_elsewhere} on"):
            lines.read(known_elsewhere)


def test_many_lines_come_in_several_answers() -> None:
    lines = filled(AT_ONCE + 3)
    first = lines.read(0)
    assert len(first) == AT_ONCE
    assert numbers(lines.read(AT_ONCE)) == [AT_ONCE, AT_ONCE + 1, AT_ONCE + 2]


def test_an_answer_that_was_cut_off_is_none() -> None:
    report = wire.Report(now_s=1.5, first=2, count=2, state="working")
    whole = wire.written(report, ["a", "b"])
    assert wire.read(whole) == (report, [b"a", b"b"])
    for cut in (whole[:-1], whole[:-2], whole[:20], b"", b"404 page not found\n"):
        with pytest.raises(ValueError, match=r"cut off|none of a load worker"):
            wire.read(cut)


def test_a_question_loses_no_digit_on_its_way() -> None:
    question = wire.Question(first=3, start_s=0.1 + 0.2, ahead_s=-1e-9, stop_s=1e300)
    assert wire.Question.model_validate(question.query()) == question


def target(**told: float) -> str:
    return f"{wire.PATH}?" + "&".join(f"{name}={value!r}" for name, value in ({"first": 0} | told).items())


def test_the_desk_asks_for_its_key_and_for_sense() -> None:
    async def main(clock: VirtualClock) -> None:
        desk = Desk(KEY, filled(1), clock.now)
        assert desk.answer(target(), KEY)[0] == 200
        for path, key, status in (
            (target(), "", 403),
            (target(), "hush ", 403),
            ("/", KEY, 404),
            (wire.PATH, KEY, 400),
            (target(first=-1), KEY, 400),
            (target(start_s=1.0), KEY, 400),
            (target(start_s=float("nan"), ahead_s=0.0), KEY, 400),
            (target(other=1), KEY, 400),
            (target(first=9), KEY, wire.GONE_ON),
        ):
            assert desk.answer(path, key)[0] == status, path
        assert not desk.begun.done()

    run_virtual(main)


def test_start_and_stop_count_once_whenever_they_come() -> None:
    async def main(clock: VirtualClock) -> None:
        stops: list[float | None] = []
        desk = Desk(KEY, filled(0), clock.now)
        desk.answer(target(start_s=5.5, ahead_s=2.0), KEY)
        desk.answer(target(start_s=6.5, ahead_s=3.0, stop_s=9.0), KEY)
        desk.commanded(stops.append)
        desk.answer(target(stop_s=10.0), KEY)
        assert await desk.begun == (5.5, 2.0)
        assert stops == [9.0]

    run_virtual(main)


def test_a_stranger_without_the_key_does_not_keep_a_worker_alive() -> None:
    async def main(clock: VirtualClock) -> None:
        desk = Desk(KEY, filled(0), clock.now)
        await asyncio.sleep(5)
        desk.answer(target(), "guess")
        assert desk.heard_s == START_S
        _, body = desk.answer(target(), KEY)
        assert desk.heard_s == wire.read(body)[0].now_s == START_S + 5

    run_virtual(main)


def test_a_worker_that_nobody_asks_any_more_gives_up() -> None:
    async def main(clock: VirtualClock) -> float:
        desk = Desk(KEY, filled(0), clock.now)
        waiting = asyncio.create_task(unheard(desk, clock))
        await asyncio.sleep(UNHEARD_S - 1)
        desk.answer(target(), KEY)
        await waiting
        return clock.now() - START_S

    assert 2 * UNHEARD_S - 1 <= run_virtual(main) <= 2 * UNHEARD_S + 1
