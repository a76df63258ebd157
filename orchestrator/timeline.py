"""The experiment-level control: owns the clock, and refuses every mistake of the plan before anything is touched.

One of the two modules that know Chaos Toolkit. Facts it rests on (chaostoolkit-lib 1.44 and 1.45): an exception in a control
is swallowed unless it is InterruptExecution, and `chaos run` exits 0 for failed injections. So everything becomes
InterruptExecution here, and the verdict is mirrored into the journal's `deviated` and `status`.
"""

from __future__ import annotations

import inspect
import json
import os
import threading
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from chaoslib.exceptions import InterruptExecution, InvalidControl
from chaoslib.types import Dry

from orchestrator.durations import seconds
from orchestrator.ending_signals import leave_to_main_thread
from orchestrator.errors import OrchestratorError, PlanError, RefusedError
from orchestrator.progress import announce
from orchestrator.run import Ended
from orchestrator.session import Aborted, Session, refusal_of

_session: Session | None = None
_problem: str = ""
_validated: Mapping[str, Any] | None = None
_here = threading.local()


def current() -> Session | None:
    """The session of the running experiment, for the activities."""
    return _session


def armed_activity() -> str | None:
    """The name of the activity that this thread was armed for by `before_activity_control`."""
    return getattr(_here, "activity", None)


def validate_control(control: Mapping[str, Any]) -> None:
    """Refuse a wrong plan in `chaos validate` and `chaos run` alike. Raises InvalidControl."""
    refuse_wrong_plan()


def refuse_wrong_plan() -> None:
    """Refuse the experiment that Chaos Toolkit validates right now, once; elsewhere nothing happens. Raises InvalidControl."""
    global _validated
    # Chaos Toolkit hands over the control only; the experiment is a local of the function that validates it.
    experiment = _experiment_of_caller()
    if experiment is None or experiment is _validated:
        return
    try:
        Session(experiment, os.environ)
    except OrchestratorError as error:
        raise InvalidControl(str(error)) from error
    _validated = experiment


def configure_control(experiment: Mapping[str, Any]) -> None:
    """Make the session. An exception here would be swallowed, so `before_experiment_control` raises it."""
    global _session, _problem
    _session, _problem = None, ""
    dry = experiment.get("dry")
    if _all_dry(experiment):
        return
    if dry:
        _problem = f"--dry {getattr(dry, 'value', dry)}: the rest would happen, and without its clock; use --dry activities"
        return
    try:
        _session = Session(experiment, os.environ)
    except OrchestratorError as error:
        _problem = str(error)
    except Exception as error:  # noqa: BLE001 - the named edge: Chaos Toolkit would swallow it
        _problem = f"our own error: {type(error).__name__}: {error}"


def before_experiment_control(context: Mapping[str, Any], **_: Any) -> None:
    """Start everything that must run before the first look."""
    if _all_dry(context):
        return
    if _session is None:
        announce(f"refused, nothing was touched: {_problem}")
        announce("verdict=REFUSED exit=1 run=none", to_stdout=True)
        raise InterruptExecution(_problem)
    _guarded(_session, _session.prepare)


def before_hypothesis_control(context: Mapping[str, Any], **_: Any) -> None:
    """Before the method: wait until the platform is steady. Here, because a probe must never hold the main thread."""
    if _session is not None and not _session.steady:
        _guarded(_session, _session.wait_until_steady)


def before_method_control(context: Mapping[str, Any], **_: Any) -> None:
    """Minute 0, never before the platform was steady: some hypothesis strategies leave that look out."""
    if _session is not None:
        before_hypothesis_control(context)
        _guarded(_session, _session.begin)


def before_activity_control(context: Mapping[str, Any], **_: Any) -> None:
    """Hold an activity with an "at" until its instant; that also arms a fault."""
    leave_to_main_thread()
    if _session is None or "at" not in context:
        return
    session, name = _session, str(context["name"])
    at_s = seconds(context["at"]) / session.plan.scale_time
    _guarded(session, lambda: session.wait_for(name, at_s))
    _here.activity = name


def after_activity_control(context: Mapping[str, Any], **_: Any) -> None:
    _here.activity = None


def after_method_control(context: Mapping[str, Any], **_: Any) -> None:
    """Stop, judge and report, so that the probe `verdict` has something to say."""
    if _session is not None:
        session = _session
        ended, reason = _ending(session) if session.latch.is_set() else ("completed", "")
        _guarded(session, lambda: session.finish(ended, reason))


def after_experiment_control(context: Mapping[str, Any], state: dict[str, Any], **_: Any) -> None:
    """Whatever happened: everything healed, the report written, the verdict in the journal."""
    if _session is None:
        return
    session = _session
    try:
        session.finish(*_ending(session))
    except BaseException as error:  # noqa: BLE001 - the named edge: swallowed, it would leave exit code 0
        session.error = session.error or f"{type(error).__name__}: {error}"
        announce(f"our own error: {session.error}")
    _mirror(session, state)


def _ending(session: Session) -> tuple[Ended, str]:
    """How a run ends that did not come to the end of its method."""
    if session.error:
        return "error", session.error
    if not session.refusal and not session.latch.is_set() and not session.begun:
        session.refusal = "a probe of the hypothesis was not met before the method"
    if session.refusal:
        return "refused", session.refusal
    return "aborted", session.latch.reason


def cleanup_control() -> None:
    """Always called, also after a crash."""
    global _session
    if _session is not None:
        _session.latch.set("the experiment is over")
        _session.close()
        _session = None


def _mirror(session: Session, journal: dict[str, Any]) -> None:
    """The verdict decides the exit code of `chaos run`; a copy of the journal goes into the run directory."""
    report = session.report or {}
    summary = {"verdict": report.get("verdict", "ERROR"), "counts": report.get("counts"), "error": session.error or session.refusal}
    journal["orchestrator"] = summary | {"run": str(session.directory.path) if session.directory else None}
    if not session.passed:
        journal["deviated"] = True
        if journal.get("status") == "completed":
            journal["status"] = "failed"
    if session.directory is not None:
        session.directory.save("journal.json", json.dumps(journal, indent=2, default=str) + "\n")


def _guarded(session: Session, work: Callable[[], None]) -> None:
    """Do the work; any trouble sets the latch and ends the run instead of being swallowed."""
    try:
        work()
    except Aborted:
        _interrupt(session, session.latch.reason)
    except (RefusedError, PlanError) as error:
        session.refusal = str(error)
        announce(refusal_of(error))
        _interrupt(session, session.refusal)
    except BaseException as error:  # noqa: BLE001 - the named edge: Chaos Toolkit would swallow it and go on
        session.error = f"{type(error).__name__}: {error}"
        announce(f"our own error: {session.error}")
        _interrupt(session, session.error)


def _interrupt(session: Session, reason: str) -> NoReturn:
    session.latch.set(reason)
    raise InterruptExecution(reason)


def _all_dry(experiment: Mapping[str, Any]) -> bool:
    """Whether nothing at all is done, as `--dry activities` asks."""
    return bool(experiment.get("dry") == Dry.ACTIVITIES)


def _experiment_of_caller() -> Mapping[str, Any] | None:
    frame = inspect.currentframe()
    while frame is not None:
        if frame.f_code.co_name == "ensure_experiment_is_valid":
            experiment = frame.f_locals.get("experiment")
            return experiment if isinstance(experiment, Mapping) else None
        frame = frame.f_back
    return None
