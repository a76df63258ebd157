"""ADR 0018: a failure on a machine without time to spare is INCONCLUSIVE, where the platform runs on that machine."""

from __future__ import annotations

import copy

from synthetic import MINUTE_0, Synthetic, healthy

from steady_state.observations import HostLine
from steady_state.verdict import Finding, Verdict

FULL, USUAL = 0.97, 0.6


def on_our_machine(run: Synthetic) -> Synthetic:
    changed = copy.deepcopy(run)
    changed.plan = changed.plan.model_copy(update={"shares_our_machine": True})
    return changed


def content_down() -> Synthetic:
    """Content answers nothing from 41 to 43.5 s, under pod_kill (40 to 80 s)."""
    return on_our_machine(healthy().with_failures("content", 41.0, 43.5))


def with_hosts(run: Synthetic, first_s: int, last_s: int, full: int, *, steal: float = 0.0) -> Synthetic:
    """A host line for every second of [first, last), the first `full` of them without time to spare."""
    for number, second in enumerate(range(first_s, last_s)):
        busy = FULL - steal if number < full else USUAL
        run = run.with_line(HostLine(t=MINUTE_0 + second + 0.5, steal_ratio=steal, busy_ratio=busy))
    return run


def downtime(run: Synthetic) -> Finding:
    return run.finding("pod_kill", "zero_downtime")


def test_a_failure_in_a_window_of_which_a_quarter_was_full_is_inconclusive_and_keeps_its_numbers() -> None:
    finding = downtime(with_hosts(content_down(), 40, 80, full=10, steal=0.3))
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert finding.measured == 2.5
    assert finding.because.startswith(
        "the machine on which platform and orchestrator run had no time to spare in 10 of 40 s (CPU steal up to 30%) (measured: "
    )


def test_nine_full_seconds_of_forty_excuse_nothing() -> None:
    assert downtime(with_hosts(content_down(), 40, 80, full=9)).verdict is Verdict.FAIL


def test_full_seconds_of_another_window_excuse_nothing() -> None:
    assert downtime(with_hosts(content_down(), 80, 120, full=40)).verdict is Verdict.FAIL


def test_a_platform_elsewhere_is_not_excused_by_our_machine() -> None:
    run = healthy().with_failures("content", 41.0, 43.5)
    assert downtime(with_hosts(run, 40, 80, full=40)).verdict is Verdict.FAIL


def test_a_pass_on_a_starved_machine_is_a_pass() -> None:
    assert with_hosts(on_our_machine(healthy()), 0, 240, full=240).judged().verdict is Verdict.PASS


def test_a_failing_baseline_is_excused_likewise() -> None:
    run = on_our_machine(healthy().with_failures("content", 11.0, 13.5))
    assert run.finding("baseline", "zero_downtime").verdict is Verdict.FAIL
    assert with_hosts(run, 0, 40, full=40).finding("baseline", "zero_downtime").verdict is Verdict.INCONCLUSIVE
