"""Watches: from a list on, into and out of a selector, with bookmarks, and from a revision that is forgotten."""

import json
from typing import Any

from kube_clients import Kube
from kube_objects import config_map
from kube_refusals import refused
from kubernetes import watch


def change_and_delete(kube: Kube, name: str) -> None:
    """A ConfigMap that gets the label, changes, loses the label and goes."""
    core, space = kube.core, kube.namespace
    core.create_namespaced_config_map(space, config_map(name, watched="no"))
    core.patch_namespaced_config_map(name, space, {"metadata": {"labels": {"watched": "yes"}}})
    core.patch_namespaced_config_map(name, space, {"data": {"key": "2"}})
    core.patch_namespaced_config_map(name, space, {"metadata": {"labels": {"watched": "no"}}})
    core.delete_namespaced_config_map(name, space)


def test_a_watch_continues_from_a_list_and_sees_objects_enter_and_leave_its_selector(kube: Kube) -> None:
    listed = kube.core.list_namespaced_config_map(kube.namespace, label_selector="watched=yes")
    change_and_delete(kube, "seen")
    stream = watch.Watch().stream(
        kube.core.list_namespaced_config_map,
        kube.namespace,
        label_selector="watched=yes",
        resource_version=listed.metadata.resource_version,
        timeout_seconds=1,
    )
    events = [(event["type"], event["object"].data["key"]) for event in stream]
    assert events == [("ADDED", "1"), ("MODIFIED", "2"), ("DELETED", "2")]


def lines(kube: Kube, path: str) -> list[dict[str, Any]]:
    """All events of a watch until its time is over."""
    return [json.loads(line) for line in kube.request("GET", path).body.splitlines()]


def test_what_leaves_a_selector_is_shown_as_it_was_with_the_revision_of_the_change(kube: Kube) -> None:
    listed = kube.core.list_namespaced_config_map(kube.namespace, label_selector="watched=yes")
    change_and_delete(kube, "left")
    query = f"watch=true&labelSelector=watched%3Dyes&timeoutSeconds=1&resourceVersion={listed.metadata.resource_version}"
    events = lines(kube, f"/api/v1/namespaces/{kube.namespace}/configmaps?{query}")
    assert [event["type"] for event in events] == ["ADDED", "MODIFIED", "DELETED"]
    *_, changed, left = (event["object"]["metadata"] for event in events)
    assert int(left["resourceVersion"]) > int(changed["resourceVersion"])
    assert left["labels"] == {"watched": "yes"}


def test_a_watch_without_a_revision_begins_with_what_is_there(kube: Kube) -> None:
    path = f"/api/v1/namespaces/{kube.namespace}/pods?watch=true&labelSelector=app%3Ddb&timeoutSeconds=1"
    events = lines(kube, path)
    assert {(event["type"], event["object"]["metadata"]["name"]) for event in events[:3]} == {("ADDED", f"db-{n}") for n in range(3)}


def test_initial_events_end_with_a_bookmark(kube: Kube) -> None:
    kube.core.create_namespaced_config_map(kube.namespace, config_map("first", begun="yes"))
    query = "watch=true&labelSelector=begun%3Dyes&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
    events = lines(kube, f"/api/v1/namespaces/{kube.namespace}/configmaps?{query}&timeoutSeconds=1")
    assert [event["type"] for event in events[:2]] == ["ADDED", "BOOKMARK"]
    metadata = events[1]["object"]["metadata"]
    assert metadata["annotations"] == {"k8s.io/initial-events-end": "true"}
    assert int(metadata["resourceVersion"]) >= int(events[0]["object"]["metadata"]["resourceVersion"])
    kube.core.delete_namespaced_config_map("first", kube.namespace)


def test_a_bookmark_says_how_far_a_watch_has_come_and_nothing_else(kube: Kube) -> None:
    """A real API server promises none in so short a time."""
    listed = kube.core.list_namespaced_config_map(kube.namespace, label_selector="marked=yes")
    kube.core.create_namespaced_config_map(kube.namespace, config_map("marked", marked="yes"))
    query = f"watch=true&labelSelector=marked%3Dyes&allowWatchBookmarks=true&resourceVersion={listed.metadata.resource_version}"
    events = lines(kube, f"/api/v1/namespaces/{kube.namespace}/configmaps?{query}&timeoutSeconds=4")
    kube.core.delete_namespaced_config_map("marked", kube.namespace)
    revisions = [int(event["object"]["metadata"]["resourceVersion"]) for event in events]
    assert (events[0]["type"], revisions) == ("ADDED", sorted(revisions))
    for event in events[1:]:
        assert (event["type"], event["object"]["kind"]) == ("BOOKMARK", "ConfigMap")
        assert "name" not in event["object"]["metadata"]
        assert "data" not in event["object"]


def test_a_watch_from_a_forgotten_revision_is_410(kube: Kube) -> None:
    """Events are the kind whose watches no real API server answers from memory."""
    path = f"/api/v1/namespaces/{kube.namespace}/events?watch=true&resourceVersion=1&timeoutSeconds=5"
    [event] = lines(kube, path)
    assert event["type"] == "ERROR"
    assert (event["object"]["kind"], event["object"]["code"], event["object"]["reason"]) == ("Status", 410, "Expired")


def test_a_list_at_a_revision_of_the_future_is_refused(kube: Kube) -> None:
    now = int(kube.core.list_namespaced_config_map(kube.namespace).metadata.resource_version)
    call = kube.core.list_namespaced_config_map
    refused(504, "Timeout", call, kube.namespace, resource_version=str(now + 10_000_000), resource_version_match="NotOlderThan")
