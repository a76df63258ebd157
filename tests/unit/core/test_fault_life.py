"""The life of one fault in virtual time: order and instants, late and silent targets, aborts; it is always healed, once."""

from __future__ import annotations

from pathlib import Path

import pytest
from scripted_fault import AT_S, FELT, READ_BACK, Act, gives, hangs, live, raises, receipt

from orchestrator.errors import HealFailed, TargetError
from orchestrator.faults.base import Exposure

ALL = ["prepared", "exposure", "injecting", "injected", "proof", "healing", "healed"]
HELD = [*ALL[:5], "still_felt", *ALL[5:]]
REFUSES = TargetError("it will not")


def test_a_held_fault_takes_its_steps_at_their_instants(tmp_path: Path) -> None:
    told = live(tmp_path, hold_s=12)
    assert told.phases == HELD
    assert [(step, t) for step, t in told.fault.calls] == [
        ("prepare", 28),
        ("exposure", 39),
        ("inject", 40),
        ("prove", 40),
        ("prove", 46),
        ("heal", 52),
        ("close", 52),
    ]
    assert told.instant("healed") == 52
    assert (told.course.injected, told.course.felt, told.course.healed, told.course.drift_s, told.course.trouble) == (
        True,
        True,
        True,
        0,
        "",
    )


def test_a_one_shot_fault_ends_with_its_proof(tmp_path: Path) -> None:
    told = live(tmp_path, {"prove": gives(READ_BACK, 0.5)})
    assert told.phases == ALL
    assert told.line("proof").data == {"grade": "read_back", "detail": "it is there"}
    assert told.instant("proof") == pytest.approx(AT_S + 10, abs=0.7)
    assert not told.course.felt


def test_the_receipt_is_in_the_ledger_before_the_first_write_and_closed_after_the_heal(tmp_path: Path) -> None:
    told = live(tmp_path, hold_s=12)
    assert told.fault.open_at_inject == ["cut"]
    assert told.ledger.open_receipts() == []


def test_the_ledger_is_mirrored_before_the_first_write_and_after_the_heal(tmp_path: Path) -> None:
    told = live(tmp_path, hold_s=12)
    assert told.mirror.copies == [["cut"], []]


def test_without_its_receipt_where_others_find_it_nothing_is_injected(tmp_path: Path) -> None:
    told = live(tmp_path, hold_s=12, mirror_refuses=REFUSES)
    assert told.fault.count("inject") == 0
    assert told.course.trouble == "it will not; it will not"
    assert (told.course.injected, told.ledger.open_receipts()) == (False, [])
    assert "failed" in told.phases


def test_a_mirror_that_cannot_be_brought_up_to_date_does_not_unheal_the_fault(tmp_path: Path) -> None:
    told = live(tmp_path, hold_s=12, mirror_refuses=REFUSES, mirror_from=1)
    assert (told.course.injected, told.course.healed, told.course.trouble) == (True, True, "it will not")
    assert told.phases == HELD
    assert told.fault.count("close") == 1


def test_slow_answers_do_not_move_the_injection(tmp_path: Path) -> None:
    script = {"prepare": gives(receipt(), 7.9), "exposure": gives(Exposure(7, "a counter"), 0.9), "inject": gives(None, 3)}
    told = live(tmp_path, script, hold_s=12)
    assert told.fault.at("inject") == told.instant("injecting") == AT_S
    assert told.instant("injected") == AT_S + 3
    assert told.fault.at("heal") == AT_S + 12


def test_counters_that_come_late_make_the_injection_late_and_that_is_recorded(tmp_path: Path) -> None:
    told = live(tmp_path, {"exposure": gives(Exposure(7, "a counter"), 5)}, hold_s=12)
    assert told.course.drift_s == 4
    assert told.instant("injecting") == AT_S + 4
    assert told.fault.at("heal") == AT_S + 16


@pytest.mark.parametrize("step", ["prepare", "exposure"])
@pytest.mark.parametrize("trouble", [raises(REFUSES), hangs, raises(KeyError("name"))])
def test_trouble_before_the_write_injects_nothing(tmp_path: Path, step: str, trouble: Act) -> None:
    told = live(tmp_path, {step: trouble}, hold_s=12)
    assert told.fault.count("inject") == told.fault.count("heal") == 0
    assert told.phases[-1] == "failed"
    assert told.line("failed").data["reason"] == told.course.trouble != ""
    assert told.fault.count("close") == 1
    assert not told.course.injected
    assert told.ledger.open_receipts() == []


@pytest.mark.parametrize("trouble", [raises(REFUSES), hangs, raises(AssertionError())])
def test_a_failed_injection_is_healed_at_once(tmp_path: Path, trouble: Act) -> None:
    told = live(tmp_path, {"inject": trouble}, hold_s=12)
    assert told.phases == ["prepared", "exposure", "injecting", "failed", "healing", "healed"]
    assert told.fault.count("heal") == 1
    assert told.ended_s <= AT_S + 8
    assert not told.course.injected
    assert told.course.trouble


def test_a_proof_may_come_after_some_looks(tmp_path: Path) -> None:
    looks = iter([raises(REFUSES), gives(READ_BACK), gives(READ_BACK)])

    async def prove() -> object:
        return await next(looks, gives(FELT))()

    told = live(tmp_path, {"prove": prove}, hold_s=12)
    assert told.course.felt
    assert told.instant("proof") == pytest.approx(AT_S + 0.3)


def test_the_best_proof_stands_also_when_later_looks_fail(tmp_path: Path) -> None:
    looks = iter([gives(READ_BACK)])

    async def prove() -> object:
        return await next(looks, raises(REFUSES))()

    told = live(tmp_path, {"prove": prove}, hold_s=12)
    assert told.line("proof").data["grade"] == "read_back"


@pytest.mark.parametrize("hold_s", [5, 10, 12])
def test_a_proof_that_never_comes_is_recorded_whenever_the_hold_ends(tmp_path: Path, hold_s: float) -> None:
    told = live(tmp_path, {"prove": hangs}, hold_s=hold_s)
    assert told.phases.count("proof") == 1
    assert told.line("proof").data["grade"] == "acknowledged"
    assert told.fault.at("heal") == AT_S + hold_s
    assert not told.course.felt


@pytest.mark.parametrize("later", [gives(READ_BACK), raises(REFUSES), hangs])
def test_an_effect_that_is_no_longer_felt_before_the_end_is_recorded_and_the_heal_is_on_time(tmp_path: Path, later: Act) -> None:
    looks = iter([gives(FELT)])

    async def prove() -> object:
        return await next(looks, later)()

    told = live(tmp_path, {"prove": prove}, hold_s=12)
    assert told.course.felt
    assert told.line("still_felt").data["grade"] in ("read_back", "acknowledged")
    assert told.fault.at("heal") == AT_S + 12


def test_a_second_proof_that_an_abort_cut_short_says_nothing(tmp_path: Path) -> None:
    looks = iter([gives(FELT)])

    async def prove() -> object:
        return await next(looks, hangs)()

    told = live(tmp_path, {"prove": prove}, hold_s=12, abort_at_s=AT_S + 8)
    assert "still_felt" not in told.phases
    assert told.fault.at("heal") == AT_S + 8


def test_what_was_never_felt_is_not_looked_for_again(tmp_path: Path) -> None:
    assert "still_felt" not in live(tmp_path, {"prove": gives(READ_BACK)}, hold_s=15).phases


@pytest.mark.parametrize("hold_s", [0, 12])
def test_a_bug_in_a_proof_is_trouble_and_still_healed(tmp_path: Path, hold_s: float) -> None:
    told = live(tmp_path, {"prove": raises(ValueError("bug"))}, hold_s=hold_s)
    assert "ValueError: bug" in told.course.trouble
    assert told.course.healed
    assert told.fault.at("heal") == AT_S + hold_s


@pytest.mark.parametrize(
    ("trouble", "words"),
    [
        (raises(HealFailed("link x is cut", "curl it")), "curl it"),
        (hangs, "TimeoutError"),
        (raises(KeyError("toxic")), "KeyError: 'toxic'"),
    ],
)
def test_a_failed_heal_leaves_the_receipt_open_and_says_so(tmp_path: Path, trouble: Act, words: str) -> None:
    told = live(tmp_path, {"heal": trouble}, hold_s=12)
    assert told.phases[-1] == "heal_failed"
    assert told.line("heal_failed").data["remedy"]
    assert words in told.course.trouble
    assert not told.course.healed
    assert [one.fault for one in told.ledger.open_receipts()] == ["cut"]
    assert told.ended_s <= AT_S + 12 + 24


@pytest.mark.parametrize("hold_s", [0, 12])
@pytest.mark.parametrize(
    ("abort_at_s", "last_step"),
    [(0, ""), (20, ""), (28.5, "prepare"), (33, "prepare"), (39.2, "exposure"), (39.8, "exposure"), (40.2, "inject"), (41, "inject")],
)
def test_an_abort_in_any_phase_heals_what_is_open_exactly_once(tmp_path: Path, hold_s: float, abort_at_s: float, last_step: str) -> None:
    script = {
        "prepare": gives(receipt(), 1),
        "exposure": gives(Exposure(7, "a counter"), 0.5),
        "inject": gives(None, 0.5),
        "prove": gives(READ_BACK, 0.1),
    }
    told = live(tmp_path, script, hold_s=hold_s, abort_at_s=abort_at_s)
    done = [step for step in ("prepare", "exposure", "inject") if told.fault.count(step)]
    assert (done[-1] if done else "") == last_step
    assert told.fault.count("heal") == (1 if "exposure" in done else 0)
    assert told.ledger.open_receipts() == []
    assert told.ended_s <= abort_at_s + 1
    assert told.fault.count("close") == 1


def test_an_abort_does_not_cut_a_heal(tmp_path: Path) -> None:
    told = live(tmp_path, {"heal": gives(None, 3)}, hold_s=12, abort_at_s=AT_S + 13)
    assert told.fault.count("heal") == 1
    assert told.course.healed
    assert told.ended_s == AT_S + 15


def test_a_hanging_injection_that_is_aborted_is_healed_at_its_time_out(tmp_path: Path) -> None:
    told = live(tmp_path, {"inject": hangs}, hold_s=12, abort_at_s=AT_S + 1)
    assert told.fault.count("heal") == 1
    assert told.ended_s == AT_S + 8


@pytest.mark.parametrize("phase", ["prepared", "exposure", "injecting"])
def test_what_cannot_be_recorded_is_not_injected(tmp_path: Path, phase: str) -> None:
    told = live(tmp_path, hold_s=12, unwritable_from=phase)
    assert told.fault.count("inject") == 0
    assert "no space left" in told.course.trouble
    assert told.ledger.open_receipts() == []


@pytest.mark.parametrize("phase", ["injected", "proof", "healing", "healed"])
def test_a_full_disk_keeps_no_fault_from_being_healed(tmp_path: Path, phase: str) -> None:
    told = live(tmp_path, hold_s=12, unwritable_from=phase)
    assert told.fault.count("heal") == 1
    assert told.course.healed
    assert "no space left" in told.course.trouble
    assert told.ledger.open_receipts() == []


def test_a_ledger_that_cannot_be_written_means_no_injection(tmp_path: Path) -> None:
    (tmp_path / "ledger.jsonl").mkdir()
    told = live(tmp_path, hold_s=12)
    assert told.fault.count("inject") == told.fault.count("heal") == 0
    assert "the ledger" in told.course.trouble


@pytest.mark.parametrize("trouble", [hangs, raises(RuntimeError("closed"))])
def test_connections_that_do_not_close_do_not_keep_the_life_from_ending(tmp_path: Path, trouble: Act) -> None:
    told = live(tmp_path, {"close": trouble}, hold_s=12)
    assert told.course.healed
    assert told.ended_s <= AT_S + 12 + 8


def test_what_would_touch_too_much_by_then_is_not_injected(tmp_path: Path) -> None:
    told = live(tmp_path, objection="it would take 1 of 1 pods")
    assert told.phases == ["failed"]
    assert told.line("failed").data == {"reason": "cut: it would take 1 of 1 pods"}
    assert (told.fault.count("prepare"), told.fault.count("inject")) == (0, 0)
