"""Forty mistakes that people make, through the real commands: one sentence, the documented exit code, nothing touched."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from e2e_command import Command, start
from plan_mistakes import MISTAKES, full, put

from sandbox.describe import Place, description

REFUSED_BY_GATE, REFUSED_BY_CHAOS = 3, 1
AT_ONCE = 2
WITHOUT_A_SCALE = {"CHAOS_TIME_SCALE": "1", "CHAOS_LOAD_SCALE": "1"}
IN_EXPERIMENTS = sorted(MISTAKES)[::4]
NOT_AN_EXPERIMENT = {"method null", "probes null"}
"""Files on which Chaos Toolkit's own reading stumbles, before it asks us; the gate refuses them as any other."""
Change = Callable[[Any], object]
IN_DESCRIPTIONS: dict[str, tuple[Change | str, str]] = {
    "target empty": ("", "the document: Input should be a valid dictionary"),
    "target not YAML": ("gateway_url: [", "is not YAML"),
    "target key unknown": (put("gatway_url", "http://127.0.0.1:1"), "gatway_url: Extra inputs are not permitted"),
    "target version": (put("version", 2), "version: Input should be 1"),
    "target role without kind": (lambda document: document["roles"]["redis"].pop("kind"), "roles.redis: there is no 'kind': add it"),
    "target role of no kind": (put("roles.redis.kind", "cache"), "roles.redis"),
    "target scale": (put("scale.time", 0), "scale.time: Input should be greater than or equal to 1"),
    "target without a role": (lambda document: document["roles"].pop("discovery"), "has no role 'discovery'"),
    "target with half a breaker": (put("breakers.0.path", ""), "give workload and path"),
    "target without a route": (lambda document: document["routes"].pop("content"), "content"),
    "target that is not there": ("", "No such file"),
}
NAMES = [*IN_EXPERIMENTS, *IN_DESCRIPTIONS]


@dataclass(frozen=True)
class Told:
    """What one command said of one mistake."""

    code: int
    words: str
    errors: str
    said: str
    touched: bool


def prepared(name: str, folder: Path) -> tuple[Path, dict[str, str], str]:
    """The experiment with the mistake, or a right one and a description with it; and the words that must be said."""
    experiment, variables = folder / "experiment.json", dict(WITHOUT_A_SCALE)
    document = full()
    if name in MISTAKES:
        change, words = MISTAKES[name]
        change(document)
    else:
        spoil, words = IN_DESCRIPTIONS[name]
        target = folder / "target.yaml"
        variables = {"CHAOS_TARGET": str(target)}
        if name != "target that is not there":
            target.write_text(spoil if isinstance(spoil, str) else spoilt(spoil))
    experiment.write_text(json.dumps(document))
    return experiment, variables, words


def spoilt(change: Change) -> str:
    document = yaml.safe_load(description(Place(Path("none"), None)))
    change(document)
    return yaml.safe_dump(document)


def told(name: str, folder: Path, *arguments: str) -> Told:
    folder.mkdir(parents=True)
    experiment, variables, words = prepared(name, folder)
    command: Command = start(folder, *arguments, str(experiment), **variables)
    code = command.wait()
    return Told(code, words, command.errors.read_text(), command.said(), (folder / "runs").exists())


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[tuple[str, str], Future[Told]]]:
    """What each command said of each mistake, two commands at a time."""
    place = tmp_path_factory.mktemp("mistakes")
    commands = {"gate": ("orchestrator", "gate"), "chaos": ("chaostoolkit", "--no-version-check", "run")}
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield {
            (how, name): pool.submit(told, name, place / how / f"{number:02d}", *arguments)
            for number, name in enumerate(NAMES)
            for how, arguments in commands.items()
        }


@pytest.mark.parametrize("name", NAMES)
def test_the_gate_refuses_it_in_one_sentence(name: str, answers: dict[tuple[str, str], Future[Told]]) -> None:
    found = answers["gate", name].result()
    assert (found.code, found.touched) == (REFUSED_BY_GATE, False), found.said
    (sentence,) = found.errors.strip().splitlines()
    assert sentence.startswith("orchestrator: ")
    assert found.words in sentence


@pytest.mark.parametrize("name", NAMES)
def test_chaos_run_refuses_it_and_touches_nothing(name: str, answers: dict[tuple[str, str], Future[Told]]) -> None:
    found = answers["chaos", name].result()
    assert (found.code, found.touched) == (REFUSED_BY_CHAOS, False), found.said
    if name not in NOT_AN_EXPERIMENT:
        assert found.words in found.said
        assert "Traceback" not in found.said


def test_forty_mistakes_are_tried() -> None:
    assert len(NAMES) >= 40
