"""Mistakes that people make in an experiment file: each is one change to full.json, with the words of its refusal."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

EXPERIMENTS = Path(__file__).parents[3] / "experiments"
Document = dict[str, Any]
Change = Callable[[Document], object]
DELETE = object()


def full() -> Document:
    """experiments/full.json, to be changed at will."""
    content: Document = json.loads((EXPERIMENTS / "full.json").read_text(encoding="utf-8"))
    return content


def put(path: str, value: object) -> Change:
    """Set the value at a dotted path (numbers are list indexes)."""

    def change(document: Document) -> None:
        *steps, last = [int(step) if step.lstrip("-").isdigit() else step for step in path.split(".")]
        node: Any = document
        for step in steps:
            node = node[step]
        if value is DELETE:
            del node[last]
        else:
            node[last] = value

    return change


def drop(path: str) -> Change:
    return put(path, DELETE)


def argument(index: int, name: str, value: object) -> Change:
    return put(f"method.{index}.provider.arguments.{name}", value)


def method(work: Callable[[list[Any]], object]) -> Change:
    return lambda document: work(document["method"])


def foreign(**changes: object) -> Document:
    """An action of another extension on the timeline."""
    activity = {
        "type": "action",
        "name": "drain",
        "at": "15m",
        "background": True,
        "provider": {"type": "process", "path": "true"},
    } | changes
    return {key: value for key, value in activity.items() if value is not DELETE}


def with_foreign(**changes: object) -> Change:
    return method(lambda entries: entries.insert(1, foreign(**changes)))


def twice(path: str) -> Change:
    """Say the same entry of a list twice."""

    def change(document: Document) -> None:
        steps = path.split(".")
        node: Any = document
        for step in steps[:-1]:
            node = node[step]
        entries = node[steps[-1]]
        entries.insert(1, copy.deepcopy(entries[0]))

    return change


ORCHESTRATOR, LOAD = "extensions.0", "extensions.0.load"
PROBES = "steady-state-hypothesis.probes"
MISTAKES: dict[str, tuple[Change, str]] = {
    "fault misspelt": (put("method.0.provider.func", "pod_kil"), "no fault is called 'pod_kil'"),
    "fault is a list": (put("method.0.provider.func", ["pod_kill"]), "no fault is called"),
    "fault missing": (drop("method.0.provider.func"), "no fault is called ''"),
    "probe as a fault": (put("method.0.provider.func", "ready"), "no fault is called 'ready'"),
    "role missing": (drop("method.0.provider.arguments.role"), "role: it is missing"),
    "role a number": (argument(0, "role", 5), "role: Input should be a valid string"),
    "role null": (argument(0, "role", None), "role: Input should be a valid string"),
    "argument unknown": (argument(1, "latency_ms", 200), "latency_ms: this argument is not known"),
    "hold of an instant": (argument(0, "hold", "3m"), "hold: this argument is not known"),
    "hold in our words": (argument(1, "hold_s", 180), "hold_s: this argument is not known"),
    "hold missing": (drop("method.1.provider.arguments.hold"), "hold: it is missing"),
    "hold zero": (argument(1, "hold", 0), "hold: Input should be greater than 0"),
    "hold negative": (argument(1, "hold", "-5m"), "'-5m' is not a duration"),
    "hold a list": (argument(1, "hold", ["3m"]), "['3m'] is not a duration"),
    "delay as text": (argument(1, "delay_ms", "200ms"), "delay_ms: Input should be a valid integer"),
    "delay negative": (argument(1, "delay_ms", -200), "delay_ms: Input should be greater than 0"),
    "delay missing": (drop("method.1.provider.arguments.delay_ms"), "delay_ms: it is missing"),
    "jitter negative": (argument(1, "jitter_ms", -1), "jitter_ms: Input should be greater than or equal to 0"),
    "mode misspelt": (argument(4, "mode", "refuse"), "mode: Input should be 'refused' or 'blackhole'"),
    "switch as text": (argument(0, "may_take_last", "yes"), "may_take_last: Input should be a valid boolean"),
    "arguments a list": (put("method.0.provider.arguments", ["discovery"]), "provider.arguments: it is a list"),
    "arguments null": (put("method.0.provider.arguments", None), "provider.arguments: it is missing or null"),
    "provider null": (put("method.0.provider", None), "provider: it is missing or null"),
    "provider a text": (put("method.0.provider", "pod_kill"), "provider: it is a text"),
    "at missing": (drop("method.0.at"), "a fault needs its instant"),
    "at in words": (put("method.0.at", "10 minutes"), "'10 minutes' is not a duration"),
    "at negative": (put("method.0.at", "-5m"), "'-5m' is not a duration"),
    "at not a number": (put("method.0.at", float("nan")), "nan is not a duration"),
    "at endless": (put("method.0.at", float("inf")), "inf is not a duration"),
    "at true": (put("method.0.at", True), "True is not a duration"),
    "at null": (put("method.0.at", None), "None is not a duration"),
    "at a list": (put("method.0.at", ["10m"]), "['10m'] is not a duration"),
    "at of 400 digits": (put("method.0.at", 10**400), "it must be from 0 to 168 h"),
    "at of 400 digits, as text": (put("method.0.at", "9" * 400 + "h"), "it must be from 0 to 168 h"),
    "at after the end": (put("method.4.at", "61m"), "it ends after the timeline of 60 min"),
    "hold after the end": (put("method.4.at", "58m"), "it ends after the timeline of 60 min"),
    "at before it can be prepared": (put("method.0.at", "5s"), "too early: a fault is prepared 12 s before"),
    "pauses": (put("method.0.pauses", {"before": 60}), "a pause would move it away"),
    "same instants": (put("method.1.at", "10m"), "two faults have the same instant"),
    "overlap": (put("method.2.at", "21m"), "are shorter than its hold of 180 s"),
    "same names": (put("method.1.name", "pod-kill"), "two activities are called 'pod-kill'"),
    "the end's name": (put("method.0.name", "end-of-timeline"), "two activities are called 'end-of-timeline'"),
    "name missing": (drop("method.0.name"), "method[0].name: it is missing"),
    "name empty": (put("method.0.name", " "), "method[0].name: it is empty"),
    "name a number": (put("method.0.name", 7), "method[0].name: it is a number"),
    "name with a slash": (put("method.1.name", "qdrant/latency"), "letters, digits"),
    "fault in the foreground": (put("method.0.background", False), "it must not hold up the timeline"),
    "fault without background": (drop("method.0.background"), "it must not hold up the timeline"),
    "background as text": (put("method.0.background", "true"), "it must not hold up the timeline"),
    "fault as a probe": (put("method.0.type", "probe"), "it must not hold up the timeline"),
    "activity by reference": (method(lambda entries: entries.insert(0, {"ref": "pod-kill"})), "method[0].ref"),
    "activity a text": (method(lambda entries: entries.insert(0, "pod-kill")), "method[0]: it is a text"),
    "activity null": (put("method.2", None), "method[2]: it is missing or null"),
    "method missing": (drop("method"), "method: it is missing"),
    "method null": (put("method", None), "method: it is missing or null"),
    "method empty": (put("method", []), "its last entry must be the foreground probe"),
    "method an object": (put("method", {}), "method: it is an object"),
    "watched with faults": (put("extensions.0.observe", True), "observe: the method has faults"),
    "stop limit misspelt": (put("extensions.0.stop", {"eror_ratio": 0.5}), "extensions.orchestrator.stop.eror_ratio: "),
    "stop limit that is none": (put("extensions.0.stop", {"error_ratio": 7}), "extensions.orchestrator.stop.error_ratio: "),
    "overlap in words": (put("extensions.0.overlap", "yes"), "overlap: it is 'yes'; make it true or leave it out"),
    "watched in words": (put("extensions.0.observe", "yes"), "observe: it is 'yes'; make it true or leave it out"),
    "no faults": (method(lambda entries: entries.__delitem__(slice(0, 5))), "it has no fault"),
    "end missing": (drop("method.5"), "its last entry must be the foreground probe"),
    "end not last": (method(lambda entries: entries.insert(0, entries.pop())), "its last entry must be the foreground probe"),
    "end twice": (method(lambda entries: entries.append(copy.deepcopy(entries[-1]))), "its last entry must be the foreground probe"),
    "end in the background": (put("method.5.background", True), "its last entry must be the foreground probe"),
    "end at another minute": (put("method.5.at", "59m"), "it is 59 min, the length is 60 min"),
    "end without at": (drop("method.5.at"), "method[5].at"),
    "length missing": (drop(f"{ORCHESTRATOR}.length"), "extensions.orchestrator.length: it is missing"),
    "length in words": (put(f"{ORCHESTRATOR}.length", "one hour"), "'one hour' is not a duration"),
    "length zero": (put(f"{ORCHESTRATOR}.length", 0), "the length is 0 s"),
    "criteria unknown": (put(f"{ORCHESTRATOR}.criteria", "media-gateway-3.6"), "choose one of media-gateway-3.5"),
    "criteria missing": (drop(f"{ORCHESTRATOR}.criteria"), "no criteria set is called ''"),
    "criteria an object": (put(f"{ORCHESTRATOR}.criteria", {"recovery": "2m"}), "no criteria set is called"),
    "extension key unknown": (put(f"{ORCHESTRATOR}.duration", "60m"), "extensions.orchestrator.duration: this key is not known"),
    "extensions an object": (put("extensions", {"name": "orchestrator"}), "extensions: it is an object"),
    "extensions of texts": (put("extensions", ["orchestrator"]), "extensions[0]: it is a text"),
    "extensions missing": (drop("extensions"), "0 entries are named 'orchestrator'"),
    "extension twice": (twice("extensions"), "2 entries are named 'orchestrator'"),
    "mix below one": (put(f"{LOAD}.mix.search", 0.5), "the shares of mix sum to 0.9"),
    "mix empty": (put(f"{LOAD}.mix", {}), "the shares of mix sum to 0"),
    "mix in percent": (put(f"{LOAD}.mix.search", 60), "less than or equal to 1"),
    "mix a list": (put(f"{LOAD}.mix", ["search"]), "load.mix: Input should be a valid dictionary"),
    "rate zero": (put(f"{LOAD}.rate_per_s", 0), "rate_per_s: Input should be greater than 0"),
    "rate as text": (put(f"{LOAD}.rate_per_s", "1000"), "rate_per_s: Input should be a valid number"),
    "rate endless": (put(f"{LOAD}.rate_per_s", float("inf")), "give a finite number"),
    "load a number": (put(LOAD, 1000), "extensions.orchestrator.load: Input should be"),
    "load key unknown": (put(f"{LOAD}.rps", 1000), "load.rps: Extra inputs are not permitted"),
    "control missing": (drop("controls"), "give exactly one control"),
    "control empty": (put("controls", []), "give exactly one control"),
    "control an object": (put("controls", {"name": "timeline"}), "controls: it is an object"),
    "control twice": (twice("controls"), "give exactly one control"),
    "control misspelt": (put("controls.0.provider.module", "orchestrator.timelin"), "give exactly one control"),
    "control without provider": (drop("controls.0.provider"), "controls[0].provider: it is missing or null"),
    "control of one scope": (put("controls.0.scope", "before"), "controls[0].scope"),
    "control not automatic": (put("controls.0.automatic", False), "controls[0].automatic"),
    "hypothesis missing": (drop("steady-state-hypothesis"), "the probe 'ready' is missing"),
    "hypothesis null": (put("steady-state-hypothesis", None), "steady-state-hypothesis: it is missing or null"),
    "probes null": (put(PROBES, None), "steady-state-hypothesis.probes: it is missing or null"),
    "ready missing": (drop(f"{PROBES}.0"), "the probe 'ready' is missing"),
    "verdict missing": (drop(f"{PROBES}.1"), "the probe 'verdict' is missing"),
    "verdict twice": (twice(PROBES), "'ready' stands there twice"),
    "a fault as a probe": (
        lambda document: document["steady-state-hypothesis"]["probes"].append(document["method"][0]),
        "'pod_kill' is not a probe of ours",
    ),
    "tolerance true": (put(f"{PROBES}.1.tolerance", True), "it is True; make it 0"),
    "tolerance false": (put(f"{PROBES}.1.tolerance", False), "it is False; make it 0"),
    "tolerance missing": (drop(f"{PROBES}.1.tolerance"), "it is None; make it 0"),
    "fault as rollback": (lambda document: document["rollbacks"].append(document["method"][0]), "it is not a rollback"),
    "rollbacks an object": (put("rollbacks", {}), "rollbacks: it is an object"),
    "title missing": (drop("title"), "title: it is missing"),
    "title a list": (put("title", ["A", "B"]), "title: it is a list"),
    "description empty": (put("description", ""), "description: it is empty"),
    "foreign without instant": (with_foreign(at=DELETE), "give every entry of the method its instant"),
    "foreign in the foreground": (with_foreign(background=False), "must not hold up the others"),
    "foreign after the end": (with_foreign(at="2h"), "it lies after the end of the timeline"),
    "foreign of the same name": (with_foreign(name="pod-kill"), "two activities are called 'pod-kill'"),
    "foreign in wrong units": (with_foreign(at="15min"), "'15min' is not a duration"),
}
MISTAKES["no room at the end"] = (put("method.4.at", 3600 - 180 - 10), "190.0 s until the next fault or the end are shorter")
