"""Objects as the tables that `kubectl get` prints."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sandbox.kube.ages import age
from sandbox.kube.columns import COLUMNS, Column
from sandbox.kube.objects import Object
from sandbox.kube.resources import Resource


@dataclass(frozen=True, slots=True)
class TableStyle:
    """How much of each object a row carries: 'Metadata', 'Object' or 'None'."""

    include: str = "Metadata"


def table(resource: Resource, objects: Sequence[Object], style: TableStyle, *, header: bool = True) -> Object:
    """A meta.k8s.io/v1 Table with one row per object."""
    columns = (_NAME, *COLUMNS.get(resource.kind, (_AGE,)))
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": {},
        "columnDefinitions": [_definition(column) for column in columns] if header else None,
        "rows": [_row(columns, obj, style) for obj in objects],
    }


def _definition(column: Column) -> Object:
    return {
        "name": column.name,
        "type": column.type,
        "format": "name" if column.name == "Name" else "",
        "description": "",
        "priority": 1 if column.wide else 0,
    }


def _row(columns: Sequence[Column], obj: Object, style: TableStyle) -> Object:
    row: Object = {"cells": [_cell(column.value, obj) for column in columns]}
    if style.include == "Object":
        row["object"] = obj
    elif style.include != "None":
        partial = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1"}
        row["object"] = {**partial, "metadata": obj["metadata"]}
    return row


def _cell(value: Callable[[Object], Any], obj: Object) -> Any:
    result = value(obj)
    return "<none>" if result is None or result == "" else result


_NAME = Column("Name", lambda obj: obj["metadata"]["name"])
_AGE = Column("Age", lambda obj: age(obj["metadata"].get("creationTimestamp")))
