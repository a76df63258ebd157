"""The sandbox as a whole, from its command line: it comes up, serves, heals itself, and leaves nothing behind."""

import json
import os
import shlex
import signal
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import psutil
import pytest
import redis
import yaml

from sandbox.data.cache import prepared

UP_S = 90.0
DEADLINE_S = 20.0
REPLICAS = {f"postgresql-replica-{number}" for number in range(3)}
Status = dict[str, Any]


def until(condition: Callable[[], bool], deadline_s: float = DEADLINE_S) -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {deadline_s:g} s"
        time.sleep(0.05)


@pytest.fixture(scope="module", autouse=True)
def home() -> Iterator[Path]:
    """A home of our own, so that sandboxes of the machine's user are left alone."""
    prepared("sandbox", lambda _: None)
    with tempfile.TemporaryDirectory(prefix="chaos-sandbox-test-") as name, pytest.MonkeyPatch.context() as patch:
        Path(name).chmod(0o711)
        patch.setenv("CHAOS_SANDBOX_HOME", name)
        patch.delenv("SANDBOX_PASSWORD", raising=False)
        yield Path(name)


def sandbox(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sandbox", *arguments]
    return subprocess.run(command, text=True, capture_output=True, timeout=UP_S, check=False)


@pytest.fixture(scope="module")
def up(home: Path) -> Iterator[subprocess.Popen[str]]:
    """A sandbox in the foreground, whose lifeline we hold."""
    command = [sys.executable, "-m", "sandbox", "up", "--name", "front", "--lifeline"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with process:
        yield process
        assert process.stdin is not None
        process.stdin.close()


@pytest.fixture(scope="module")
def status(up: subprocess.Popen[str]) -> Status:
    """The document that it prints when it is ready."""
    assert up.stdout is not None
    document: Status = json.loads(up.stdout.readline())
    return document


@pytest.fixture(scope="module")
def behind(up: subprocess.Popen[str]) -> Iterator[Status]:
    """A second sandbox, detached, started while the first one comes up."""
    done = sandbox("up", "--detach", "--name", "behind", "--flaw", "one-replica")
    assert done.returncode == 0, done.stderr
    yield json.loads(done.stdout)
    sandbox("down", "--name", "behind")


def call(status: Status, path: str, body: Any = None) -> Any:
    content = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(status["gateway_url"] + path, content, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=5) as answer:
        return json.load(answer)


def kubernetes(status: Status, path: str, method: str = "GET", body: Any = None) -> Any:
    """A call of the Kubernetes API, with what the kubeconfig says and nothing else."""
    access = yaml.safe_load(Path(status["kubeconfig"]).read_text())
    cluster, user = access["clusters"][0]["cluster"], access["users"][0]["user"]
    request = urllib.request.Request(cluster["server"] + path, method=method)
    request.add_header("Authorization", f"Bearer {user['token']}")
    request.add_header("Content-Type", "application/json")
    request.data = None if body is None else json.dumps(body).encode()
    authority = ssl.create_default_context(cafile=str(Path(status["kubeconfig"]).with_name("ca.pem")))
    with urllib.request.urlopen(request, timeout=10, context=authority) as answer:
        return json.load(answer)


def toxiproxy(status: Status, path: str, body: Any = None) -> Any:
    content = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(status["toxiproxy_url"] + path, content, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=5) as answer:
        return json.load(answer)


def pods(status: Status) -> list[Any]:
    items: list[Any] = kubernetes(status, "/api/v1/namespaces/media-gateway/pods")["items"]
    return items


async def streaming(status: Status) -> set[str]:
    connection = await asyncpg.connect(status["postgres"]["primary"], timeout=5)
    try:
        rows = await connection.fetch("select application_name from pg_stat_replication where state = 'streaming'")
        return {row["application_name"] for row in rows}
    finally:
        await connection.close()


def tree(supervisor: int) -> list[psutil.Process]:
    process = psutil.Process(supervisor)
    return [process, *process.children(recursive=True)]


def alive(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Those that run; one that has ended but was not waited for (by init, when nobody else is left) does not."""
    return [one for one in processes if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]


def test_status_says_where_everything_is(behind: Status, status: Status) -> None:
    told = json.loads(sandbox("status", "--json", "--name", "front").stdout)
    assert told == status
    assert told["name"] == "front"
    assert told["flaws"] == []
    assert len(told["postgres"]["replicas"]) == 3
    assert Path(told["kubeconfig"]).stat().st_mode & 0o777 == 0o600
    target = yaml.safe_load(Path(told["target"]).read_text())
    assert target["gateway_url"] == told["gateway_url"]
    assert all(psutil.pid_exists(pid) for pid in told["pids"].values())


def test_env_prints_exports(status: Status) -> None:
    words = shlex.split(sandbox("env", "--name", "front").stdout)
    values = dict(word.split("=", 1) for word in words if "=" in word)
    assert values["KUBECONFIG"] == status["kubeconfig"]
    assert values["CHAOS_TARGET"] == status["target"]
    assert values["SANDBOX_PASSWORD"] == "sandbox"


def test_the_platform_serves(status: Status) -> None:
    answer = call(status, "/api/v1/search", {"query": "scary movies about space"})
    assert len(answer["results"]) == 20
    assert call(status, "/api/v1/content/content-00042")["content"]["id"] == "content-00042"
    assert call(status, "/api/v1/auth/login", {"user_id": "user-0001", "password": "sandbox"})["access_token"]


def ready(pod: dict[str, Any]) -> bool:
    return any(one["type"] == "Ready" and one["status"] == "True" for one in pod["status"].get("conditions", ()))


def test_all_pods_are_ready(status: Status) -> None:
    states = {pod["metadata"]["name"]: {one["type"]: one["status"] for one in pod["status"]["conditions"]} for pod in pods(status)}
    assert len(states) == 17
    assert {conditions["Ready"] for conditions in states.values()} == {"True"}


def test_links_lead_through_toxiproxy(status: Status) -> None:
    with urllib.request.urlopen(status["toxiproxy_url"] + "/proxies", timeout=5) as answer:
        proxies = json.load(answer)
    assert set(proxies) == {"redis", "qdrant", "pubnub", "postgres-primary", *(f"postgres-replica-{number}" for number in range(3))}
    addresses = {pod["status"]["podIP"] for pod in pods(status)}
    assert {proxy["upstream"].partition(":")[0] for proxy in proxies.values()} < addresses


async def test_a_deleted_replica_streams_again(status: Status) -> None:
    assert await streaming(status) == REPLICAS
    path = "/api/v1/namespaces/media-gateway/pods/postgresql-replica-1"
    old = kubernetes(status, path)["metadata"]["uid"]
    kubernetes(status, path, "DELETE", {"gracePeriodSeconds": 0})
    until(
        lambda: any(
            pod["metadata"]["name"] == "postgresql-replica-1" and pod["metadata"]["uid"] != old and ready(pod) for pod in pods(status)
        )
    )
    deadline = time.monotonic() + DEADLINE_S
    while await streaming(status) != REPLICAS:
        assert time.monotonic() < deadline
    connection = await asyncpg.connect(status["postgres"]["replicas"][1], timeout=5)
    assert await connection.fetchval("select pg_is_in_recovery()")
    await connection.close()


def test_two_stand_side_by_side_and_a_flaw_is_planted(status: Status, behind: Status) -> None:
    assert behind["flaws"] == ["one-replica"]
    assert behind["gateway_url"] != status["gateway_url"]
    assert len(pods(behind)) == 16
    assert call(behind, "/api/v1/content/content-00007")["content"]["id"] == "content-00007"


def planted(status: Status, deployment: str) -> dict[str, str]:
    """The settings that stand in the environment of a service."""
    found = kubernetes(status, f"/apis/apps/v1/namespaces/media-gateway/deployments/{deployment}")
    environment = found["spec"]["template"]["spec"]["containers"][0]["env"]
    return {one["name"]: one["value"] for one in environment if one["name"].startswith("MG_")}


async def test_plant_changes_the_flaw_and_takes_away_what_a_run_left(behind: Status) -> None:
    """It had one discovery pod. A key, a toxic, a strange proxy and an operation in the outbox are left by somebody."""
    assert planted(behind, "discovery-service") == {"MG_DISCOVERY_REPLICAS": "1"}
    cache = redis.Redis.from_url(behind["redis_url"])
    cache.set("left", "behind")
    toxiproxy(behind, "/proxies/qdrant/toxics", {"name": "slow", "type": "latency", "attributes": {"latency": 500}})
    toxiproxy(behind, "/proxies", {"name": "strange", "listen": "127.0.0.1:0", "upstream": "127.0.0.1:1"})

    done = sandbox("plant", "--name", "behind", "--flaw", "breaker-never-opens")

    assert (done.returncode, done.stdout) == (0, "behind: breaker-never-opens\n"), done.stderr
    assert planted(behind, "sync-service") == {"MG_PUBNUB_BREAKER_FAILURES": "1000000"}
    assert json.loads(sandbox("status", "--json", "--name", "behind").stdout)["flaws"] == ["breaker-never-opens"]
    assert len(pods(behind)) == 17
    assert cache.get("left") is None
    cache.close()
    proxies = toxiproxy(behind, "/proxies")
    assert "strange" not in proxies
    assert [proxy["name"] for proxy in proxies.values() if proxy["toxics"]] == []
    assert call(behind, "/api/v1/content/content-00007")["content"]["id"] == "content-00007"


def test_plant_refuses_a_flaw_that_is_not_known(behind: Status) -> None:
    done = sandbox("plant", "--name", "behind", "--flaw", "no-such-flaw")
    assert done.returncode == 1
    assert "no-such-flaw" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_name_is_taken_once(status: Status) -> None:
    done = sandbox("up", "--name", "front")
    assert done.returncode == 1
    assert done.stderr == "sandbox: sandbox 'front' is already running: use another --name, or end it with `down`\n"


def test_an_unknown_flaw_is_refused_in_one_sentence() -> None:
    done = sandbox("up", "--flaw", "no-such-flaw")
    assert done.returncode == 1
    assert "no-such-flaw" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(("variable", "arguments"), [("CHAOS_SANDBOX_HOME", ("up",)), ("CHAOS_SANDBOX_CACHE", ("prepare",))])
def test_a_directory_that_cannot_be_is_refused_with_the_fix(
    variable: str, arguments: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv(variable, str(tmp_path / "file" / "below"))
    done = sandbox(*arguments)
    assert done.returncode == 1
    assert f": set {variable} to " in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's servers run as somebody else")
def test_a_home_that_postgresql_cannot_reach_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tmp_path.chmod(0o700)
    monkeypatch.setenv("CHAOS_SANDBOX_HOME", str(tmp_path))
    assert "is closed to 'nobody'" in sandbox("up").stderr


def test_down_leaves_nothing(behind: Status, home: Path) -> None:
    processes = tree(behind["pids"]["supervisor"])
    done = sandbox("down", "--name", "behind")
    assert done.returncode == 0, done.stderr
    assert not alive(processes)
    assert not (home / "behind").exists()
    assert sandbox("status", "--name", "behind").returncode == 1


def test_a_killed_supervisor_leaves_no_process(up: subprocess.Popen[str], status: Status, home: Path) -> None:
    processes = tree(status["pids"]["supervisor"])
    os.kill(up.pid, signal.SIGKILL)
    up.wait()
    until(lambda: not alive(processes), deadline_s=2.0)
    assert sandbox("status", "--name", "front").stderr.startswith("sandbox: no sandbox 'front' is running")


def test_the_end_of_the_lifeline_is_the_end(home: Path) -> None:
    command = [sys.executable, "-m", "sandbox", "up", "--lifeline"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        until(lambda: any(home.glob("run-*/kubeconfig")))
        processes = tree(process.pid)
        process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0
    assert not alive(processes)
    # It has also taken away what the killed one left.
    assert [path.name for path in home.iterdir()] == ["lock"]
