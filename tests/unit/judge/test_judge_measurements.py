"""What the report shows whether or not a criterion uses it: pods, breakers, fallbacks, cache, sync."""

import json

from synthetic import MINUTE_0, PUBNUB_BREAKER, healthy

from steady_state import observations as obs
from steady_state.document import document
from steady_state.outcomes import Outcome


def test_pods_that_went_and_came() -> None:
    changes = document(healthy().judged())["measurements"]["pod_kill"]["pod_changes"]

    assert [(change["t"], change["pod"], change["what"]) for change in changes] == [
        (40.05, "discovery-0", "gone"),
        (44.0, "discovery-2", "ready"),
    ]


def test_a_pod_that_comes_back_under_its_old_name_is_seen() -> None:
    changes = document(healthy().judged())["measurements"]["replica_failure"]["pod_changes"]

    assert [(change["t"], change["pod"], change["what"]) for change in changes] == [
        (120.1, "postgresql-replica-2", "gone"),
        (135.0, "postgresql-replica-2", "ready"),
    ]


def test_breaker_changes_have_the_look_before() -> None:
    changes = document(healthy().judged())["measurements"]["partition"]["breaker_changes"]

    assert [(one["t"], one["replica"], one["state"]) for one in changes if one["replica"] == "sync-0"] == [
        (201.5, "sync-0", "open"),
        (214.0, "sync-0", "half_open"),
        (215.0, "sync-0", "closed"),
    ]
    assert changes[0]["breaker"] == PUBNUB_BREAKER
    assert changes[0]["seen_closed_until"] == 201.3


def test_fallback_activations_are_counter_differences() -> None:
    """sync-0 counted 5 before the partition and 12 at its end; a new pod counts from zero."""
    run = healthy()
    for t, pod, count in ((199.0, "sync-0", 5), (210.0, "sync-0", 12), (205.0, "sync-9", 3)):
        run = run.with_line(obs.CallsLine(t=MINUTE_0 + t + 0.45, pod=pod, calls={}, fallbacks={"queued": count}))
    run = run.without(lambda line: isinstance(line, obs.CallsLine) and not line.fallbacks)

    assert document(run.judged())["measurements"]["partition"]["fallback_activations"] == {"queued": 10}


def test_sync_latency_of_the_partition() -> None:
    """14 operations were queued; the first, sent at 200.4 s, arrived at 214 s; none was lost."""
    sync = document(healthy().judged())["measurements"]["partition"]["sync"]

    assert (sync["accepted"], sync["queued"], sync["lost"], sync["doubled"]) == (40, 14, 0, 0)
    assert (sync["median_ms"], sync["max_ms"]) == (30.0, 13600.0)


def test_the_first_failures_of_each_window_are_whole() -> None:
    """Fifteen kept in one window do not crowd out the one of the next."""
    run = healthy()
    for number, t in enumerate([*(41 + tenth / 10 for tenth in range(15)), 90.0]):
        line = obs.ExemplarLine(
            t=MINUTE_0 + t, source="load", route="search", number=number, outcome=Outcome.RESET, status=0, detail="reset by peer"
        )
        run = run.with_line(line)

    shown = document(run.judged())["first_failures"]

    assert [one["t"] for one in shown][-1] == 90.0
    assert len(shown) == 11


def test_the_document_of_a_run_without_a_timeline() -> None:
    written = document(healthy().without(lambda line: isinstance(line, obs.PhaseLine)).judged())

    assert (written["measurements"], written["first_failures"], written["verdict"]) == ({}, [], "INCONCLUSIVE")
    json.dumps(written, allow_nan=False)
