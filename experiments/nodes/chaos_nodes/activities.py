"""What experiments call. A fault refuses to inject unless the control armed it."""

from __future__ import annotations

from orchestrator.activities import Output, perform


def node_power_cut(role: str, hold: str) -> Output:
    """A node under pods of the role loses power, as long as the hold lasts."""
    return perform("chaos_nodes.node_power_cut")


def node_partition(role: str, hold: str) -> Output:
    """A node under pods of the role loses its network, as long as the hold lasts."""
    return perform("chaos_nodes.node_partition")
