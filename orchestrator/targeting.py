"""Which platform a run is for, and by which scale, from the environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from orchestrator.errors import PlanError
from orchestrator.sandbox_process import describe_sandbox
from probes.target import TargetDescription, TargetDescriptionError, load_description

SANDBOX = "sandbox"


@dataclass(frozen=True, slots=True)
class Choice:
    """The chosen target. `owned` means that the run starts and stops a sandbox; its description has no addresses yet."""

    description: TargetDescription
    text: str
    owned: bool
    flaws: tuple[str, ...]
    time_scale: float
    load_scale: float
    seed: int | None


def choose(environment: Mapping[str, str]) -> Choice:
    """From CHAOS_TARGET, CHAOS_FLAW, CHAOS_TIME_SCALE, CHAOS_LOAD_SCALE and CHAOS_SEED. Raises PlanError."""
    name = environment.get("CHAOS_TARGET") or SANDBOX
    flaws = tuple(flaw.strip() for flaw in environment.get("CHAOS_FLAW", "").split(",") if flaw.strip())
    if name != SANDBOX and flaws:
        raise PlanError("CHAOS_FLAW", f"flaws are planted in a sandbox only, the target is {name}", "unset CHAOS_FLAW or CHAOS_TARGET")
    text = describe_sandbox(flaws) if name == SANDBOX else _read(name)
    description = described(text, source=name)
    return Choice(
        description=description,
        text=text,
        owned=name == SANDBOX,
        flaws=flaws,
        time_scale=_scale(environment, "CHAOS_TIME_SCALE", description.scale.time),
        load_scale=_scale(environment, "CHAOS_LOAD_SCALE", description.scale.load),
        seed=_seed(environment),
    )


def platform_to_heal(environment: Mapping[str, str]) -> TargetDescription | None:
    """What CHAOS_TARGET describes; None for a sandbox. Raises PlanError."""
    name = environment.get("CHAOS_TARGET") or SANDBOX
    return None if name == SANDBOX else described(_read(name), source=name, strict=False)


def described(text: str, *, source: str, strict: bool = True) -> TargetDescription:
    """The description; not `strict` for a heal. Raises PlanError."""
    try:
        return load_description(text, source=source, strict=strict)
    except TargetDescriptionError as error:
        raise PlanError("CHAOS_TARGET", str(error), "mend the target description") from error


def _read(name: str) -> str:
    try:
        return Path(name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise PlanError("CHAOS_TARGET", f"{name}: {reason}", "name a target description file, or 'sandbox'") from error


def _scale(environment: Mapping[str, str], key: str, default: float) -> float:
    value = environment.get(key)
    if not value:
        return default
    try:
        return float(value)
    except ValueError as error:
        raise PlanError(key, f"{value!r} is not a number", "give a number from 1 (as written) upwards") from error


def _seed(environment: Mapping[str, str]) -> int | None:
    value = environment.get("CHAOS_SEED")
    if value and not (value.isascii() and value.isdigit()):
        raise PlanError("CHAOS_SEED", f"{value!r} is not a seed", "give the whole number that an earlier run has in its recording")
    return int(value) if value else None
