"""What a target description says of the nodes that may be hit, in the `settings` of the role."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from probes.target import Part

NODE = "{node}"
"""Stands for the node's name in the words of a command."""


def _names_the_node(words: list[str]) -> list[str]:
    if not words[:1] or not words[0] or NODE in words[0]:
        raise ValueError("its first word must be a program: give a list of words, no shell reads them")
    if not any(NODE in word for word in words):
        raise ValueError(f"it names no node: put {NODE} where the node's name belongs")
    return words


Words = Annotated[list[str], AfterValidator(_names_the_node)]


class Driver(Part):
    """Three commands, as words. Each ends by itself, within 7 s (`heal`: 19 s), with exit code 0 when it has done its work.

    `heal` undoes either fault, and does no harm to a node that has none.
    """

    power_cut: Words
    partition: Words
    heal: Words


class NodeRole(Part):
    """A node on which ready pods of the role's workload stand is drawn; these counters tell who used them."""

    resource: Literal["deployments", "statefulsets"] = "deployments"
    port: str = "http"
    path: str = "/metrics"
    metric: str
    labels: dict[str, str] = Field(default_factory=dict)
    driver: Driver
