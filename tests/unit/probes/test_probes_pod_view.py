"""One picture of the pods from lists and events, whatever order they come in."""

from __future__ import annotations

from probe_fakes import pod, selector

from probes.clients.kube import PodList
from probes.clients.kube_watch import PodEvent
from probes.pod_view import PodView


def view() -> PodView:
    made = PodView()
    made.select("gateway", selector("gateway"))
    made.select("sync", selector("sync"))
    return made


def names(shown: PodView, workload: str = "gateway") -> list[str]:
    return [one.name for one in shown.pods(workload)]


def test_a_first_list_shows_every_workload_also_the_empty_one() -> None:
    shown = view()
    assert shown.apply_list(PodList(5, (pod("gateway-1", version=3),)), 1.0) == ["gateway", "sync"]
    assert shown.apply_list(PodList(6, (pod("gateway-1", version=3),)), 2.0) == []
    assert names(shown) == ["gateway-1"]


def test_events_change_the_picture() -> None:
    shown = view()
    shown.apply_list(PodList(5, (pod("gateway-1", version=3),)), 1.0)
    assert shown.apply_event(PodEvent(1.1, "MODIFIED", 6, pod("gateway-1", version=6, ready=False))) == ["gateway"]
    assert shown.apply_event(PodEvent(1.2, "ADDED", 7, pod("gateway-2", version=7))) == ["gateway"]
    assert shown.apply_event(PodEvent(1.3, "DELETED", 8, pod("gateway-1", version=8))) == ["gateway"]
    assert names(shown) == ["gateway-2"]
    assert shown.version == 8


def test_a_bookmark_only_moves_the_version() -> None:
    shown = view()
    shown.apply_list(PodList(5, ()), 1.0)
    assert shown.apply_event(PodEvent(1.1, "BOOKMARK", 9, None)) == []
    assert shown.version == 9


def test_a_list_older_than_the_watch_brings_nothing_back_and_takes_nothing_away() -> None:
    shown = view()
    shown.apply_list(PodList(5, (pod("gateway-1", version=3),)), 1.0)
    shown.apply_event(PodEvent(1.1, "DELETED", 8, pod("gateway-1", version=8)))
    shown.apply_event(PodEvent(1.2, "ADDED", 9, pod("gateway-2", version=9)))
    assert shown.apply_list(PodList(7, (pod("gateway-1", version=3),)), 1.3) == []
    assert names(shown) == ["gateway-2"]


def test_events_older_than_a_list_are_ignored() -> None:
    shown = view()
    shown.apply_list(PodList(5, (pod("gateway-1", version=3),)), 1.0)
    shown.apply_list(PodList(9, (pod("gateway-1", version=8, ready=False),)), 2.0)
    assert shown.apply_event(PodEvent(2.1, "MODIFIED", 7, pod("gateway-1", version=7, ready=True))) == []
    assert shown.apply_event(PodEvent(2.1, "ADDED", 6, pod("gateway-2", version=6))) == []
    assert [one.ready for one in shown.pods("gateway")] == [False]


def test_a_store_that_starts_over_replaces_the_picture() -> None:
    shown = view()
    shown.apply_list(PodList(500, (pod("gateway-1", version=300),)), 1.0)
    assert shown.apply_list(PodList(4, (pod("gateway-9", version=2),)), 2.0) == ["gateway"]
    assert (names(shown), shown.version) == (["gateway-9"], 4)


def test_a_new_pod_of_the_same_name_is_a_change() -> None:
    shown = view()
    shown.apply_list(PodList(5, (pod("sync-0", version=3, uid="a"),)), 1.0)
    assert shown.apply_list(PodList(9, (pod("sync-0", version=8, uid="b"),)), 2.0) == ["sync"]


def test_listeners_hear_of_changes_until_they_unsubscribe() -> None:
    shown, heard = view(), []
    unsubscribe = shown.subscribe(lambda workload, t: heard.append((workload, t)))
    shown.apply_list(PodList(5, (pod("gateway-1", version=3),)), 1.0)
    unsubscribe()
    shown.apply_list(PodList(6, ()), 2.0)
    assert heard == [("gateway", 1.0), ("sync", 1.0)]
