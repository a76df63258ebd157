"""Documents with something dropped, doubled or replaced by junk, as people and generators make them."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

Path = tuple[Any, ...]
JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
    st.sampled_from(["10m", "0s", "1e9", "orchestrator", "pod_kill", "orchestrator.activities"]),
    st.sampled_from([[], {}, [[]], [None], {"name": []}, {"provider": 1}]),
)


def places(node: Any, path: Path = ()) -> Iterator[Path]:
    """The path of everything inside a document."""
    entries = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in entries:
        yield (*path, key)
        yield from places(value, (*path, key))


def changes(document: Any) -> st.SearchStrategy[list[tuple[Path, str, Any]]]:
    """One to three changes of a document."""
    acts = st.sampled_from(["drop", "replace", "double"])
    return st.lists(st.tuples(st.sampled_from(list(places(document))), acts, JUNK), min_size=1, max_size=3)


def mutate(document: Any, wanted: list[tuple[Path, str, Any]]) -> None:
    """Change the document; a change whose place an earlier one took away is left out."""
    for path, act, junk in wanted:
        try:
            _mutate_once(document, path, act, copy.deepcopy(junk))
        except (KeyError, IndexError, TypeError, AttributeError):
            continue


def _mutate_once(document: Any, path: Path, act: str, junk: Any) -> None:
    node = document
    for step in path[:-1]:
        node = node[step]
    if act == "drop":
        del node[path[-1]]
    elif act == "replace" or isinstance(node, dict):
        node[path[-1]] = junk
    else:
        node.insert(path[-1], copy.deepcopy(node[path[-1]]))
