"""Criteria sets: the numbers by which runs are judged, as data with sources."""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from orchestrator.errors import PlanError
from steady_state.judged_plan import BreakerRule, Limits

T = TypeVar("T", bound=BaseModel)


class FaultCriteria(BaseModel):
    """What one kind of fault may touch."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    affected_routes: list[str]
    fallback_expected: bool = False
    breakers: list[BreakerRule] = Field(default_factory=list)


class CriteriaSet(BaseModel):
    """Limits, and per kind of fault the routes and breakers that it may touch."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    limits: Limits
    faults: dict[str, FaultCriteria] = Field(description="by kind of fault, or by `kind/role` where one role needs rules of its own")
    queued: list[str] = Field(default_factory=list, description="dependencies whose work is queued while they are away, and replayed")
    not_applicable: dict[str, dict[str, str]] = Field(default_factory=dict, description="kind of fault -> criterion -> reason")

    def for_fault(self, kind: str, role: str) -> FaultCriteria | None:
        """What is said of this kind on this role, else of the kind; None where nothing is."""
        return self.faults.get(f"{kind}/{role}") or self.faults.get(kind)


def known_sets() -> list[str]:
    """Names of the criteria sets that come with the package."""
    folder = resources.files("orchestrator") / "criteria_sets"
    return sorted(entry.name.removesuffix(".yaml") for entry in folder.iterdir() if entry.name.endswith(".yaml"))


class CriteriaAddition(BaseModel):
    """What a fault package says of its own kinds, under one criteria set. Kinds by their names in the package."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    faults: dict[str, FaultCriteria]
    not_applicable: dict[str, dict[str, str]] = Field(default_factory=dict)


@cache
def load_criteria_set(name: str, packages: tuple[str, ...] = ()) -> CriteriaSet:
    """The set of this name, and what these fault packages add to it. Raises PlanError when there is none, or when it is wrong."""
    if name not in known_sets():
        raise PlanError(
            "extensions.orchestrator.criteria", f"no criteria set is called {name!r}", f"choose one of {', '.join(known_sets())}"
        )
    found = _read("orchestrator", name, CriteriaSet)
    assert found is not None, "its file is there"
    for package in packages:
        added = _read(package, name, CriteriaAddition)
        if added is not None:
            found = _with(found, package, added)
    return found


def _with(found: CriteriaSet, package: str, added: CriteriaAddition) -> CriteriaSet:
    faults = {f"{package}.{kind}": criteria for kind, criteria in added.faults.items()}
    reasons = {f"{package}.{kind}": cells for kind, cells in added.not_applicable.items()}
    return found.model_copy(update={"faults": found.faults | faults, "not_applicable": found.not_applicable | reasons})


def _read(package: str, name: str, model: type[T]) -> T | None:
    """The file of this set in a package; None where it has none. Raises PlanError."""
    file = resources.files(package) / "criteria_sets" / f"{name}.yaml"
    if not file.is_file():
        return None
    try:
        return model.model_validate(yaml.safe_load(file.read_text(encoding="utf-8")))
    except ValidationError as error:
        first = error.errors()[0]
        key = f"criteria set {name} of {package}: {'.'.join(map(str, first['loc']))}"
        raise PlanError(key, first["msg"], "mend the set") from error
