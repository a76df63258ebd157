"""The plan: an experiment's content, validated whole and immutable. Every mistake is a PlanError before anything is touched."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError

from orchestrator.criteria_set import CriteriaSet, load_criteria_set
from orchestrator.durations import in_words, seconds
from orchestrator.errors import PackageError, PlanError
from orchestrator.faults.base import Settings
from orchestrator.faults.kinds import KINDS, Kind, kinds_of
from orchestrator.load.profile import Profile
from orchestrator.shape import check_shape
from steady_state.stopping import StopLimits

MODULE = "orchestrator.activities"
TIMELINE = "orchestrator.timeline"
EXTENSION = "orchestrator"
END, PROBES, ROLLBACK = "end_of_timeline", ("ready", "verdict"), "heal_all"
PREPARE_LEAD_S = 12.0
"""`prepare` runs this long before the injection. Source: design 6."""
SETTLE_ROOM_S = 28.0
"""A slot must hold its fault and this much more: 15 s for breakers to close, 10 s settled, air. Source: design 2."""
LEAST_HOLD_S = 10.0
"""A scaled hold is never shorter. Source: design 2."""
AS_WRITTEN_S = 600.0
"""Experiments up to this long run as written, whatever the time scale. Source: design 2."""
PACKAGE = re.compile(r"[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)*")
FAULT_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9 ._-]{0,61}[A-Za-z0-9])?")
"""A fault's name is also the name of what it puts on the target."""


@dataclass(frozen=True, slots=True)
class PlannedFault:
    """One fault of the plan; `at_s` counts from minute 0."""

    name: str
    kind: str
    at_s: float
    settings: Settings

    @property
    def hold_s(self) -> float:
        return self.settings.hold_s


@dataclass(frozen=True, slots=True)
class Plan:
    """A validated experiment. `foreign` are timed activities of other Chaos Toolkit extensions: they run, but prove nothing."""

    title: str
    length_s: float
    faults: tuple[PlannedFault, ...]
    foreign: Mapping[str, float]
    load: Profile
    criteria: CriteriaSet
    stop: StopLimits
    scale_time: float = 1.0
    scale_load: float = 1.0
    overlap: bool = False
    """Faults may come before the last one has settled; what cannot be told apart then is INCONCLUSIVE."""

    @property
    def rate_per_s(self) -> float:
        return self.load.rate_per_s / self.scale_load

    def fault(self, name: str) -> PlannedFault:
        return next(fault for fault in self.faults if fault.name == name)


def read_plan(experiment: Mapping[str, Any]) -> Plan:
    """The plan of a Chaos Toolkit experiment, at full scale. Raises PlanError."""
    check_shape(experiment)
    settings = _extension(experiment)
    length_s = _duration(settings, "length", "extensions.orchestrator.length")
    _require_control(experiment)
    _require_probes(experiment)
    method = experiment["method"]
    _require_end(method, length_s)
    packages = _packages(settings)
    kinds = _kinds(packages)
    places = [(activity, f"method[{index}]") for index, activity in enumerate(method)]
    faults = tuple(_fault(activity, key, packages, kinds) for activity, key in places if _is_fault(activity, packages))
    foreign = {activity["name"]: _at(activity, key) for activity, key in places if _is_foreign(activity, packages)}
    _no_untimed(method, packages)
    _check_names(method)
    _check_observing(settings, faults)
    _check_timeline(faults, foreign, length_s)
    _check_rollbacks(experiment)
    criteria = load_criteria_set(str(settings.get("criteria", "")), packages)
    for fault in faults:
        if criteria.for_fault(fault.kind, fault.settings.role) is None:
            raise PlanError(
                "extensions.orchestrator.criteria", f"set {criteria.name} says nothing about {fault.kind}", "add it or choose another set"
            )
    return Plan(
        title=str(experiment.get("title", "")),
        length_s=length_s,
        faults=tuple(sorted(faults, key=lambda one: one.at_s)),
        foreign=foreign,
        load=_load(settings),
        criteria=criteria,
        stop=_stop(settings),
        overlap=_switch(settings, "overlap"),
    )


def scaled(plan: Plan, *, time_scale: float, load_scale: float) -> Plan:
    """The plan with offsets and holds divided by the time scale, and the rate by the load scale. Raises PlanError."""
    for name, value in (("CHAOS_TIME_SCALE", time_scale), ("CHAOS_LOAD_SCALE", load_scale)):
        if not 1 <= value <= 10_000:
            raise PlanError(name, f"{value:g} is not a scale", "give a number from 1 (as written) to 10000")
    plan = replace(plan, scale_load=load_scale)
    if plan.length_s <= AS_WRITTEN_S or time_scale == 1:
        _require_room(plan)
        return plan
    shorter = replace(
        plan,
        length_s=plan.length_s / time_scale,
        faults=tuple(_scaled_fault(fault, time_scale) for fault in plan.faults),
        foreign={name: at_s / time_scale for name, at_s in plan.foreign.items()},
        scale_time=time_scale,
    )
    _require_room(shorter)
    return shorter


def _scaled_fault(fault: PlannedFault, time_scale: float) -> PlannedFault:
    hold_s = max(LEAST_HOLD_S, fault.hold_s / time_scale) if fault.hold_s else 0.0
    return replace(fault, at_s=fault.at_s / time_scale, settings=fault.settings.model_copy(update={"hold_s": hold_s}))


def _require_room(plan: Plan) -> None:
    """Each fault needs its hold and room to settle before the next one, and `prepare` before the first."""
    if not plan.overlap:
        _require_room_to_settle(plan)
    if plan.faults and plan.faults[0].at_s < PREPARE_LEAD_S:
        raise PlanError(
            f"method.{plan.faults[0].name}.at",
            f"{plan.faults[0].at_s:.1f} s after the start is too early: a fault is prepared {PREPARE_LEAD_S:g} s before",
            "move it or lower the time scale",
        )


def _require_room_to_settle(plan: Plan) -> None:
    ends = [*(fault.at_s for fault in plan.faults), plan.length_s][1:]
    for fault, end in zip(plan.faults, ends, strict=True):
        needed = fault.hold_s + SETTLE_ROOM_S
        if end - fault.at_s < needed - 1e-9:
            raise PlanError(
                f"method.{fault.name}",
                f"{end - fault.at_s:.1f} s until the next fault or the end are shorter than "
                f"its hold of {fault.hold_s:g} s and {SETTLE_ROOM_S:g} s to settle",
                "lower the time scale (CHAOS_TIME_SCALE) or move the faults apart" if plan.scale_time > 1 else "move the faults apart",
            )


def _extension(experiment: Mapping[str, Any]) -> Mapping[str, Any]:
    found: list[Mapping[str, Any]] = [one for one in experiment.get("extensions", []) if one.get("name") == EXTENSION]
    if len(found) != 1:
        raise PlanError(
            "extensions", f"{len(found)} entries are named {EXTENSION!r}", 'give one: {"name": "orchestrator", "length": "60m", ...}'
        )
    known = {"name", "length", "load", "criteria", "observe", "overlap", "packages", "stop"}
    unknown = sorted(set(found[0]) - known)
    if unknown:
        raise PlanError(f"extensions.orchestrator.{unknown[0]}", "this key is not known", f"use {', '.join(sorted(known))}")
    return found[0]


def _require_control(experiment: Mapping[str, Any]) -> None:
    controls = experiment.get("controls", [])
    modules = [control["provider"].get("module") for control in controls]
    if modules != [TIMELINE]:
        raise PlanError(
            "controls", f"they name the modules {modules}", f"give exactly one control, with the module {TIMELINE}: it owns the clock"
        )
    # With a scope, or when it is not automatic, Chaos Toolkit skips the control silently, and faults would have no clock.
    surplus = sorted(set(controls[0]) - {"name", "provider"})
    if surplus:
        raise PlanError(f"controls[0].{surplus[0]}", "the control must be applied everywhere", "leave this key out")


def _require_probes(experiment: Mapping[str, Any]) -> None:
    key = "steady-state-hypothesis.probes"
    probes = [probe for probe in experiment.get("steady-state-hypothesis", {}).get("probes", []) if _is_ours(probe)]
    functions = [_function(probe) for probe in probes]
    for needed in PROBES:
        if functions.count(needed) != 1:
            problem = f"the probe {needed!r} is missing" if needed not in functions else f"the probe {needed!r} stands there twice"
            raise PlanError(key, problem, f"give {MODULE}.{needed} once, with tolerance 0")
    for probe in probes:
        if _function(probe) not in PROBES:
            raise PlanError(f"{key} ({probe['name']})", f"{_function(probe)!r} is not a probe of ours", f"use {' and '.join(PROBES)}")
        tolerance = probe.get("tolerance")
        if isinstance(tolerance, bool) or tolerance != 0:
            raise PlanError(f"{key} ({probe['name']}).tolerance", f"it is {tolerance!r}", "make it 0")


def _check_rollbacks(experiment: Mapping[str, Any]) -> None:
    for index, activity in enumerate(experiment.get("rollbacks", [])):
        if _is_ours(activity) and _function(activity) != ROLLBACK:
            raise PlanError(f"rollbacks[{index}] ({activity['name']})", "it is not a rollback", f"use {MODULE}.{ROLLBACK}")


def _is_ours(activity: Mapping[str, Any]) -> bool:
    return bool(activity["provider"].get("module") == MODULE)


def _function(activity: Mapping[str, Any]) -> str:
    return str(activity["provider"].get("func", ""))


def _is_fault(activity: Mapping[str, Any], packages: tuple[str, ...]) -> bool:
    return (_is_ours(activity) and _function(activity) != END) or bool(_package(activity, packages))


def _is_foreign(activity: Mapping[str, Any], packages: tuple[str, ...]) -> bool:
    return not _is_ours(activity) and not _package(activity, packages) and "at" in activity


def _packages(settings: Mapping[str, Any]) -> tuple[str, ...]:
    """The fault packages that the experiment names."""
    named = settings.get("packages", [])
    if not isinstance(named, list) or not all(isinstance(one, str) and PACKAGE.fullmatch(one) for one in named):
        raise PlanError("extensions.orchestrator.packages", f"it is {named!r}", 'give a list of Python packages, e.g. ["chaos_nodes"]')
    return tuple(named)


def _package(activity: Mapping[str, Any], packages: tuple[str, ...]) -> str:
    """The fault package whose activity it is; empty where it is of none."""
    module = activity["provider"].get("module")
    return next((package for package in packages if module == f"{package}.activities"), "")


def _kinds(packages: tuple[str, ...]) -> dict[str, Kind]:
    """Every kind that the experiment may use."""
    try:
        return KINDS | {name: kind for package in packages for name, kind in kinds_of(package).items()}
    except PackageError as error:
        fix = "install it, or name its folder in PYTHONPATH"
        raise PlanError("extensions.orchestrator.packages", str(error), fix) from error


def _fault(activity: Mapping[str, Any], key: str, packages: tuple[str, ...], kinds: Mapping[str, Kind]) -> PlannedFault:
    name, package, function = activity["name"], _package(activity, packages), _function(activity)
    key, kind = f"{key} ({name})", f"{package}.{function}" if package else function
    if kind not in kinds:
        raise PlanError(f"{key}.provider.func", f"no fault is called {kind!r}", f"choose one of {', '.join(kinds)}")
    if activity.get("type") != "action" or activity.get("background") is not True:
        raise PlanError(key, "it must not hold up the timeline", 'a fault is an action with "background": true')
    if not FAULT_NAME.fullmatch(name):
        raise PlanError(f"{key}.name", "it is also the name of what is put on the target", "use up to 63 letters, digits, '-', '_', '.'")
    settings = _settings(kind, kinds[kind].settings, activity["provider"].get("arguments", {}), f"{key}.arguments")
    return PlannedFault(name, kind, _at(activity, key), settings)


def _settings(kind: str, model: type[Settings], arguments: Mapping[str, Any], key: str) -> Settings:
    held = model.model_fields["hold_s"].is_required()
    known = [name for name in model.model_fields if name != "hold_s"] + (["hold"] if held else [])
    unknown = sorted(set(arguments) - set(known))
    if unknown:
        raise PlanError(f"{key}.{unknown[0]}", "this argument is not known", f"{kind} takes {', '.join(known)}")
    given = {name: value for name, value in arguments.items() if name != "hold"}
    if held:
        given["hold_s"] = _duration(arguments, "hold", f"{key}.hold")
    try:
        return model.model_validate(given, strict=True)
    except ValidationError as error:
        name, problem = _first(error)
        raise PlanError(f"{key}.{name.replace('hold_s', 'hold')}", problem, f"{kind} takes {', '.join(known)}") from error


def _first(error: ValidationError) -> tuple[str, str]:
    """Place and text of the first mistake that pydantic found."""
    first = error.errors()[0]
    text = "it is missing" if first["type"] == "missing" else first["msg"].removeprefix("Value error, ")
    return ".".join(map(str, first["loc"])), text


def _at(activity: Mapping[str, Any], key: str) -> float:
    if "at" not in activity:
        raise PlanError(f"{key}.at", "a fault needs its instant", 'give it an "at", e.g. "10m"')
    return _duration(activity, "at", f"{key}.at")


def _duration(mapping: Mapping[str, Any], name: str, key: str) -> float:
    if name not in mapping:
        raise PlanError(key, "it is missing", "give a duration, e.g. '10m'")
    try:
        return seconds(mapping[name])
    except ValueError as error:
        problem, _, fix = str(error).partition("; ")
        raise PlanError(key, problem, fix) from error


def _load(settings: Mapping[str, Any]) -> Profile:
    key = "extensions.orchestrator.load"
    try:
        profile = Profile.model_validate(settings.get("load", {}), strict=True)
    except ValidationError as error:
        name, problem = _first(error)
        raise PlanError(
            f"{key}.{name}".rstrip("."), problem, f"it takes {', '.join(Profile.model_fields)}: see spec 3.1 and 3.5"
        ) from error
    if not math.isfinite(profile.rate_per_s):
        raise PlanError(f"{key}.rate_per_s", f"it is {profile.rate_per_s}", "give a finite number")
    return profile


def _stop(settings: Mapping[str, Any]) -> StopLimits:
    try:
        return StopLimits.model_validate(settings.get("stop", {}), strict=True)
    except ValidationError as error:
        name, problem = _first(error)
        key = f"extensions.orchestrator.stop.{name}".rstrip(".")
        raise PlanError(key, problem, f"it takes {', '.join(StopLimits.model_fields)}") from error


def _require_end(method: list[Mapping[str, Any]], length_s: float) -> None:
    ends = [(index, activity) for index, activity in enumerate(method) if _is_ours(activity) and _function(activity) == END]
    if len(ends) != 1 or ends[0][0] != len(method) - 1 or ends[0][1].get("background"):
        raise PlanError("method", f"its last entry must be the foreground probe {MODULE}.{END}", "put it there, once")
    at_s = _at(ends[0][1], f"method[{ends[0][0]}]")
    if at_s != length_s:
        raise PlanError("method.end-of-timeline.at", f"it is {in_words(at_s)}, the length is {in_words(length_s)}", "make them equal")


def _check_names(method: list[Mapping[str, Any]]) -> None:
    names = [activity["name"] for activity in method]
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        raise PlanError("method", f"two activities are called {doubled[0]!r}", "give each its own name")


def _check_observing(settings: Mapping[str, Any], faults: tuple[PlannedFault, ...]) -> None:
    """A timeline without a fault proves nothing, so it must be meant: then the platform is only watched."""
    observe = _switch(settings, "observe")
    if observe and faults:
        raise PlanError("extensions.orchestrator.observe", "the method has faults", "leave it out, or take the faults away")
    if not observe and not faults:
        fix = f'add one of {", ".join(KINDS)}, or say "observe": true to watch the platform without a fault'
        raise PlanError("method", "it has no fault", fix)


def _switch(settings: Mapping[str, Any], key: str) -> bool:
    value = settings.get(key, False)
    if not isinstance(value, bool):
        raise PlanError(f"extensions.orchestrator.{key}", f"it is {value!r}", "make it true or leave it out")
    return value


def _check_timeline(faults: tuple[PlannedFault, ...], foreign: Mapping[str, float], length_s: float) -> None:
    for fault in faults:
        if fault.at_s + fault.hold_s > length_s:
            raise PlanError(
                f"method.{fault.name}.at", f"it ends after the timeline of {in_words(length_s)}", "move it forward or shorten its hold"
            )
    for name, at_s in foreign.items():
        if at_s > length_s:
            raise PlanError(f"method.{name}.at", f"it lies after the end of the timeline of {in_words(length_s)}", "move it forward")
    instants = sorted(fault.at_s for fault in faults)
    if len(set(instants)) != len(instants):
        raise PlanError("method", "two faults have the same instant", "move them apart: their effects could not be told from each other")


def _no_untimed(method: list[Mapping[str, Any]], packages: tuple[str, ...]) -> None:
    for index, activity in enumerate(method):
        key = f"method[{index}] ({activity['name']})"
        if "at" not in activity:
            raise PlanError(f"{key}.at", "it is missing", "give every entry of the method its instant")
        if "pauses" in activity:
            raise PlanError(f"{key}.pauses", "a pause would move it away from its instant", 'leave it out, "at" says when')
        if _is_foreign(activity, packages) and activity.get("background") is not True:
            raise PlanError(key, "a timed activity must not hold up the others", 'add "background": true')
