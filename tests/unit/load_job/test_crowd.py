"""The workers of a load in pods, followed in virtual time: merged, translated into the run's clock, and lost when they are."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest
from pods_in_memory import MemoryPod
from virtual_time import VirtualClock, run_virtual

from orchestrator.errors import TargetError
from orchestrator.load import wire
from orchestrator.load.kept_lines import AT_ONCE
from orchestrator.load.worker import LoadWorkerError
from orchestrator.load_job.crowd import COME_UP_S, POLL_S, Crowd, Ways
from orchestrator.load_job.followed import CLOCK_S, SILENT_S, GeneratorLost
from orchestrator.targets.load_jobs import LoadPod
from probes.clients.kube import Answer
from steady_state.instants import Span
from steady_state.load_plan import LoadPlan, RoutePlan
from steady_state.observations import LoadEndLine, LoadPlanLine, NoteLine, Observation, RunLine, TallyLine
from steady_state.recording import recording_of

T = TypeVar("T")
WORKERS = 3


class Scene:
    """Pods of memory and the run's side of them."""

    def __init__(self, clock: VirtualClock, workers: int = WORKERS) -> None:
        self.clock = clock
        self.lines: list[Observation] = []
        self.plan = LoadPlan(
            source="load", start_s=0.0, workers=workers, routes={"a": RoutePlan(rate_per_s=workers, phase_s=0.1, maximum_ms=100)}
        )
        self.pods = {pod.name: pod for pod in (MemoryPod(n, self.plan, clock, ahead_s=1000.0 * n - 700) for n in range(workers))}
        self.blind = False
        self.crowd = Crowd(self.plan, Ways(self._ask, self._look), self.lines.append, clock)

    def pod(self, number: int) -> MemoryPod:
        return next(pod for pod in self.pods.values() if pod.number == number)

    async def started(self) -> float:
        await self.crowd.gather()
        start_s = self.clock.now() + 3
        await self.crowd.start(start_s)
        return start_s

    async def end(self) -> None:
        await self.crowd.let_go()
        for pod in self.pods.values():
            pod.working.cancel()

    async def _ask(self, name: str, question: wire.Question) -> Answer:
        pod = self.pods.get(name)
        return Answer(404, b"pods not found") if pod is None else await pod.ask(question)

    async def _look(self) -> list[LoadPod]:
        if self.blind:
            raise TargetError("the API server does not answer")
        return [pod.shown() for pod in self.pods.values()]


def play(act: Callable[[Scene], Awaitable[T]], workers: int = WORKERS) -> T:
    async def main(clock: VirtualClock) -> T:
        scene = Scene(clock, workers)
        try:
            return await act(scene)
        finally:
            await scene.end()

    return run_virtual(main)


async def lost(scene: Scene) -> tuple[float, str]:
    """After how long the load is lost, and what is said."""
    began = scene.clock.now()
    with pytest.raises(GeneratorLost) as told:
        await asyncio.wait_for(scene.crowd.wait(), 60)
    return scene.clock.now() - began, str(told.value)


def test_each_second_is_recorded_once_for_each_worker_and_read_back_as_one() -> None:
    async def act(scene: Scene) -> None:
        start_s = await scene.started()
        await scene.clock.sleep_until(start_s + 20)
        assert scene.crowd.live.due == WORKERS
        assert 17 <= scene.crowd.live.second <= 19
        await scene.crowd.stop(scene.clock.now())
        run = RunLine(t=0, run_id="r", seed=1, wall="", versions={}, plan=A_PLAN)
        recording = recording_of(line.model_copy(update={"seq": seq}) for seq, line in enumerate([run, *scene.lines]))
        assert recording.lost == []
        assert (
            sum(isinstance(line, LoadPlanLine) for line in scene.lines) == sum(isinstance(line, LoadEndLine) for line in scene.lines) == 1
        )
        tallies = recording.tallies["load"]
        assert sorted(tallies) == list(range(len(tallies)))
        assert all(tally.workers == (0, 1, 2) and tally.routes["a"].due == WORKERS for tally in tallies.values())
        assert all(tally.routes["a"].latency == [(0, 1), (1, 1), (2, 1)] for tally in tallies.values())
        plan, end_s = recording.load_plans["load"], recording.load_ends["load"]
        assert (plan.start_s, plan.workers) == (start_s, WORKERS)
        assert start_s + 20 + POLL_S <= end_s <= start_s + 20 + 3 * POLL_S
        assert plan.due_in("a", Span(start_s, end_s)) == pytest.approx(sum(t.routes["a"].due for t in tallies.values()), abs=WORKERS)

    play(act)


A_PLAN = {
    "title": "t",
    "target": "t",
    "length_s": 1,
    "scale_time": 1,
    "scale_load": 1,
    "faults": [],
    "limits": {},
    "criteria_set": "c",
    "breakers": [],
    "workloads": [],
    "routes": ["a"],
}


def test_a_second_is_the_newest_only_when_all_workers_have_told_it() -> None:
    async def act(scene: Scene) -> None:
        start_s = await scene.started()
        await scene.clock.sleep_until(start_s + 4)
        scene.pod(1).mute = True
        await scene.clock.sleep_until(start_s + 10)
        told = recording_of([RunLine(seq=0, t=0, run_id="r", seed=1, wall="", versions={}, plan=A_PLAN), *scene.lines])
        assert max(told.tallies["load"]) >= 8
        newest = told.newest_second("load")
        assert newest is not None
        assert newest <= 4
        assert told.newest_second("outside") is None

    play(act)


def test_instants_of_workers_are_the_runs() -> None:
    """Their own clocks are 700 s behind to 1300 s ahead of ours; what they record is ours, to half of a quick round trip."""

    async def act(scene: Scene) -> None:
        scene.pod(2).there_s = 0.040
        start_s = await scene.started()
        await scene.clock.sleep_until(start_s + 5)
        shifts = {
            line.workers[0]: line.t - (start_s + line.second + 1)
            for line in scene.lines
            if isinstance(line, TallyLine) and line.second == 2
        }
        assert shifts[0] == pytest.approx(0, abs=1e-6)
        assert shifts[2] == pytest.approx((0.002 - 0.040) / 2, abs=1e-6)
        known = {number: worker.best.error_s for number, worker in scene.crowd.workers.items() if worker.best}
        assert known == {0: pytest.approx(0.002), 1: pytest.approx(0.002), 2: pytest.approx(0.021)}

    play(act)


def test_the_quickest_of_several_round_trips_tells_the_clock() -> None:
    async def act(scene: Scene) -> None:
        scene.pod(0).there_s = 0.9

        async def soon_quick() -> None:
            await scene.clock.sleep_until(scene.clock.now() + 2)
            scene.pod(0).there_s = 0.002

        quick = asyncio.create_task(soon_quick())
        await scene.started()
        await quick
        assert scene.crowd.workers[0].ahead_s == pytest.approx(-700, abs=0.003)

    play(act)


def test_a_clock_that_cannot_be_told_is_refused() -> None:
    async def act(scene: Scene) -> None:
        scene.pod(1).there_s = 0.11
        await scene.crowd.gather()
        with pytest.raises(
            LoadWorkerError, match=r"the clock of load worker 1 \(pod load-1-abcde\) is known to 56 ms only, 50 are allowed"
        ):
            await scene.crowd.start(scene.clock.now() + 3)

    play(act)


def test_a_clock_that_walks_away_is_a_lost_generator() -> None:
    async def act(scene: Scene) -> None:
        scene.pod(2).drift = 0.01
        await scene.started()
        after_s, said = await lost(scene)
        assert "load worker 2 (pod load-2-abcde) has a clock that went" in said
        assert CLOCK_S / 0.01 - 4 <= after_s <= CLOCK_S / 0.01 + 2

    play(act)


def test_slow_answers_are_no_skew_and_no_loss() -> None:
    async def act(scene: Scene) -> None:
        start_s = await scene.started()
        for pod in scene.pods.values():
            pod.back_s = 0.8
        await scene.clock.sleep_until(start_s + 20)
        await scene.crowd.stop(scene.clock.now())
        assert all(worker.skew_s <= 0 for worker in scene.crowd.workers.values())

    play(act)


def test_answers_that_are_lost_for_a_while_cost_no_line() -> None:
    """Its lines are kept until they have arrived, and come again where the answer was lost."""

    async def act(scene: Scene) -> None:
        start_s = await scene.started()
        await scene.clock.sleep_until(start_s + 5)
        scene.pod(0).mute = True
        await scene.clock.sleep_until(start_s + 5 + SILENT_S - 2)
        scene.pod(0).mute = False
        await scene.clock.sleep_until(start_s + 20)
        await scene.crowd.stop(scene.clock.now())
        seconds = [line.second for line in scene.lines if isinstance(line, TallyLine) and line.workers == (0,)]
        assert seconds == list(range(len(seconds)))
        assert len(seconds) >= 20

    play(act)


def test_a_worker_that_is_silent_for_too_long_is_lost() -> None:
    async def act(scene: Scene) -> None:
        await scene.started()
        scene.pod(1).mute = True
        after_s, said = await lost(scene)
        assert re.fullmatch(
            r"generator lost: load worker 1 \(pod load-1-abcde\) has been silent for 1[01] s: load-1-abcde: no answer", said
        )
        assert SILENT_S - POLL_S <= after_s <= SILENT_S + 2 * POLL_S

    play(act)


def test_an_api_server_that_is_away_for_a_moment_loses_nobody() -> None:
    async def act(scene: Scene) -> None:
        start_s = await scene.started()
        scene.blind = True
        for pod in scene.pods.values():
            pod.mute = True
        await scene.clock.sleep_until(start_s + SILENT_S - 4)
        scene.blind = False
        for pod in scene.pods.values():
            pod.mute = False
        await scene.clock.sleep_until(start_s + 30)
        await scene.crowd.stop(scene.clock.now())

    play(act)


def test_a_worker_that_was_started_again_is_lost() -> None:
    async def act(scene: Scene) -> None:
        start_s = await scene.started()
        await scene.clock.sleep_until(start_s + 5)
        scene.pod(0).working.cancel()
        scene.pod(0).restart()
        after_s, said = await lost(scene)
        assert "load worker 0 (pod load-0-abcde) began anew: asked for lines from" in said
        assert after_s <= 2 * POLL_S

    play(act)


def test_a_pod_that_is_gone_is_a_lost_worker() -> None:
    async def act(scene: Scene) -> None:
        await scene.started()
        scene.pods.pop("load-2-abcde").working.cancel()
        after_s, said = await lost(scene)
        assert said == "generator lost: load worker 2 (pod load-2-abcde) is gone"
        assert after_s <= 2 * POLL_S

    play(act)


def test_a_pod_that_ended_is_a_lost_worker_and_its_last_word_is_told() -> None:
    async def act(scene: Scene) -> None:
        await scene.started()
        pod = scene.pod(0)
        pod.mute, pod.over, pod.trouble = True, True, "code 137 OOMKilled"
        after_s, said = await lost(scene)
        assert said == "generator lost: load worker 0 (pod load-0-abcde) ended: code 137 OOMKilled"
        assert after_s <= 2 * POLL_S

    play(act)


def test_a_load_that_does_not_come_up_says_what_is_missing() -> None:
    async def act(scene: Scene) -> str:
        scene.pod(1).mute, scene.pod(1).trouble = True, "ErrImageNeverPull no such image"
        began = scene.clock.now()
        with pytest.raises(LoadWorkerError) as told:
            await scene.crowd.gather()
        assert COME_UP_S <= scene.clock.now() - began <= COME_UP_S + 2
        return str(told.value)

    assert play(act) == "the load was not up within 60 s: pod load-1-abcde: ErrImageNeverPull no such image"


def test_a_worker_that_cannot_begin_is_told_at_once() -> None:
    async def act(scene: Scene) -> None:
        scene.pod(1).over, scene.pod(1).trouble = True, "code 3 cannot reach http://gateway"
        with pytest.raises(LoadWorkerError, match=r"load worker 1 .* ended: code 3 cannot reach http://gateway"):
            await scene.crowd.gather()

    play(act)


def test_a_worker_behind_by_many_lines_is_asked_again_at_once() -> None:
    async def act(scene: Scene) -> None:
        await scene.started()
        pod = scene.pod(0)
        for number in range(2 * AT_ONCE + 7):
            pod.lines.add(NoteLine(t=0, text=str(number)))
        asked = pod.asked
        await scene.clock.sleep_until(scene.clock.now() + POLL_S)
        assert pod.asked - asked >= 3
        assert [line.text for line in scene.lines if isinstance(line, NoteLine)] == [str(number) for number in range(2 * AT_ONCE + 7)]

    play(act, workers=1)


def test_a_worker_that_never_ends_is_named() -> None:
    async def act(scene: Scene) -> None:
        start_s = await scene.started()
        await scene.clock.sleep_until(start_s + 2)
        for number in (0, 2):
            scene.pod(number).desk.commanded = lambda stop: None  # type: ignore[method-assign]
            scene.pod(number).desk._stop = None
        with pytest.raises(LoadWorkerError, match=r"load worker 0 \(pod load-0-abcde\), load worker 2 .* did not end within 17 s"):
            await scene.crowd.stop(scene.clock.now())

    play(act)
