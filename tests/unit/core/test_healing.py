"""What a run that is over left behind: shown, healed, kept open when it cannot be healed, never touched while the run lives."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from scripted_fault import Act, ScriptedFault, gives, hangs, raises, receipt

from orchestrator import heal_command, healing
from orchestrator.errors import HarnessError, HealFailed, RefusedError, TargetError
from orchestrator.healing import heal, leftovers
from orchestrator.inbox import Inbox, Message
from orchestrator.interposing.way_back import INTERPOSITION
from orchestrator.ledger import Ledger
from orchestrator.leftovers import refuse_leftovers
from orchestrator.operator_commands import abort, note
from orchestrator.run_directory import RunDirectory, open_run_directory
from orchestrator.run_lock import RunLock
from orchestrator.targeting import described
from probes.clock import SystemClock
from sandbox.describe import Place, description

FAULTS: dict[str, ScriptedFault] = {}


@pytest.fixture(autouse=True)
def faults(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, ScriptedFault]:
    """Faults by name, which `heal` gets instead of real ones; commands are given in the test's folder."""
    FAULTS.clear()
    monkeypatch.setattr(healing, "fault_of", lambda receipt, _description, _clock: FAULTS[receipt.fault])
    monkeypatch.setattr(healing, "HEAL_S", 0.2)
    monkeypatch.setattr(healing, "mirror_of", lambda _description, _directory: None)
    monkeypatch.delenv("CHAOS_TARGET", raising=False)
    monkeypatch.chdir(tmp_path)
    return FAULTS


def a_run(name: str = "run-1", **scripts: dict[str, Act]) -> RunDirectory:
    """A run directory below ./runs with an open receipt of each fault, which does what its script says."""
    directory = RunDirectory(Path("runs", name).resolve())
    directory.path.mkdir(parents=True)
    kubeconfig = directory.path / "kubeconfig"
    kubeconfig.touch()
    directory.target.write_text(description(Place(kubeconfig, None)))
    directory.recording.write_text("{}\n")
    ledger = Ledger(directory.ledger)
    for fault, script in scripts.items():
        ledger.open(receipt(fault))
        FAULTS[fault] = ScriptedFault(script, ledger)
    return directory


def states(directory: RunDirectory) -> dict[str, str]:
    return {one.fault: one.state for one in asyncio.run(heal(directory, SystemClock()))}


def open_faults(directory: RunDirectory) -> list[str]:
    return [one.fault for one in Ledger(directory.ledger).open_receipts()]


def test_looking_touches_nothing_and_names_the_newest_first() -> None:
    directory = a_run(first={}, second={})
    assert [(one.fault, one.state) for one in leftovers(directory)] == [("second", "open"), ("first", "open")]
    assert all(not fault.calls for fault in FAULTS.values())


def test_everything_is_healed_and_closed_and_a_second_heal_has_nothing_to_do() -> None:
    directory = a_run(first={}, second={})
    assert states(directory) == {"first": "healed", "second": "healed"}
    assert [fault.count("close") for fault in FAULTS.values()] == [1, 1]
    assert open_faults(directory) == []
    assert states(directory) == {}
    assert [fault.count("heal") for fault in FAULTS.values()] == [1, 1]


def test_what_cannot_be_healed_stays_open_with_the_command_for_a_person() -> None:
    directory = a_run(well={}, broken={"heal": raises(HealFailed("proxy x is stuck", "curl it"))}, silent={"heal": hangs})
    found = {one.fault: one for one in asyncio.run(heal(directory, SystemClock()))}
    assert {name: one.state for name, one in found.items()} == {"well": "healed", "broken": "left", "silent": "left"}
    assert (found["broken"].trouble, found["broken"].remedy) == ("proxy x is stuck", "curl it")
    assert found["silent"].trouble == "not healed within 0.2 s"
    assert str(directory.ledger) in found["silent"].remedy
    assert sorted(open_faults(directory)) == ["broken", "silent"]


def test_an_interposition_is_taken_away_after_the_faults_on_its_link() -> None:
    order: list[str] = []

    def healing_of(name: str, after_s: float) -> Act:
        async def act() -> None:
            await asyncio.sleep(after_s)
            order.append(name)

        return act

    directory = a_run(cut={"heal": healing_of("cut", 0.05)}, late={"heal": healing_of("late", 0.0)})
    ledger = Ledger(directory.ledger)
    ledger.open(receipt("interposed").model_copy(update={"kind": INTERPOSITION}))
    FAULTS["interposed"] = ScriptedFault({"heal": healing_of("interposed", 0.0)}, ledger)
    assert states(directory) == {"cut": "healed", "late": "healed", "interposed": "healed"}
    assert order == ["late", "cut", "interposed"]


def test_a_target_error_is_told_and_not_raised() -> None:
    directory = a_run(cut={"heal": raises(TargetError("the API server answered 500"))})
    (one,) = asyncio.run(heal(directory, SystemClock()))
    assert (one.state, one.trouble) == ("left", "the API server answered 500")


def test_a_live_run_is_never_touched() -> None:
    directory = a_run(cut={})
    with RunLock(directory.lock) as lock:
        assert lock.take()
        (one,) = asyncio.run(heal(directory, SystemClock()))
        assert (one.state, one.fault, one.clean) == ("live", "", False)
        assert FAULTS["cut"].calls == []
    assert states(directory) == {"cut": "healed"}


def test_a_sandbox_that_ended_with_its_run_took_the_faults_with_it() -> None:
    directory = a_run(cut={})
    directory.owned_sandbox.write_text("{}")
    (directory.path / "kubeconfig").unlink()
    assert states(directory) == {"cut": "gone"}
    assert (FAULTS["cut"].calls, open_faults(directory)) == ([], [])


def test_a_missing_kubeconfig_of_a_platform_that_is_not_ours_is_no_proof_that_it_is_gone() -> None:
    directory = a_run(cut={"heal": raises(TargetError("no such file"))})
    (directory.path / "kubeconfig").unlink()
    assert states(directory) == {"cut": "left"}


def test_receipts_without_a_target_description_are_never_called_clean() -> None:
    directory = a_run(cut={})
    directory.target.unlink()
    (one,) = asyncio.run(heal(directory, SystemClock()))
    assert (one.state, one.trouble) == ("left", f"{directory.target} is missing")
    assert FAULTS["cut"].calls == []


def test_the_command_heals_all_runs_and_its_exit_code_says_whether_the_target_is_clean(capsys: pytest.CaptureFixture[str]) -> None:
    a_run("run-1", first={})
    a_run("run-2", second={"heal": raises(HealFailed("stuck", "kubectl scale it"))})
    assert heal_command.run(None, target=None, look_only=False, as_json=False) == 1
    said = capsys.readouterr().out
    assert "run-1: first (partition) on link x: healed and read back" in said
    assert "run-2: second (partition) on link x: COULD NOT BE HEALED\n  stuck\n  by hand: kubectl scale it" in said
    FAULTS["second"].script.clear()
    assert heal_command.run(Path("runs/run-2"), target=None, look_only=False, as_json=False) == 0
    assert heal_command.run(None, target=None, look_only=False, as_json=False) == 0
    assert "nothing is left behind" in capsys.readouterr().out


def test_list_and_json_show_what_is_open(capsys: pytest.CaptureFixture[str]) -> None:
    a_run(cut={})
    assert heal_command.run(None, target="sandbox", look_only=True, as_json=True) == 1
    (one,) = json.loads(capsys.readouterr().out)
    assert (one["run"], one["fault"], one["state"]) == ("run-1", "cut", "open")
    assert heal_command.run(None, target="another", look_only=True, as_json=True) == 0
    assert json.loads(capsys.readouterr().out) == []


def test_a_live_run_without_a_fault_is_not_called_clean(capsys: pytest.CaptureFixture[str]) -> None:
    directory = a_run()
    with RunLock(directory.lock) as lock:
        assert lock.take()
        assert heal_command.run(directory.path, target=None, look_only=False, as_json=False) == 1
    assert "run-1: this run is still going" in capsys.readouterr().out


def test_one_unreadable_run_keeps_nobody_from_healing_the_others(capsys: pytest.CaptureFixture[str]) -> None:
    old = a_run("run-1")
    old.ledger.write_text('{"event": "opened", "receipt": {"fault": "of an older version"}}\n')
    a_run("run-2", cut={})
    assert heal_command.run(None, target="sandbox", look_only=False, as_json=False) == 1
    said = capsys.readouterr().out
    assert "run-1: COULD NOT BE HEALED\n  a receipt in the ledger" in said
    assert "run-2: cut (partition) on link x: healed and read back" in said


def test_a_ledger_that_cannot_be_written_cuts_no_heal_off(monkeypatch: pytest.MonkeyPatch) -> None:
    directory = a_run(quick={}, slow={"heal": gives(None, after_s=0.05)})

    def full(_ledger: Ledger, _receipt: object) -> None:
        raise HarnessError("no space left on device")

    monkeypatch.setattr(Ledger, "close", full)
    assert states(directory) == {"quick": "left", "slow": "left"}
    assert [fault.count("heal") for fault in FAULTS.values()] == [1, 1]


def test_a_folder_without_runs_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    with pytest.raises(RefusedError, match="there is no folder runs here"):
        heal_command.run(None, target=None, look_only=True, as_json=False)


def test_what_is_no_run_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="is not a run directory"):
        heal_command.run(tmp_path, target=None, look_only=True, as_json=False)


def test_the_next_run_on_the_same_target_is_refused_until_it_is_healed() -> None:
    directory = a_run(cut={})
    platform = described(directory.target.read_text(), source="test")
    with pytest.raises(RefusedError, match=r"run run-1 left cut on sandbox; heal it first: orchestrator heal runs/run-1"):
        refuse_leftovers(Path("runs"), platform)
    refuse_leftovers(Path("runs"), platform.model_copy(update={"gateway_url": "http://elsewhere"}))
    states(directory)
    refuse_leftovers(Path("runs"), platform)


def test_a_note_and_an_abort_reach_a_live_run_only() -> None:
    directory = a_run()
    with pytest.raises(RefusedError, match="this run is over"):
        note(directory.path, "hello")
    with pytest.raises(RefusedError, match="this run is over"):
        abort(directory.path, "why")
    with RunLock(directory.lock) as lock:
        assert lock.take()
        assert note(directory.path, "the pager rang") == 0
        with pytest.raises(RefusedError, match="the note is empty"):
            note(directory.path, " ")
    (message,) = Inbox(directory.path).take()
    assert (message.kind, message.text) == ("note", "the pager rang")


def test_messages_are_taken_once_in_their_order_and_none_is_lost(tmp_path: Path) -> None:
    inbox = Inbox(tmp_path)
    assert inbox.take() == []
    for text, t in (("second", 20.5), ("first", 3.25)):
        inbox.send(Message("note", text, t))
    (tmp_path / "inbox" / "0.json").write_text('{"kind": "shout", "text": "?", "t": 1}')
    assert [message.text for message in inbox.take()] == ["first", "second"]
    assert inbox.take() == []
    inbox.send(Message("note", "third", 30.0))
    (path,) = (tmp_path / "inbox").glob("*.json")
    text = path.read_text()
    assert [message.text for message in inbox.take()] == ["third"]
    path.write_text(text)
    assert inbox.take() == [], "taken once, although it is there again"
    assert (tmp_path / "inbox" / "0.unreadable").exists()


def test_a_lock_is_of_one_holder(tmp_path: Path) -> None:
    first, second = RunLock(tmp_path / "lock"), RunLock(tmp_path / "lock")
    assert (first.take(), second.take()) == (True, False)
    first.release()
    assert second.take()
    second.release()
    with pytest.raises(RefusedError, match="cannot be opened"):
        RunLock(tmp_path / "nowhere" / "lock").take()


def test_a_run_directory_without_a_recording_is_none(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match=r"has no recording\.jsonl"):
        open_run_directory(tmp_path)


class KeptLease:
    """A dead run's lease that remembers what was done with it. `lost`: somebody else has it by now."""

    def __init__(self, lost: str = "") -> None:
        self.lost = lost
        self.done: list[str] = []

    async def renew(self) -> str:
        self.done.append("renew")
        return self.lost

    async def keep(self) -> str:
        self.done.append("keep")
        await asyncio.sleep(1000)
        return ""

    async def give_up(self) -> None:
        self.done.append("give up")

    def close(self) -> None:
        self.done.append("close")


def kept(lease: KeptLease, monkeypatch: pytest.MonkeyPatch) -> KeptLease:
    monkeypatch.setattr(healing, "lease_of", lambda _description, _run, _clock: lease)
    return lease


def test_the_dead_runs_lease_is_kept_while_its_faults_are_taken_away(monkeypatch: pytest.MonkeyPatch) -> None:
    lease = kept(KeptLease(), monkeypatch)
    assert states(a_run(silent={"heal": hangs})) == {"silent": "left"}
    assert lease.done == ["renew", "keep", "close"]


def test_a_lease_that_is_another_runs_by_now_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    lease = kept(KeptLease(lost="run-2 has it"), monkeypatch)
    assert states(a_run(silent={"heal": hangs})) == {"silent": "left"}
    assert lease.done == ["renew", "close"]


def test_the_lease_is_given_up_when_everything_is_healed(monkeypatch: pytest.MonkeyPatch) -> None:
    lease = kept(KeptLease(), monkeypatch)
    assert states(a_run(cut={"heal": gives(None, after_s=0.05)})) == {"cut": "healed"}
    assert lease.done == ["renew", "keep", "close", "give up"]
