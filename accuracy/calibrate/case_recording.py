"""One case's recording, cut from that of all: its route, its breaker, and its scripted instants as the life of the only fault."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from accuracy.calibrate.cases import CLOSES_WITHIN_S, Case
from accuracy.calibrate.description import CRITERIA, TITLE
from steady_state import observations as obs
from steady_state.instants import Instant
from steady_state.judged_plan import BreakerRule, JudgedBreaker, JudgedFault, JudgedPlan, Limits
from steady_state.recording import Recording, recording_of

FELT_S = 0.1


def case_recording(lines: Sequence[obs.Observation], case: Case, minute_0: Instant, limits: Limits) -> Recording:
    """The lines that belong to the case, numbered anew, with a plan in which it is the only fault."""
    kept = [*_kept(lines, case, judged_plan(case, limits)), *fault_lines(case, minute_0)]
    return recording_of(line.model_copy(update={"seq": seq}) for seq, line in enumerate(kept))


def judged_plan(case: Case, limits: Limits) -> JudgedPlan:
    """One route, one fault, and the breaker where the case has one."""
    rule = BreakerRule(
        breaker=case.name, rule="may_open" if case.may_open else "must_stay_closed", opens_within_s=10.0, closes_within_s=CLOSES_WITHIN_S
    )
    fault = JudgedFault(
        name=case.name,
        kind="scripted",
        role="scripted",
        at_s=case.at_s,
        hold_s=case.hold_s,
        affected_routes=[case.route],
        fallback_expected=case.fallback_expected,
        breakers=[rule] if case.steps else [],
    )
    return JudgedPlan(
        title=f"{TITLE}: {case.name}",
        target="scripted",
        length_s=case.end_s,
        scale_time=1,
        scale_load=1,
        faults=[fault],
        limits=limits,
        criteria_set=CRITERIA,
        breakers=[JudgedBreaker(name=case.name, workload="")] if case.steps else [],
        workloads=[],
        routes=[case.route],
    )


def fault_lines(case: Case, minute_0: Instant) -> list[obs.FaultLine]:
    """The life of the fault, as data: when it began and ended is scripted, so its injection is not what is calibrated."""
    injected, healed = minute_0 + case.at_s, minute_0 + case.healed_s

    def line(phase: str, t: Instant, **data: str | int) -> obs.FaultLine:
        return obs.FaultLine.model_validate({"t": t, "fault": case.name, "phase": phase, "data": data})

    return [
        line("prepared", injected - 12.0, target="the scripted target"),
        line("exposure", injected - 0.01, count=1, source="the script"),
        line("injecting", injected),
        line("injected", injected),
        line("proof", injected + FELT_S, grade="felt", detail="scripted"),
        line("healing", healed),
        line("healed", healed),
    ]


def _kept(lines: Sequence[obs.Observation], case: Case, plan: JudgedPlan) -> Iterator[obs.Observation]:
    for line in lines:
        match line:
            case obs.RunLine():
                yield line.model_copy(update={"plan": plan.model_dump(mode="json")})
            case obs.LoadPlanLine():
                route = {case.route: line.plan.routes[case.route]}
                yield line.model_copy(update={"plan": line.plan.model_copy(update={"routes": route})})
            case obs.TallyLine():
                # `lagged` counts all routes: a second in which 3 requests of any route lagged spoils every case.
                yield line.model_copy(update={"routes": {case.route: line.routes[case.route]}})
            case obs.RequestLine() | obs.ExemplarLine():
                if line.route == case.route:
                    yield line
            case obs.BreakerLine():
                if line.breaker == case.name:
                    yield line
            case obs.BeatLine(probe="breakers"):
                yield line.model_copy(update={"seen": {name: looks for name, looks in line.seen.items() if _is_of(case, name)}})
            case obs.GapLine(probe="breakers"):
                if _is_of(case, line.subject):
                    yield line
            case _:
                yield line


def _is_of(case: Case, subject: str) -> bool:
    return subject.startswith(f"{case.name}/")
