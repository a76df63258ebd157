"""Finding the load workers of one run, following its recording, and the small readers of the matrix."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from accuracy.matrix.cluster import KubeConfig
from accuracy.matrix.generator import generator_of, load_workers
from accuracy.matrix.sight import RunEnded, RunSight, Tail
from accuracy.sandbox import exports, without_ours

WORKER = "python\0-m\0orchestrator.load\0"


def process(proc: Path, pid: int, *, parent: int, arguments: str, name: str = "python3") -> None:
    (proc / str(pid)).mkdir()
    (proc / str(pid) / "stat").write_text(f"{pid} ({name}) S {parent} 1 1 0 -1")
    (proc / str(pid) / "cmdline").write_text(arguments)


def test_only_load_workers_of_this_run_are_found(tmp_path: Path) -> None:
    process(tmp_path, 10, parent=1, arguments="python\0-m\0chaostoolkit\0")
    process(tmp_path, 12, parent=10, arguments=WORKER, name="odd) name (")
    process(tmp_path, 11, parent=10, arguments=WORKER)
    process(tmp_path, 13, parent=10, arguments="python\0-m\0sandbox\0")
    process(tmp_path, 21, parent=20, arguments=WORKER)
    (tmp_path / "14").mkdir()
    (tmp_path / "meminfo").write_text("")
    assert load_workers(10, tmp_path) == [11, 12]
    assert load_workers(99, tmp_path) == []


def state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def wait_for_state(pid: int, wanted: str) -> None:
    deadline = time.monotonic() + 10
    while state(pid) not in wanted:
        assert time.monotonic() < deadline, state(pid)
        time.sleep(0.01)


async def test_a_stalled_worker_is_stopped_and_goes_on_also_when_the_stall_is_cut_short() -> None:
    code = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'print(flush=True); input()', 'orchestrator.load'])"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as run:
        assert run.stdout is not None
        run.stdout.readline()
        (worker,) = load_workers(run.pid)
        with generator_of(run.pid) as generator:
            stall = asyncio.create_task(generator.stall(3600))
            await asyncio.sleep(0)
            wait_for_state(worker, "T")
            stall.cancel()
            await asyncio.gather(stall, return_exceptions=True)
            wait_for_state(worker, "SR")
        run.communicate(b"\n")
    assert run.returncode == 0


def test_a_run_without_load_workers_is_said_so() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as run:
        with pytest.raises(LookupError, match="no load worker"), generator_of(run.pid):
            pass
        run.send_signal(signal.SIGKILL)


def test_a_tail_gives_whole_lines_once(tmp_path: Path) -> None:
    path = tmp_path / "recording.jsonl"
    tail = Tail(path)
    assert tail.lines() == []
    path.write_bytes(b"one\ntw")
    assert tail.lines() == [b"one"]
    assert tail.lines() == []
    with path.open("ab") as file:
        file.write(b"o\nthree\n")
    assert tail.lines() == [b"two", b"three"]


def sight(folder: Path, alive: list[bool]) -> RunSight:
    run = RunSight(1, folder, lambda: alive.pop(0) if len(alive) > 1 else alive[0])
    run.recording.parent.mkdir(parents=True)
    return run


async def test_a_step_of_a_fault_is_awaited_not_the_phase_of_the_same_name(tmp_path: Path) -> None:
    run = sight(tmp_path, [True])
    run.recording.write_text('{"kind":"phase","phase":"injected"}\n')
    waiting = asyncio.create_task(run.step("injected"))
    await asyncio.sleep(0)
    assert not waiting.done()
    with run.recording.open("a") as file:
        file.write('{"kind":"fault","phase":"injected","fault":"pod-kill"}\n')
    assert (await waiting)["fault"] == "pod-kill"
    assert (await run.phase("injected"))["kind"] == "phase"


async def test_a_line_that_was_written_just_before_the_end_still_counts(tmp_path: Path) -> None:
    run = sight(tmp_path, [False])
    run.recording.write_text('{"kind":"phase","phase":"end"}\n')
    assert await run.phase("end")
    with pytest.raises(RunEnded):
        await run.step("injected")


def test_exports_are_read_as_a_shell_would() -> None:
    text = "export CHAOS_TARGET=/tmp/a\nexport DSN='postgresql://a b@c/d?e=f'\nnonsense\n"
    assert exports(text) == {"CHAOS_TARGET": "/tmp/a", "DSN": "postgresql://a b@c/d?e=f"}


def test_what_a_developer_set_for_runs_does_not_reach_a_measurement() -> None:
    environment = {"CHAOS_FLAW": "x", "KUBECONFIG": "y", "CHAOS_SANDBOX_CACHE": "/c", "PATH": "/bin", "CHAOS_TIME_SCALE": "3"}
    assert without_ours(environment) == {"CHAOS_SANDBOX_CACHE": "/c", "PATH": "/bin"}


def test_a_kubeconfig_through_a_relay_differs_in_the_server_only() -> None:
    cluster = {"name": "sandbox", "cluster": {"server": "https://127.0.0.1:6443", "certificate-authority": "/ca.pem"}}
    config = KubeConfig({"clusters": [cluster], "users": [{"name": "me", "user": {"token": "t"}}]})
    assert config.host_and_port == ("127.0.0.1", 6443)
    moved = KubeConfig(config.through("127.0.0.1:7"))
    assert moved.server == "https://127.0.0.1:7"
    assert moved.document["clusters"][0]["cluster"]["certificate-authority"] == "/ca.pem"
    assert moved.document["users"] == config.document["users"]
    assert config.server == "https://127.0.0.1:6443"


def test_the_shifted_clock_moves_the_time_module_and_its_texts() -> None:
    folder = Path(__file__).resolve().parents[3] / "accuracy" / "matrix" / "shifted_clock"
    code = "import time; print(time.time(), time.time_ns(), time.mktime(time.localtime()), time.strftime('%Y', time.gmtime(0)))"
    environment = {"PYTHONPATH": str(folder), "CLOCK_OFFSET_S": "100000"}
    before = time.time()
    said = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True).stdout.split()
    after = time.time()
    for seconds, slack_s in ((float(said[0]), 0.0), (int(said[1]) / 1e9, 1e-3), (float(said[2]), 1.0)):
        assert before + 100_000 - slack_s <= seconds <= after + 100_000 + slack_s
    assert said[3] == "1970"
