"""What experiments call: the faults, the two probes of the hypothesis, the end of the timeline, the rollback.

One of the two modules that know Chaos Toolkit. A fault refuses to inject unless the control armed it. Outputs are plain JSON.
"""

from __future__ import annotations

from typing import Any

from chaoslib.exceptions import ActivityFailed

from orchestrator import timeline

# Chaos Toolkit checks activities before controls, in words of its own that name no fix. It imports this module to do so.
timeline.refuse_wrong_plan()

Output = dict[str, Any]


def pod_kill(role: str, graceful: bool = False, may_take_last: bool = False) -> Output:
    """Delete one ready pod of the role."""
    return perform("pod_kill")


def pod_evict(role: str, may_take_last: bool = False) -> Output:
    """Ask for the eviction of one ready pod of the role; a PodDisruptionBudget may refuse it."""
    return perform("pod_evict")


def link_latency(role: str, delay_ms: int, hold: str, jitter_ms: int = 0) -> Output:
    """Answers on the role's link come late, as long as the hold lasts."""
    return perform("link_latency")


def replica_failure(role: str, hold: str, mode: str = "gone") -> Output:
    """A read replica is gone (or frozen), as long as the hold lasts."""
    return perform("replica_failure")


def cache_flush(role: str) -> Output:
    """Throw away everything in the cache."""
    return perform("cache_flush")


def partition(role: str, mode: str, hold: str) -> Output:
    """Cut the role's link (`refused` or `blackhole`), as long as the hold lasts."""
    return perform("partition")


def end_of_timeline() -> Output:
    """Nothing to do: its "at" keeps the main thread waiting in the control until the end of the hour."""
    return {"status": 0}


def ready() -> Output:
    """Raises when the control or the plan is missing or the platform is not steady; after the method it has nothing to say."""
    session = timeline.current()
    if session is None:
        raise ActivityFailed("the control orchestrator.timeline is not active: nothing may be injected")
    if not session.steady:
        raise ActivityFailed(f"the platform is not steady: {session.refusal or session.error or 'it was not looked at'}")
    return {"status": 0}


def verdict() -> Output:
    """The verdict of the run: status 0 on PASS, else 1. Before the method: status 0, not yet judged. Never raises."""
    session = timeline.current()
    if session is None:
        return {"status": 1, "verdict": "none: the control orchestrator.timeline is not active"}
    if session.report is None:
        return {"status": 0, "verdict": "not yet judged"}
    return {"status": 0 if session.passed else 1, "verdict": session.report["verdict"], "counts": session.report["counts"]}


def heal_all() -> Output:
    """Rollback: whatever is still open is healed when the run finishes; a run that finished has nothing open."""
    session = timeline.current()
    if session is None or session.directory is None:
        return {"open": 0}
    return {"open": len(session.open_receipts())}


def perform(kind: str) -> Output:
    """The whole life of the fault that this thread was armed for; for fault packages, too."""
    session, name = timeline.current(), timeline.armed_activity()
    if session is None or name is None:
        raise ActivityFailed(f"{kind} refuses to inject: the control orchestrator.timeline has not armed it")
    course = session.perform(name)
    if course["trouble"]:
        raise ActivityFailed(str(course["trouble"]))
    return dict(course)
