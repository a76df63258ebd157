"""The driver's commands as real processes: words and no shell, bounded, and what went wrong in a sentence."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest
from chaos_nodes.driver import drive, in_words

from orchestrator.errors import TargetError

SAY = "import sys; open(sys.argv[1], 'w').write(repr(sys.argv[2:]))"


async def test_words_reach_the_program_as_they_are(tmp_path: Path) -> None:
    told, spoiled = tmp_path / "told", tmp_path / "spoiled"
    await drive([sys.executable, "-c", SAY, str(told), "-n={node}", f"; touch {spoiled}", "$(id)", "{other}"], "node-1.example", 10)
    assert told.read_text() == repr(["-n=node-1.example", f"; touch {spoiled}", "$(id)", "{other}"])
    assert not spoiled.exists()
    assert in_words(["bmc", "--host={node}", "power off"], "node1") == "bmc --host=node1 'power off'"


async def test_a_command_that_fails_is_told_with_its_last_words() -> None:
    with pytest.raises(TargetError) as told:
        await drive([sys.executable, "-c", "import sys; print('a\\nb'); sys.exit('no node {node}')"], "node1", 10)
    assert str(told.value).endswith("failed with 1: a b no node node1") or str(told.value).endswith("failed with 1: no node node1 a b")


async def test_a_command_that_cannot_be_run_is_told(tmp_path: Path) -> None:
    with pytest.raises(TargetError, match="cannot be run: No such file or directory"):
        await drive([str(tmp_path / "nothing"), "{node}"], "node1", 10)
    (tmp_path / "text").write_text("no program")
    with pytest.raises(TargetError, match="cannot be run: Permission denied"):
        await drive([str(tmp_path / "text"), "{node}"], "node1", 10)


async def test_a_command_that_hangs_is_ended_in_time() -> None:
    began = time.monotonic()
    with pytest.raises(TargetError, match=r"did not end within 0\.5 s and was killed"):
        await drive([sys.executable, "-c", "import time; time.sleep(600)", "{node}"], "node1", 0.5)
    assert time.monotonic() - began < 60


async def test_what_a_command_leaves_running_does_not_hold_us_up() -> None:
    """A machine that was powered on may be a child of the command that did so."""
    leaves = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(30)'])"
    began = time.monotonic()
    await drive([sys.executable, "-c", leaves, "{node}"], "node1", 25)
    assert time.monotonic() - began < 25
