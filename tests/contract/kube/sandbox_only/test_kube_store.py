"""The store and the patches below the API: revisions, history, order, merge rules. No process, no socket."""

import asyncio
from contextlib import aclosing
from typing import Any

import pytest

from sandbox.kube import patches, watching
from sandbox.kube.applying import Owners
from sandbox.kube.errors import ApiError
from sandbox.kube.registry import Registry
from sandbox.kube.resources import CONFIG_MAPS, LEASES, NAMESPACES
from sandbox.kube.selectors import label_predicate
from sandbox.kube.store import Store
from sandbox.kube.watching import Watch, WatchQuery


def thing(name: str, value: int = 0, **labels: str) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "n", "labels": labels}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"value": str(value)}}


def registry() -> Registry:
    made = Registry(Store(), "127.99")
    made.create(NAMESPACES, "", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n"}})
    return made


def test_every_change_gets_the_next_revision_and_no_change_gets_none() -> None:
    store = Store()
    beginning = store.revision
    first = store.put("things", thing("a"))["metadata"]["resourceVersion"]
    assert store.put("things", thing("a"))["metadata"]["resourceVersion"] == first
    second = store.put("things", thing("a", 1))["metadata"]["resourceVersion"]
    removed = store.remove("things", "n", "a")
    assert removed is not None
    assert int(first) + 2 == int(second) + 1 == int(removed["metadata"]["resourceVersion"])
    assert [change.type for change in store.since("things", beginning)] == ["ADDED", "MODIFIED", "DELETED"]


def test_a_revision_that_is_forgotten_is_gone() -> None:
    store = Store()
    early = store.revision + 100
    for value in range(2500):
        store.put("things", thing("a", value))
    with pytest.raises(ApiError) as caught:
        store.since("things", early)
    assert (caught.value.code, caught.value.reason) == (410, "Expired")
    assert len(store.since("things", store.revision - 5)) == 5
    with pytest.raises(ApiError):
        Watch(store, WatchQuery(CONFIG_MAPS.__class__(plural="things", kind="Thing"), "", bool, revision=early))


def test_a_listener_that_writes_does_not_disturb_the_order_for_others() -> None:
    store, seen = Store(), []

    def writer(change: Any) -> None:
        if change.object["data"]["value"] == "1":
            store.put("things", thing("a", 2))

    store.subscribe("things", writer)
    store.subscribe("things", lambda change: seen.append(change.object["data"]["value"]))
    store.put("things", thing("a", 1))
    assert seen == ["1", "2"]


async def test_a_watch_with_initial_events_marks_their_end() -> None:
    made = registry()
    made.create(CONFIG_MAPS, "n", thing("a", colour="red"))
    made.create(CONFIG_MAPS, "n", thing("b", colour="blue"))
    query = WatchQuery(CONFIG_MAPS, "n", label_predicate("colour=red"), timeout_s=0.05, initial_end=True)
    watch = Watch(made.store, query)
    events = [event async for event in watch.events()]
    watch.close()
    assert [(event.type, event.object["metadata"].get("name")) for event in events] == [("ADDED", "a"), ("BOOKMARK", None)]
    assert events[1].object["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}


async def test_a_bookmark_comes_two_seconds_before_the_time_is_over() -> None:
    made = registry()
    watch = Watch(made.store, WatchQuery(CONFIG_MAPS, "n", bool, revision=made.store.revision, timeout_s=2.02, bookmarks=True))
    event = await anext(watch.events())
    watch.close()
    assert (event.type, event.object["metadata"]["resourceVersion"]) == ("BOOKMARK", str(made.store.revision))


async def test_a_bookmark_that_is_due_waits_for_the_changes_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader that is late: the bookmark's time comes while changes wait for it."""
    monkeypatch.setattr(watching, "_BOOKMARK_S", 0.01)
    made = registry()
    watch = Watch(made.store, WatchQuery(CONFIG_MAPS, "n", bool, revision=made.store.revision, bookmarks=True))
    async with aclosing(watch.events()) as events:
        assert (await anext(events)).type == "BOOKMARK"
        for name in ("a", "b"):
            made.create(CONFIG_MAPS, "n", thing(name))
        await asyncio.sleep(0.02)
        seen = [await anext(events) for _ in range(3)]
    watch.close()
    assert [event.type for event in seen] == ["ADDED", "ADDED", "BOOKMARK"]


def test_an_update_with_an_old_revision_is_a_conflict() -> None:
    made = registry()
    lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "run"}, "spec": {}}
    first = made.create(LEASES, "n", lease)
    made.update(LEASES, "n", {**first, "spec": {"holderIdentity": "a"}})
    with pytest.raises(ApiError) as caught:
        made.update(LEASES, "n", {**first, "spec": {"holderIdentity": "b"}})
    assert (caught.value.code, caught.value.reason) == (409, "Conflict")


def test_strategic_merge_joins_lists_by_key() -> None:
    current: dict[str, Any] = {"containers": [{"name": "a", "env": [{"name": "X", "value": "1"}]}, {"name": "b"}], "args": ["x"]}
    patch = {
        "$setElementOrder/containers": [{"name": "a"}],
        "containers": [{"name": "a", "env": [{"name": "Y", "value": "2"}]}, {"name": "b", "$patch": "delete"}],
        "args": ["y"],
    }
    merged = patches.apply_patch(patches.STRATEGIC, current, patch)
    env = [{"name": "X", "value": "1"}, {"name": "Y", "value": "2"}]
    assert merged == {"containers": [{"name": "a", "env": env}], "args": ["y"]}
    assert len(current["containers"]) == 2


def test_an_item_of_a_list_goes_whole_unless_another_has_a_field_in_it() -> None:
    def containers(**images: str) -> dict[str, Any]:
        return {"metadata": {"uid": "1"}, "spec": {"containers": [{"name": name, "image": image} for name, image in images.items()]}}

    owners, current = Owners(), containers(a="x", b="y")
    first = owners.apply(current, containers(a="x", b="y"), "one", force=False)
    owners.remember(first.object, first.managers)
    assert owners.apply(first.object, containers(a="x"), "one", force=False).object == containers(a="x")
    tagged = {"metadata": {"uid": "1"}, "spec": {"containers": [{"name": "b", "tty": True}]}}
    second = owners.apply(first.object, tagged, "two", force=False)
    owners.remember(second.object, second.managers)
    left = owners.apply(second.object, containers(a="x"), "one", force=False).object
    assert left["spec"]["containers"] == [{"name": "a", "image": "x"}, {"name": "b", "tty": True}]
    with pytest.raises(ApiError) as caught:
        owners.apply(second.object, containers(a="z"), "two", force=False)
    assert caught.value.message == 'Apply failed with 1 conflict: conflict with "one": .spec.containers[name="a"].image'


def test_merge_and_json_patch() -> None:
    current = {"a": {"b": 1, "c": [1, 2]}, "d": 4}
    assert patches.apply_patch(patches.MERGE, current, {"a": {"b": None, "c": [3]}}) == {"a": {"c": [3]}, "d": 4}
    operations = [
        {"op": "test", "path": "/d", "value": 4},
        {"op": "replace", "path": "/a/c/0", "value": 9},
        {"op": "add", "path": "/a/c/-", "value": 7},
        {"op": "move", "from": "/d", "path": "/a/e~1f"},
        {"op": "remove", "path": "/a/b"},
    ]
    assert patches.apply_patch(patches.JSON, current, operations) == {"a": {"c": [9, 2, 7], "e/f": 4}}
    with pytest.raises(ApiError) as caught:
        patches.apply_patch(patches.JSON, current, [{"op": "remove", "path": "/none"}])
    assert caught.value.code == 422


@pytest.mark.parametrize(
    ("selector", "matched"),
    [("a=1", True), ("a!=1", False), ("a in (1, 2),b", True), ("a notin (1)", False), ("!c", True), ("b==", True)],
)
def test_label_selectors(selector: str, matched: bool) -> None:
    assert label_predicate(selector)(thing("x", a="1", b="")) is matched
