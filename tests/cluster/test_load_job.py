"""The load from an Indexed Job on a real cluster: exact, off named nodes, led to new pods, lost when it is, and gone afterwards."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
import yaml
from cluster_rig import KUBECONFIG, ROOT, until
from load_job_rig import IMAGE, WORKERS, Place, a_place

from orchestrator.errors import TargetError
from orchestrator.faults.permissions import LOAD_JOB, LOAD_NAME
from orchestrator.ledger import Ledger
from orchestrator.load.profile import Profile, order_for, plan_load
from orchestrator.load_job import objects
from orchestrator.load_job.followed import GeneratorLost
from orchestrator.load_job.job import LoadJob, Site
from orchestrator.load_job.way_back import LoadWayBack, receipt
from orchestrator.receipts import Receipts
from orchestrator.targets.access import AccessReviews
from probes.clock import SystemClock
from probes.target import TargetDescription
from steady_state.instants import Span
from steady_state.observations import NoteLine, Observation, RequestLine, RunLine
from steady_state.outcomes import SERVED, Outcome
from steady_state.recording import Recording, recording_of

pytestmark = pytest.mark.skipif(not KUBECONFIG, reason="CLUSTER_KUBECONFIG names no cluster")
CLOCK = SystemClock(ahead_s=5000.0)
"""The run's clock: another than the nodes', which in the project's own cluster are one machine."""
RATE_PER_S = 45.0
LEAD_S = 3.0
PROFILE = Profile(mix={"search": 1.0}, authenticated_ratio=0.0)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with a_place(tmp_path_factory.mktemp("identities")) as found:
        yield found


class Run:
    """As a run goes about its load, with the rights that manifests/load gives."""

    def __init__(self, place: Place, folder: Path, **load: Any) -> None:
        self.lines: list[Observation] = []
        self.description = place.described(gateway_url="http://nowhere.invalid", **load)
        self.identity = place.installed.identity("chaos-injector")
        self.ledger = Ledger(folder / "ledger.jsonl")
        self.run_id = f"run-{Random().randrange(10**9)}"
        order = order_for(self.description, a_plan(self.description), known=[], seed=7)
        site = Site(self.identity, place.job(**load), objects.Owner(self.run_id, 600))
        self.job = LoadJob(site, order, self.lines.append, CLOCK, Receipts(self.ledger))

    async def begin(self) -> float:
        await self.job.come_up()
        self.job.start_s = CLOCK.now() + LEAD_S
        await self.job.start()
        return self.job.start_s

    def recording(self) -> Recording:
        """As the judge reads it."""
        plan = {"title": "t", "target": "t", "length_s": 1, "scale_time": 1, "scale_load": 1, "faults": [], "limits": {}}
        plan |= {"criteria_set": "c", "breakers": [], "workloads": [], "routes": ["search"]}
        run = RunLine(t=CLOCK.now(), run_id="r", seed=1, wall="", versions={}, plan=plan)
        return recording_of(line.model_copy(update={"seq": seq}) for seq, line in enumerate([run, *self.lines]))


def a_plan(description: TargetDescription) -> Any:
    return plan_load(description, PROFILE, rate_per_s=RATE_PER_S, seed=7, start_s=0.0)


def requests(counted: dict[str, dict[str, int]]) -> int:
    return sum(one["requests"] for one in counted.values())


async def test_three_workers_count_exactly_what_the_target_counted_and_reach_a_new_pod_of_it(place: Place, tmp_path: Path) -> None:
    attacked, before = place.nodes[-1], requests(place.counted())
    run = Run(place, tmp_path, off_nodes=[attacked])
    try:
        start_s = await run.begin()
        assert [one.kind for one in run.ledger.open_receipts()] == ["load_job"]
        pods = place.of_load("pods")
        assert len(pods) == WORKERS
        assert attacked not in {pod["spec"]["nodeName"] for pod in pods}
        assert len(place.secrets()) == 1
        place.cluster.kubectl("scale", "deployment/target", "--replicas=2")
        place.cluster.kubectl("rollout", "status", "deployment/target", "--timeout=30s")
        # Every connection of before is retired by then.
        await CLOCK.sleep_until(CLOCK.now() + 14)
        await run.job.stop(CLOCK.now())
        counted = place.counted()
    finally:
        left = await run.job.end()
    assert left is None
    recording = run.recording()
    plan, end_s, outcomes = recording.load_plans["load"], recording.load_ends["load"], Counter[Outcome]()
    for second, tally in recording.tallies["load"].items():
        row = tally.routes["search"]
        assert tally.workers == tuple(range(WORKERS))
        assert row.due == plan.due_in("search", Span(start_s + second, min(start_s + second + 1, end_s))) == sum(row.counts.values())
        assert sum(count for _, count in row.latency) == sum(count for outcome, count in row.counts.items() if outcome in SERVED)
        outcomes.update(row.counts)
    assert outcomes.keys() <= {Outcome.FRESH, Outcome.LATE, Outcome.GENERATOR}
    assert sum(outcomes.values()) - unsent(run) == requests(counted) - before > 14 * RATE_PER_S
    assert all(one["requests"] == one["operations"] for one in counted.values())
    assert min(one["requests"] for one in counted.values()) > RATE_PER_S, counted
    said = " / ".join(line.text for line in run.lines if isinstance(line, NoteLine))
    assert said.count("more than its own") == WORKERS
    assert f"the clocks of the {WORKERS} load workers stayed with ours" in said
    print(json.dumps({"outcomes": outcomes, "counted": counted, "said": said}, indent=1))
    nothing_is_left(place, run)


def unsent(run: Run) -> int:
    """Arrivals that a starved machine's own generator did not send."""
    return sum(isinstance(line, RequestLine) and line.outcome is Outcome.GENERATOR and not line.status for line in run.lines)


def nothing_is_left(place: Place, run: Run) -> None:
    assert run.ledger.open_receipts() == []
    assert place.of_load("jobs") == place.of_load("pods") == []
    until("the Secret goes with its Job", lambda: place.secrets() == [])


async def test_a_worker_whose_pod_is_deleted_is_a_lost_generator(place: Place, tmp_path: Path) -> None:
    run = Run(place, tmp_path)
    try:
        await run.begin()
        waiting = asyncio.create_task(run.job.wait())
        victim = place.of_load("pods")[0]["metadata"]["name"]
        place.installed.kubectl("-n", place.load, "delete", "pod", victim, "--grace-period=0", "--force")
        with pytest.raises(GeneratorLost, match=rf"generator lost: load worker . \(pod {victim}\)"):
            await asyncio.wait_for(waiting, 20)
    finally:
        await run.job.kill()
        left = await run.job.end()
    assert left is None
    nothing_is_left(place, run)


async def test_what_a_dead_run_left_is_taken_away_by_its_receipt_alone_and_nobody_elses(place: Place, tmp_path: Path) -> None:
    run, other = Run(place, tmp_path), receipt("run-of-somebody-else", place.load, WORKERS)
    await run.begin()
    second = tmp_path / "second"
    second.mkdir()
    rival = Run(place, second)
    with pytest.raises(TargetError, match=rf"Job {LOAD_NAME} in namespace {place.load} is there already, of run {run.run_id}"):
        await rival.job.come_up()
    assert await rival.job.end() is None
    way_back = LoadWayBack(other, run.identity, CLOCK)
    await way_back.heal(other)
    await way_back.close()
    assert len(place.of_load("jobs")) == 1
    await run.job.kill()
    (mine,) = run.ledger.open_receipts()
    way_back = LoadWayBack(mine, run.identity, CLOCK)
    await way_back.heal(mine)
    await way_back.heal(mine)
    await way_back.close()
    run.ledger.close(mine)
    nothing_is_left(place, run)
    await run.job.end()


async def test_an_image_that_is_nowhere_is_named(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestrator.load_job.crowd.COME_UP_S", 12.0)
    run = Run(place, tmp_path, image="no-such-image:ever")
    with pytest.raises(Exception, match=r"not up within 12 s: pod .*: (ErrImagePull|ImagePullBackOff)"):
        await run.begin()
    assert await run.job.end() is None
    nothing_is_left(place, run)


async def test_the_role_of_the_manifests_suffices_and_reads_no_secret(place: Place) -> None:
    identity = place.installed.identity("chaos-injector", namespace=place.load)
    reviews = AccessReviews(identity)
    assert [one for one in LOAD_JOB if not await reviews.allows(one)] == []
    reviews.close()
    refused = place.installed.kubectl(
        *("--token", yaml.safe_load(identity.kubeconfig.read_text())["users"][0]["user"]["token"], "-n", place.load, "get", "secrets"),
        fine=(0, 1),
    )
    assert refused == ""


def experiment(folder: Path) -> Path:
    """20 s of watching under the load."""
    document = json.loads((ROOT / "experiments" / "observe.json").read_text())
    (settings,) = (one for one in document["extensions"] if one["name"] == "orchestrator")
    settings |= {"length": "20s", "load": {"rate_per_s": RATE_PER_S, "mix": {"search": 1.0}, "authenticated_ratio": 0.0}}
    document["method"][-1]["at"] = "20s"
    path = folder / "watch.json"
    path.write_text(json.dumps(document))
    return path


def environment(place: Place, port: int, folder: Path) -> dict[str, str]:
    """A run on this machine, whose users come through a forwarded port and whose load is inside."""
    described = place.described(gateway_url=f"http://127.0.0.1:{port}", off_nodes=[place.nodes[-1]])
    (folder / "target.yaml").write_text(yaml.safe_dump(described.model_dump(mode="json")))
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("CHAOS_", "KUBECONFIG"))}
    return kept | {"CHAOS_TARGET": str(folder / "target.yaml")}


def command(folder: Path, environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", *arguments]
    return subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, timeout=200, check=False)


def test_a_whole_run_plans_its_load_makes_it_and_takes_it_away(place: Place, tmp_path: Path) -> None:
    file = experiment(tmp_path)
    with place.cluster.forwarded("deploy/target", 8080) as port:
        given = environment(place, port, tmp_path)
        planned = command(tmp_path, given, "orchestrator", "plan", str(file))
        assert planned.returncode == 0, planned.stdout + planned.stderr
        assert f"from {WORKERS} pods of {IMAGE} in namespace {place.load}, none of them on {place.nodes[-1]}" in planned.stdout
        assert f"delete jobs.batch {LOAD_NAME}" in planned.stdout
        ran = command(tmp_path, given, "chaostoolkit", "--no-version-check", "run", str(file))
    said = ran.stdout[-3000:] + ran.stderr[-3000:]
    report = json.loads((tmp_path / "runs" / "latest" / "report.json").read_text())
    assert report["ended"]["how"] == "completed", said
    notes = " / ".join(note["text"] for note in report["notes"])
    assert notes.count("more than its own") == WORKERS, notes
    lines = map(json.loads, (tmp_path / "runs/latest/recording.jsonl").read_text().splitlines())
    tallies = [line for line in lines if line["kind"] == "tally"]
    print("notes:", notes, "\n".join(planned.stdout.splitlines()[:4]), ran.stdout[-200:], sep="\n")
    assert {tuple(line["workers"]) for line in tallies if line["source"] == "load"} == {(number,) for number in range(WORKERS)}
    assert place.of_load("jobs") == []
    until("the Secret goes with its Job", lambda: place.secrets() == [])


def test_the_guardian_of_a_run_that_is_killed_takes_its_load_away(place: Place, tmp_path: Path) -> None:
    file, ledger = experiment(tmp_path), tmp_path / "runs" / "latest" / "ledger.jsonl"
    with place.cluster.forwarded("deploy/target", 8080) as port, (tmp_path / "said").open("w") as said:
        words = [sys.executable, "-m", "chaostoolkit", "--no-version-check", "run", str(file)]
        run = subprocess.Popen(words, cwd=tmp_path, env=environment(place, port, tmp_path), stdout=said, stderr=said)
        try:
            until("the load's pods are there", lambda: len(place.of_load("pods")) == WORKERS)
        finally:
            run.kill()
            run.wait()
        until("its guardian has healed", lambda: '"healed"' in ledger.read_text())
    assert place.of_load("jobs") == []
