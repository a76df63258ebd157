"""A wrong plan at every front door: the same sentence, its exit code, no traceback, nothing touched."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.__main__ import main
from sandbox.describe import Place, description

EXPERIMENTS = Path(__file__).parents[2] / "experiments"
CHAOS = [sys.executable, "-m", "chaostoolkit", "--no-version-check"]
MISTAKES = {"misspelt fault": '"pod_kill"|"pod_kil"', "late": '"at": "50m"|"at": "70m"', "unknown role": '"role": "redis"|"role": "rediss"'}


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    target = tmp_path / "target.yaml"
    target.write_text(description(Place(Path("none"), None)), encoding="utf-8")
    monkeypatch.setenv("CHAOS_TARGET", str(target))
    return dict(os.environ)


@pytest.mark.parametrize("mistake", MISTAKES)
def test_every_door_says_the_same_sentence(
    mistake: str, tmp_path: Path, environment: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    old, _, new = MISTAKES[mistake].partition("|")
    file = tmp_path / "wrong.json"
    file.write_text((EXPERIMENTS / "full.json").read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
    assert main(["gate", str(file)]) == 3
    sentence = capsys.readouterr().err.removeprefix("orchestrator: ").strip()
    assert "\n" not in sentence
    for verb in ("validate", "run"):
        done = subprocess.run(
            [*CHAOS, verb, str(file)], env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
        )
        said = done.stdout + done.stderr
        assert done.returncode == 1, said
        assert said.count(sentence) == 1, said
        assert "Traceback" not in said
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "{}"])
@pytest.mark.usefixtures("environment")
def test_a_file_that_is_no_experiment_is_refused_at_the_gate(text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "wrong.json"
    file.write_text(text, encoding="utf-8")
    assert main(["gate", str(file)]) == 3
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize("name", ["missing.json", "."])
def test_a_file_that_cannot_be_read_is_refused_at_the_gate(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["gate", str(tmp_path / name)]) == 3
    assert capsys.readouterr().err.count("\n") == 1
