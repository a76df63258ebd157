"""Criteria sets: the numbers by which runs are judged, as data with sources."""

from __future__ import annotations

from functools import cache
from importlib import resources

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from orchestrator.errors import PlanError
from steady_state.judged_plan import BreakerRule, Limits


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


@cache
def load_criteria_set(name: str) -> CriteriaSet:
    """The set of this name. Raises PlanError when there is none, or when it is wrong."""
    if name not in known_sets():
        raise PlanError(
            "extensions.orchestrator.criteria", f"no criteria set is called {name!r}", f"choose one of {', '.join(known_sets())}"
        )
    text = (resources.files("orchestrator") / "criteria_sets" / f"{name}.yaml").read_text(encoding="utf-8")
    try:
        return CriteriaSet.model_validate(yaml.safe_load(text))
    except ValidationError as error:
        first = error.errors()[0]
        raise PlanError(f"criteria set {name}: {'.'.join(map(str, first['loc']))}", first["msg"], "mend the set") from error
