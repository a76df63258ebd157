"""The control and the activities inside the real Chaos Toolkit, with a session that does nothing: whatever breaks, nothing is green."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from chaoslib.exceptions import InvalidControl
from chaoslib.experiment import ensure_experiment_is_valid, run_experiment
from chaoslib.types import Dry, Strategy
from plan_mistakes import full

from orchestrator import activities, timeline
from orchestrator.abort import AbortLatch
from orchestrator.errors import PlanError, RefusedError
from orchestrator.plan import Plan, read_plan, scaled
from orchestrator.run_directory import RunDirectory
from orchestrator.session import Aborted

Act = Callable[[], Any]


class ScriptedSession:
    """Does what `script` says for a step, else nothing; remembers the steps."""

    script: dict[str, Act]
    last: ScriptedSession | None
    folder: Path

    def __init__(self, experiment: Mapping[str, Any], environment: Mapping[str, str]) -> None:
        type(self).last = self
        self.steps: list[str] = []
        self._do("make")
        self.plan: Plan = scaled(read_plan(experiment), time_scale=15, load_scale=10)
        self.latch = AbortLatch()
        self.report: dict[str, Any] | None = None
        self.directory = RunDirectory(self.folder)
        self.refusal = self.error = ""
        self.steady = self.begun = False
        self.ended = ""

    def _do(self, step: str) -> Any:
        self.steps.append(step)
        return self.script[step]() if step in self.script else None

    def prepare(self) -> None:
        self._do("prepare")

    def wait_until_steady(self) -> None:
        self._do("steady")
        self.steady = True

    def begin(self) -> None:
        self._do("begin")
        self.begun = True

    def wait_for(self, name: str, at_s: float) -> None:
        self._do(f"wait {name} {at_s:g}")
        if self.latch.is_set():
            raise Aborted

    def perform(self, name: str) -> dict[str, Any]:
        return self._do(f"perform {name}") or {"trouble": ""}

    def open_receipts(self) -> list[object]:
        return []

    def finish(self, ended: str, reason: str = "") -> None:
        if self.report is None:
            self._do("finish")
            self.ended = ended
            verdict = self.script.get("verdict", lambda: "PASS")()
            self.report = {"verdict": verdict if ended == "completed" else "INCONCLUSIVE", "counts": {}}

    @property
    def passed(self) -> bool:
        return self.report is not None and self.report["verdict"] == "PASS" and not self.error

    def close(self) -> None:
        self._do("close")


@dataclasses.dataclass
class Told:
    """What Chaos Toolkit and the session say afterwards."""

    journal: dict[str, Any]
    session: ScriptedSession | None

    @property
    def green(self) -> bool:
        """By the rule of the `chaos` command: exit code 0."""
        return self.journal["status"] == "completed" and not self.journal["deviated"]

    @property
    def performed(self) -> list[str]:
        return [] if self.session is None else sorted(step for step in self.session.steps if step.startswith("perform"))


Chaos = Callable[..., Told]


@pytest.fixture
def chaos(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Chaos]:
    def run(script: dict[str, Act] | None = None, *, change: Callable[[dict[str, Any]], object] | None = None, **options: Any) -> Told:
        ScriptedSession.script, ScriptedSession.last, ScriptedSession.folder = script or {}, None, tmp_path
        experiment = full()
        if change:
            change(experiment)
        journal = run_experiment(experiment, settings={"runtime": {"rollbacks": {"strategy": "always"}}}, **options)
        assert timeline.current() is None
        json.dumps(journal["run"], allow_nan=False)
        return Told(journal, ScriptedSession.last)

    monkeypatch.setattr(timeline, "Session", ScriptedSession)
    yield run
    timeline.cleanup_control()


def raising(error: BaseException) -> Act:
    def act() -> None:
        raise error

    return act


FAULTS = [f"perform {name}" for name in ("cache-flush", "pod-kill", "pubnub-partition", "qdrant-latency", "replica-failure")]


def test_a_run_that_passes_is_green_and_took_every_step(chaos: Chaos, tmp_path: Path) -> None:
    told = chaos()
    assert told.green
    assert told.session is not None
    assert told.session.ended == "completed"
    assert told.session.steps[:4] == ["make", "prepare", "steady", "begin"]
    assert told.session.steps[-2:] == ["finish", "close"]
    assert told.performed == FAULTS
    assert "wait pod-kill 40" in told.session.steps
    assert "wait end-of-timeline 240" in told.session.steps
    assert told.journal["orchestrator"]["verdict"] == "PASS"
    assert json.loads((tmp_path / "journal.json").read_text(encoding="utf-8"))["orchestrator"]["verdict"] == "PASS"


@pytest.mark.parametrize("verdict", ["FAIL", "INCONCLUSIVE"])
def test_a_run_that_does_not_pass_is_not_green(chaos: Chaos, verdict: str) -> None:
    assert not chaos({"verdict": lambda: verdict}).green


@pytest.mark.parametrize("step", ["make", "prepare", "steady", "begin"])
@pytest.mark.parametrize(
    "error", [ValueError("bug"), RefusedError("not steady"), PlanError("a", "b", "c"), Aborted(), SystemExit(1), KeyboardInterrupt()]
)
def test_trouble_before_the_timeline_injects_nothing(chaos: Chaos, step: str, error: BaseException) -> None:
    if step == "make" and not isinstance(error, Exception):
        return  # a signal this early ends Chaos Toolkit itself
    told = chaos({step: raising(error)})
    assert not told.green
    assert told.performed == []
    assert step == "make" or (told.session is not None and told.session.steps[-1] == "close")


@pytest.mark.parametrize("error", [ValueError("bug"), Aborted(), SystemExit(1)])
def test_trouble_on_the_timeline_stops_what_comes_later(chaos: Chaos, error: BaseException) -> None:
    told = chaos({"wait pod-kill 40": raising(error)})
    assert not told.green
    assert told.session is not None
    assert told.session.latch.is_set()
    assert "perform pod-kill" not in told.performed
    assert told.session.ended == ("aborted" if isinstance(error, Aborted) else "error")


def test_an_abort_while_the_main_thread_waits_ends_the_run(chaos: Chaos) -> None:
    told = chaos({"wait end-of-timeline 240": raising(Aborted())})
    assert told.journal["status"] == "interrupted"
    assert not told.green


@pytest.mark.parametrize("error", [ValueError("bug"), TimeoutError(), SystemExit(1)])
def test_a_judge_that_crashes_is_not_green(chaos: Chaos, error: BaseException) -> None:
    told = chaos({"finish": raising(error)})
    assert not told.green
    assert told.session is not None
    assert told.session.error


def test_trouble_of_a_fault_is_shown_in_its_activity(chaos: Chaos) -> None:
    told = chaos({"perform pod-kill": lambda: {"trouble": "no pod"}, "verdict": lambda: "INCONCLUSIVE"})
    entry = next(entry for entry in told.journal["run"] if entry["activity"]["name"] == "pod-kill")
    assert entry["status"] == "failed"
    assert "no pod" in str(entry["exception"])
    assert not told.green


def test_without_the_control_nothing_is_injected_and_nothing_is_green(chaos: Chaos) -> None:
    told = chaos(change=lambda experiment: experiment.pop("controls"))
    assert told.journal["status"] == "failed"
    assert not told.green
    assert told.session is None


@pytest.mark.parametrize("strategy", [Strategy.SKIP, Strategy.AFTER_METHOD, Strategy.BEFORE_METHOD, Strategy.CONTINUOUS])
def test_every_strategy_looks_for_a_steady_platform_first(chaos: Chaos, strategy: Strategy) -> None:
    told = chaos(strategy=strategy)
    assert told.green
    assert told.session is not None
    assert told.session.steps.index("steady") < told.session.steps.index("begin")


def test_an_unsteady_platform_is_a_refusal_whichever_strategy_finds_it(chaos: Chaos) -> None:
    for strategy in (Strategy.DEFAULT, Strategy.SKIP):
        told = chaos({"steady": raising(RefusedError("not steady"))}, strategy=strategy)
        assert told.session is not None
        assert told.session.ended == "refused"
        assert told.performed == []
        assert not told.green


@pytest.mark.parametrize("strategy", [Strategy.SKIP, Strategy.BEFORE_METHOD])
def test_the_verdict_counts_also_where_no_probe_asks_for_it(chaos: Chaos, strategy: Strategy) -> None:
    assert not chaos({"verdict": lambda: "FAIL"}, strategy=strategy).green


def test_another_probe_that_is_not_met_is_a_refusal(chaos: Chaos) -> None:
    probe = {"type": "probe", "name": "disk", "tolerance": 0, "provider": {"type": "process", "path": "false"}}
    told = chaos(change=lambda experiment: experiment["steady-state-hypothesis"]["probes"].insert(0, probe))
    assert not told.green
    assert told.session is not None
    assert told.session.ended == "refused"
    assert told.performed == []


def test_a_dry_run_makes_no_session(chaos: Chaos) -> None:
    told = chaos(change=lambda experiment: experiment.update(dry=Dry.ACTIVITIES))
    assert told.green
    assert told.session is None


@pytest.mark.parametrize("dry", [Dry.PROBES, Dry.ACTIONS, Dry.PAUSE])
def test_a_half_dry_run_is_refused(chaos: Chaos, dry: Dry, capsys: pytest.CaptureFixture[str]) -> None:
    told = chaos(change=lambda experiment: experiment.update(dry=dry))
    assert not told.green
    assert told.session is None
    assert "use --dry activities" in capsys.readouterr().err


def test_a_fault_that_was_not_armed_refuses(chaos: Chaos) -> None:
    with pytest.raises(Exception, match="has not armed it"):
        activities.pod_kill("discovery")


def test_validation_says_the_plans_own_sentence(chaos: Chaos) -> None:
    ScriptedSession.script = {"make": raising(PlanError("method", "it is wrong", "mend it"))}
    with pytest.raises(InvalidControl, match=r"^method: it is wrong; mend it$"):
        ensure_experiment_is_valid(full())
    ScriptedSession.script = {}
    ensure_experiment_is_valid(full())
