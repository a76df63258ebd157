"""Command line of the test cluster: `python -m testbed up | down | status | cut N | partition N | heal N ...`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path

from testbed import cluster, machines, network
from testbed.binaries import build
from testbed.images import ensure_base_images
from testbed.layout import CONTROL, Folders, folders
from testbed.needs import install, missing
from testbed.ownership import only_one, require_set_up, require_up
from testbed.shell import TestbedError, step


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code: 0; 1 something failed; 2 the command line is wrong; 3 the machine lacks what a cluster needs."""
    options = _parser().parse_args(arguments)
    place = folders()
    lacking = missing(place) if options.makes else []
    if lacking:
        print(f"testbed: {'; '.join(lacking)}", file=sys.stderr)
        return 3
    try:
        with only_one(place) if options.changes else nullcontext():
            options.run(place, options)
    except TestbedError as error:
        print(f"testbed: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m testbed", description="A real Kubernetes on this machine, for the tests.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(
        name: str, text: str, run: Callable[[Folders, argparse.Namespace], None], *, makes: bool = False, changes: bool = True
    ) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text)
        command.set_defaults(run=run, makes=makes, changes=changes)
        return command

    command = add("up", "build what is missing, start, and return when all nodes and the cluster's DNS are ready", _up, makes=True)
    command.add_argument("--nodes", type=int, default=3)
    command.add_argument("--timers", choices=["fast", "upstream"], default="fast", help="how soon a lost node is noticed")
    add("check", "say what this machine lacks (exit 3), or nothing", lambda *_: None, makes=True, changes=False)
    add("install", "install the Debian packages that are missing (as root)", lambda *_: install())
    add("build", "build binaries and base images only", _build, makes=True)
    add("down", "end everything, leave binaries and images", lambda place, _: cluster.down(place))
    add("status", "machines, readiness, memory", _status, changes=False)
    add("kubeconfig", "print the path of the administrator's kubeconfig", lambda place, _: print(place.admin), changes=False)
    for name, text, work in (
        ("cut", "power off a machine (a node, or control)", machines.cut),
        ("partition", "unplug a node's network", lambda _, node: network.plug(node, "down")),
        ("heal", "plug it in, power it on, wait until it is ready", cluster.heal),
    ):
        add(name, text, _on_machine(work)).add_argument("machine")
    add("load", "import image archives into every node", _load).add_argument("archives", type=Path, nargs="+")
    command = add("enter", "run a command inside a machine", _enter, changes=False)
    command.add_argument("machine")
    command.add_argument("words", nargs=argparse.REMAINDER)
    add("kubectl", "kubectl as administrator", _kubectl, changes=False).add_argument("words", nargs=argparse.REMAINDER)
    return parser


def _build(place: Folders, _: argparse.Namespace) -> None:
    build(place)
    ensure_base_images(place)


def _up(place: Folders, options: argparse.Namespace) -> None:
    _build(place, options)
    with step("up"):
        cluster.up(place, options.nodes, fast=options.timers == "fast")
    print(f"export KUBECONFIG={place.admin}")


def _status(place: Folders, _: argparse.Namespace) -> None:
    require_set_up(place)
    print("\n".join(cluster.status(place)))


def _on_machine(work: Callable[[Folders, str], None]) -> Callable[[Folders, argparse.Namespace], None]:
    def on(place: Folders, options: argparse.Namespace) -> None:
        require_set_up(place)
        if options.machine not in (CONTROL, *place.nodes()):
            raise TestbedError(f"there is no machine {options.machine}; choose one of {', '.join((CONTROL, *place.nodes()))}")
        work(place, options.machine)

    return on


def _load(place: Folders, options: argparse.Namespace) -> None:
    require_up(place)
    cluster.load(place, options.archives)


def _enter(place: Folders, options: argparse.Namespace) -> None:
    require_up(place)
    command = machines.entering(place, options.machine, *options.words)
    os.execvp(command[0], command)


def _kubectl(place: Folders, options: argparse.Namespace) -> None:
    require_up(place)
    command = cluster.kubectl(place, *options.words)
    os.execv(command[0], command)


if __name__ == "__main__":
    sys.exit(main())
