"""The plan held against a target description: every role, route and breaker must mean something there."""

from __future__ import annotations

from pydantic import ValidationError

from orchestrator.errors import PlanError
from orchestrator.faults.kinds import kind_of, package_of
from orchestrator.load.profile import LoadPlanError, plan_load
from orchestrator.plan import Plan, PlannedFault
from probes.target import PackageRole, RedisRole, ReplicaRole, TargetDescription, WorkloadRole
from steady_state.judged_plan import BreakerRule, JudgedBreaker, JudgedFault, JudgedPlan


def bind(plan: Plan, description: TargetDescription) -> JudgedPlan:
    """What the judge needs to know of the plan on this target. Raises PlanError for anything that the target does not have."""
    _require_load(plan, description)
    return JudgedPlan(
        title=plan.title,
        target=description.name,
        length_s=plan.length_s,
        scale_time=plan.scale_time,
        scale_load=plan.scale_load,
        faults=[_fault(plan, fault, description) for fault in plan.faults],
        limits=plan.criteria.limits,
        criteria_set=plan.criteria.name,
        breakers=[JudgedBreaker(name=name, workload=workload) for name, workload in description.breaker_workloads.items()],
        workloads=list(description.workloads),
        routes=list(description.routes),
        sync_route=description.delivery.route if description.delivery else None,
        queued=plan.criteria.queued,
        load_engine="none" if description.load.engine == "none" else "open_loop",
        shares_our_machine=description.shares_our_machine,
    )


def _require_load(plan: Plan, description: TargetDescription) -> None:
    if description.load.engine == "none":
        return
    try:
        plan_load(description, plan.load, rate_per_s=plan.rate_per_s, seed=0, start_s=0.0)
    except LoadPlanError as error:
        raise PlanError("extensions.orchestrator.load", str(error), "mend the load or the target description") from error


def _fault(plan: Plan, fault: PlannedFault, description: TargetDescription) -> JudgedFault:
    name, wanted = fault.settings.role, kind_of(fault.kind).role
    role = description.roles.get(name)
    if role is None:
        known = ", ".join(sorted(description.roles))
        raise PlanError(f"method.{fault.name}.arguments.role", f"target {description.name} has no role {name!r}", f"choose one of {known}")
    if not isinstance(role, wanted):
        fitting = ", ".join(sorted(one for one, other in description.roles.items() if isinstance(other, wanted))) or "none"
        raise PlanError(
            f"method.{fault.name}.arguments.role", f"{fault.kind} cannot act on role {name!r} (a {role.kind})", f"roles that fit: {fitting}"
        )
    if description.kubernetes is None and not isinstance(role, RedisRole):
        raise PlanError(
            f"method.{fault.name}.arguments.role",
            f"target {description.name} declares no cluster, which role {name!r} (a {role.kind}) needs",
            "add kubernetes to the target description or leave the fault out",
        )
    if isinstance(role, PackageRole):
        _require_settings(fault, role)
    criteria = plan.criteria.for_fault(fault.kind, name)
    assert criteria is not None, "read_plan has refused a set that says nothing"
    return JudgedFault(
        name=fault.name,
        kind=fault.kind,
        role=name,
        at_s=fault.at_s,
        hold_s=fault.hold_s,
        affected_routes=_routes(criteria.affected_routes, plan, description),
        fallback_expected=criteria.fallback_expected,
        breakers=[_rule(rule, plan, description) for rule in criteria.breakers],
        own_workload=_own_workload(role),
        not_applicable=plan.criteria.not_applicable.get(fault.kind, {}),
    )


def _require_settings(fault: PlannedFault, role: PackageRole) -> None:
    """The role is of the fault's package, and says what that wants."""
    key, package, wanted = f"roles.{fault.settings.role}", package_of(fault.kind), kind_of(fault.kind).role_settings
    if role.package != package:
        raise PlanError(f"{key}.package", f"it is {role.package}, {fault.name} is of {package}", "mend the description or the plan")
    try:
        if wanted is not None:
            wanted.model_validate(role.settings)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join([key, "settings", *map(str, first["loc"])])
        raise PlanError(place, first["msg"].removeprefix("Value error, "), "mend the target description") from error


def _routes(routes: list[str], plan: Plan, description: TargetDescription) -> list[str]:
    unknown = sorted(set(routes) - set(description.routes))
    if unknown:
        raise PlanError(
            f"criteria set {plan.criteria.name}",
            f"target {description.name} has no route {unknown[0]!r}",
            "mend the set or the description",
        )
    return routes


def _rule(rule: BreakerRule, plan: Plan, description: TargetDescription) -> BreakerRule:
    if rule.breaker not in {source.name for source in description.breakers}:
        known = ", ".join(source.name for source in description.breakers) or "none"
        raise PlanError(
            f"criteria set {plan.criteria.name}", f"target {description.name} has no breaker {rule.breaker!r}", f"it has {known}"
        )
    return rule


def _own_workload(role: object) -> str | None:
    if isinstance(role, WorkloadRole | PackageRole):
        return role.workload
    return role.statefulset if isinstance(role, ReplicaRole) else None
