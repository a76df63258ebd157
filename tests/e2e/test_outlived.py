"""A sandbox that outlives its runs: an operator's words reach a run, and a killed run is healed by its guardian."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import kubernetes
import pytest
import yaml
from e2e_command import EXPERIMENTS, Command, environment, fresh, marked, run_until, start
from test_endings import held

WITHIN_S = 30.0
PLANTED = "planted-5ecret-9f2c"


def sandbox(*arguments: str, variables: dict[str, str]) -> str:
    return subprocess.run([sys.executable, "-m", "sandbox", *arguments], env=variables, capture_output=True, text=True, check=True).stdout


@pytest.fixture(scope="module")
def outlasting() -> Iterator[dict[str, str]]:
    """What `sandbox env` exports of a detached sandbox."""
    variables = environment()
    name = f"outlasting-{variables['CHAOS_TEST_MARK'][:8]}"
    try:
        sandbox("up", "--detach", "--name", name, variables=variables)
        said = sandbox("env", "--name", name, variables=variables)
        pairs = (shlex.split(line.removeprefix("export "))[0].partition("=") for line in said.splitlines() if line.startswith("export "))
        yield {key: value for key, _, value in pairs} | {"NAME": name}
    finally:
        sandbox("down", "--name", name, variables=variables)
        assert marked(variables["CHAOS_TEST_MARK"]) == []


def proxies(exports: dict[str, str]) -> dict[str, Any]:
    url = yaml.safe_load(Path(exports["CHAOS_TARGET"]).read_text())["roles"]["pubnub-link"]["toxiproxy_url"]
    found: dict[str, Any] = httpx.get(f"{url}/proxies", trust_env=False).raise_for_status().json()
    return found


def secrets(exports: dict[str, str]) -> list[bytes]:
    """The cluster's token, how every user's token begins, and a password that only the environment holds."""
    kubeconfig = yaml.safe_load(Path(exports["CHAOS_TARGET"]).read_text())["kubernetes"]["kubeconfig"]
    token = yaml.safe_load(Path(kubeconfig).read_text())["users"][0]["user"]["token"]
    return [token.encode(), b"eyJhbGciOi", PLANTED.encode()]


def planted(exports: dict[str, str], folder: Path) -> dict[str, str]:
    """The same with a secret in an address: the description names it, the servers, which trust everybody, are sent it."""
    document = yaml.safe_load(Path(exports["CHAOS_TARGET"]).read_text())
    role = document["roles"]["postgres-replica"]
    role["primary_dsn"] = role["primary_dsn"].replace("://media@", "://media:${PLANTED_TOKEN}@")
    assert "PLANTED_TOKEN" in role["primary_dsn"]
    target = folder / "planted-target.yaml"
    target.write_text(yaml.safe_dump(document))
    return exports | {"CHAOS_TARGET": str(target), "PLANTED_TOKEN": PLANTED}


def told(command: Command, exports: dict[str, str]) -> list[str]:
    """Files of a run, its output and the arguments of its processes that hold a secret."""
    arguments = {f"/proc/{pid}/cmdline": Path(f"/proc/{pid}/cmdline").read_bytes() for pid in marked(command.mark)}
    files = {str(path): path.read_bytes() for path in command.folder.rglob("*") if path.is_file()}
    assert len(files) > 3
    return sorted(name for name, content in (files | arguments).items() if any(secret in content for secret in secrets(exports)))


def until(condition: Callable[[], bool], command: Command) -> None:
    deadline = time.monotonic() + WITHIN_S
    while not condition():
        assert time.monotonic() < deadline, command.said()
        time.sleep(0.05)


@pytest.mark.parametrize("death", [signal.SIGKILL, signal.SIGSEGV])
def test_a_run_that_dies_is_healed_by_its_guardian(tmp_path: Path, outlasting: dict[str, str], death: signal.Signals) -> None:
    """Killed (for want of memory, too: the kernel sends the same signal), and as a crash of the interpreter ends."""
    variables = planted(outlasting, tmp_path)
    command = run_until(fresh(tmp_path), "flaws/partition.json", held, **variables)
    assert not proxies(outlasting)["pubnub"]["enabled"]
    assert told(command, outlasting) == []
    command.signal(death)
    assert command.process.wait(10) == -death
    until(lambda: proxies(outlasting)["pubnub"]["enabled"], command)
    assert command.left_behind(within_s=WITHIN_S) == []
    events = [json.loads(line)["event"] for line in (command.directory / "ledger.jsonl").read_text().splitlines()]
    assert events == ["opened", "healed"]
    assert "pubnub-partition (partition) on link pubnub" in (command.directory / "guardian.log").read_text()
    # Without the secret: what the run left is taken away by other addresses.
    again = start(command.folder, "orchestrator", "heal", str(command.directory))
    assert again.wait() == 0
    assert "nothing is left behind" in again.output.read_text()
    assert told(command, outlasting) == []


def test_a_run_that_is_gone_with_its_guardian_and_folder_is_healed_by_any_machine(tmp_path: Path, outlasting: dict[str, str]) -> None:
    """From its receipts on the target; until then every other run is refused there, wherever it is started."""
    command = run_until(tmp_path, "flaws/partition.json", held, **outlasting)
    # All at one instant, so that none of them sees another die.
    pids = marked(command.mark)
    for number in (signal.SIGSTOP, signal.SIGKILL):
        for pid in pids:
            os.kill(pid, number)
    command.process.wait(10)
    command.folder.rename(tmp_path / "another-machine")
    sentence = "has pubnub-partition on sandbox; when it goes no more, heal it: orchestrator heal --target sandbox"
    gate = start(fresh(tmp_path), "orchestrator", "gate", str(EXPERIMENTS / "smoke.json"), **outlasting)
    assert gate.wait() == 3, gate.said()
    assert sentence in gate.errors.read_text()
    assert not proxies(outlasting)["pubnub"]["enabled"]
    heal = start(fresh(tmp_path), "orchestrator", "heal", "--target", "sandbox", **outlasting)
    assert heal.wait() == 0, heal.said()
    assert "pubnub-partition (partition) on link pubnub" in heal.output.read_text()
    assert heal.output.read_text().endswith(": healed and read back\n")
    assert proxies(outlasting)["pubnub"]["enabled"]
    dry = start(fresh(tmp_path), "orchestrator", "plan", str(EXPERIMENTS / "smoke.json"), **outlasting)
    assert dry.wait() == 0, dry.said()


def test_an_operator_notes_and_aborts_from_another_terminal(tmp_path: Path, outlasting: dict[str, str]) -> None:
    command = run_until(tmp_path, "flaws/partition.json", held, **outlasting)
    announced = command.errors.read_text()
    assert "to stop it: Ctrl-C, or orchestrator abort runs/<id>" in announced
    assert "pubnub-partition: partition on role pubnub-link, held for" in announced
    where = str(command.directory)
    live = start_beside(command, "orchestrator", "heal", where)
    assert live.wait() == 1
    assert f"{command.directory.name}: this run is still going" in live.output.read_text()
    assert start_beside(command, "orchestrator", "note", where, "the pager rang").wait() == 0
    abort = start_beside(command, "orchestrator", "abort", where, "--reason", "users complain")
    assert abort.wait() == 0, abort.said()
    assert "is over: verdict=INCONCLUSIVE, 0 faults left behind" in abort.output.read_text()
    assert command.wait() == 1
    assert proxies(outlasting)["pubnub"]["enabled"]
    assert command.report["ended"] == {"how": "aborted", "reason": "abort by operator: users complain"}
    assert "operator: the pager rang" in [note["text"] for note in command.report["notes"]]
    assert command.left_behind() == []


def test_the_dry_run_says_what_would_be_hit_and_touches_nothing(tmp_path: Path, outlasting: dict[str, str]) -> None:
    before = proxies(outlasting)
    dry = start(tmp_path, "orchestrator", "plan", str(EXPERIMENTS / "full.json"), **outlasting)
    assert dry.wait() == 0, dry.said()
    said = dry.output.read_text()
    assert "pod-kill: 1 of 2 ready pods of discovery-service; way back: none needed" in said
    assert "replica-failure: 1 of 3 ready pods of postgresql-replica" in said
    assert "patch statefulsets/scale.apps" in said
    instants = {"pod-kill": "40 s", "qdrant-latency": "1 min 20 s"}
    assert all(re.search(rf"^ *{at}  {name}: ", said, re.MULTILINE) for name, at in instants.items()), said
    (reached,) = [line for line in said.splitlines() if line.startswith("reached: ")]
    for place in ("the gateway", "the primary of postgres-replica", "redis", "/health of sync-service", "/metrics of discovery-service"):
        assert place in reached.removeprefix("reached: ").split(", ")
    assert said.splitlines()[-1] == "would begin"
    assert proxies(outlasting) == before
    assert not (tmp_path / "runs").exists()


def test_the_dry_run_names_every_place_that_cannot_be_reached(tmp_path: Path, outlasting: dict[str, str]) -> None:
    document = yaml.safe_load(Path(outlasting["CHAOS_TARGET"]).read_text())
    document["roles"]["redis"]["url"] = "redis://:${PLANTED_TOKEN}@127.0.0.1:1/0"
    document["calls"][0]["path"] = "/not-there"
    document["breakers"].append({"kind": "health", "name": "afar", "url": "http://127.0.0.1:1/", "replica": "one", "pointer": "/state"})
    target = tmp_path / "target.yaml"
    target.write_text(yaml.safe_dump(document))
    variables = outlasting | {"CHAOS_TARGET": str(target), "PLANTED_TOKEN": PLANTED}
    dry = start(fresh(tmp_path), "orchestrator", "plan", str(EXPERIMENTS / "smoke.json"), **variables)
    assert dry.wait() == 3, dry.said()
    refused = [line for line in dry.output.read_text().splitlines() if line.startswith("refused: ")]
    assert len(refused) == 3, dry.said()
    for place in ("redis", "the page of afar", f"/not-there of {document['calls'][0]['workload']}"):
        assert any(line.startswith(f"refused: {place} cannot be reached: ") for line in refused), refused
    gate = start(fresh(tmp_path), "orchestrator", "gate", str(EXPERIMENTS / "smoke.json"), **variables)
    assert gate.wait() in (2, 3), gate.said()
    for command in (dry, gate):
        assert PLANTED not in command.said()


def test_a_run_whose_load_dies_heals_and_says_so(tmp_path: Path, outlasting: dict[str, str]) -> None:
    command = run_until(tmp_path, "flaws/partition.json", held, **outlasting)
    workers = [pid for pid in marked(command.mark) if b"orchestrator.load" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    os.kill(min(workers), signal.SIGKILL)
    assert command.wait() == 1
    assert proxies(outlasting)["pubnub"]["enabled"]
    ended = command.report["ended"]
    assert (command.report["verdict"], ended["how"]) == ("INCONCLUSIVE", "aborted")
    assert re.search("the load worker of source (load|outside) ended with code -9", ended["reason"])
    assert command.left_behind() == []


def test_a_stop_condition_ends_the_run_and_heals(tmp_path: Path, outlasting: dict[str, str]) -> None:
    """Without its fallbacks search answers errors while Qdrant is away: 60 % of the load."""
    experiment = json.loads((EXPERIMENTS / "flaws/qdrant-partition.json").read_text())
    experiment["extensions"][0]["stop"] = {"error_ratio": 0.2, "for_s": 2}
    hasty = tmp_path / "hasty.json"
    hasty.write_text(json.dumps(experiment))
    sandbox("plant", "--name", outlasting["NAME"], "--flaw", "no-fallback", variables=environment())
    command = run_until(fresh(tmp_path), str(hasty), held, **planted(outlasting, tmp_path))
    assert command.wait() == 1
    assert command.report["ended"]["how"] == "aborted"
    assert command.report["ended"]["reason"] == "stop condition: more than 20% of the requests failed in each of 2 s"
    (fault,) = command.report["faults"]
    assert fault["healed"] - fault["injected"] < 8, "the hold of the plan"
    assert proxies(outlasting)["qdrant"]["enabled"]
    # Whole this time: journal, exemplars of failing requests, all reports.
    assert (command.directory / "journal.json").exists()
    assert told(command, outlasting) == []


def test_a_namespace_that_does_not_allow_chaos_is_refused_by_plan_and_gate_alike(tmp_path: Path, outlasting: dict[str, str]) -> None:
    target = yaml.safe_load(Path(outlasting["CHAOS_TARGET"]).read_text())["kubernetes"]
    sentence = "namespace media-gateway does not allow chaos; its owner does so with: kubectl --context sandbox label namespace"
    with kubernetes.config.new_client_from_config(config_file=target["kubeconfig"], context=target["context"]) as api:
        core = kubernetes.client.CoreV1Api(api)

        def label(value: str | None) -> None:
            core.patch_namespace(target["namespace"], {"metadata": {"labels": {"chaos.media-gateway/enabled": value}}})

        try:
            label(None)
            dry = start(fresh(tmp_path), "orchestrator", "plan", str(EXPERIMENTS / "smoke.json"), **outlasting)
            gate = start(fresh(tmp_path), "orchestrator", "gate", str(EXPERIMENTS / "smoke.json"), **outlasting)
            assert (dry.wait(), gate.wait()) == (3, 3), gate.said()
        finally:
            label("true")
    assert f"refused: {sentence}" in dry.output.read_text()
    assert f"refused, nothing was injected: {sentence}" in gate.errors.read_text()
    assert gate.left_behind() == []


def start_beside(command: Command, *arguments: str) -> Command:
    """Another command in another terminal, in the folder of the first; its output goes elsewhere."""
    folder = command.folder / f"beside-{len(list(command.folder.iterdir()))}"
    folder.mkdir()
    return start(folder, *arguments)
