"""Command line of the sandbox: `python -m sandbox up | plant | status | env | down | prepare | describe | manifests | flaws | forget`."""

import argparse
import json
import os
import secrets
import shlex
import signal
import sys
import time
from pathlib import Path
from typing import Any

from sandbox import state as states
from sandbox.state import DEFAULT_NAME, SandboxError, StateDirectory

_DOWN_PATIENCE_S = 10.0


def main(arguments: list[str] | None = None) -> int:
    """Exit code: 0 done; 1 refused, or no such sandbox; 2 the command line is wrong; 130 interrupted."""
    options = _parser().parse_args(arguments)
    # PostgreSQL runs as another user when we are root: it may pass through our directories, and read none of our files.
    os.umask(0o066)
    try:
        code: int = options.run(options)
    except SandboxError as error:
        print(f"sandbox: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:  # while the data is built; a running sandbox handles it itself
        return 130
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m sandbox", description="A small Media Gateway with real servers, on loopback.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    up = commands.add_parser("up", help="start a sandbox; stays until Ctrl-C, prints its status document once ready")
    up.add_argument("--detach", action="store_true", help="return when it is ready and leave it running")
    up.add_argument("--name", help=f"default: a new name, or '{DEFAULT_NAME}' with --detach")
    up.add_argument("--flaw", action="append", default=[], metavar="NAME", help="plant a defect; may be given several times")
    up.add_argument("--lifeline", action="store_true", help="also stop when standard input ends")
    up.set_defaults(run=_up)
    planting = commands.add_parser("plant", help="make a running sandbox as good as new, with these defects and no others")
    planting.add_argument("--name", help=f"default: '{DEFAULT_NAME}', or the only one that runs")
    planting.add_argument("--flaw", action="append", default=[], metavar="NAME", help="plant a defect; may be given several times")
    planting.set_defaults(run=_plant)
    for name, run, text in (
        ("status", _status, "print the status document"),
        ("env", _env, "print it as shell exports"),
        ("down", _down, "stop a sandbox"),
    ):
        command = commands.add_parser(name, help=text)
        command.add_argument("--name", help=f"default: '{DEFAULT_NAME}', or the only one that runs")
        command.set_defaults(run=run)
        if name == "status":
            command.add_argument("--json", action="store_true", help="as JSON")
    commands.add_parser("prepare", help="build the cached data (once, some 10 s)").set_defaults(run=_prepare)
    describe = commands.add_parser("describe", help="print the target description that a sandbox would have")
    describe.add_argument("--flaw", action="append", default=[], metavar="NAME", help="refuse a defect that is not known")
    describe.add_argument("--cluster", action="store_true", help="of the platform that the manifests make, as seen inside its cluster")
    describe.set_defaults(run=_describe)
    manifests = commands.add_parser("manifests", help="write the platform's manifests for a real cluster")
    manifests.add_argument("directory", type=Path, help="manifests/platform of a checkout, or a copy of it")
    manifests.add_argument("--flaw", action="append", default=[], metavar="NAME", help="plant a defect; may be given several times")
    manifests.set_defaults(run=_manifests)
    commands.add_parser("forget", help="remove the cached data").set_defaults(run=_forget)
    listing = commands.add_parser("flaws", help="list the defects that `up --flaw` can plant")
    listing.add_argument("--json", action="store_true", help="as JSON")
    listing.set_defaults(run=_flaws)
    return parser


def _up(options: argparse.Namespace) -> int:
    from sandbox import preflight

    preflight.check()
    from sandbox import detach
    from sandbox.supervisor import Options, supervise

    name = options.name or (DEFAULT_NAME if options.detach else f"run-{secrets.token_hex(4)}")
    wanted = Options(name=name, flaws=tuple(options.flaw), lifeline=options.lifeline)
    if options.detach:
        return detach.run(lambda voice: supervise(wanted, voice))
    supervise(wanted, detach.voice())
    return 0


def _plant(options: argparse.Namespace) -> int:
    from sandbox import flaws
    from sandbox.plant import plant

    state = _running(options)
    status = _ready_status(state)
    try:
        settings = flaws.settings(options.flaw)
    except flaws.UnknownFlawError as error:
        raise SandboxError(str(error)) from error
    plant(status, settings)
    states.write_private(state.flaws_file, "\n".join(options.flaw))
    print(f"{state.name}: {', '.join(options.flaw) or 'healthy'}")
    return 0


def _prepare(_: argparse.Namespace) -> int:
    from sandbox import preflight

    preflight.check()
    from sandbox.data.cache import prepared

    seed = prepared(states.password(), lambda text: print(text, file=sys.stderr, flush=True))
    print(f"{seed.path} ({seed.size_bytes() / 1e6:.0f} MB)")
    return 0


def _describe(options: argparse.Namespace) -> int:
    from sandbox import flaws
    from sandbox.describe import IN_CLUSTER, UNKNOWN, Place, description

    try:
        flaws.settings(options.flaw)
    except flaws.UnknownFlawError as error:
        raise SandboxError(str(error)) from error
    print(description(IN_CLUSTER if options.cluster else Place(Path(UNKNOWN), None)), end="")
    return 0


def _manifests(options: argparse.Namespace) -> int:
    from sandbox import flaws
    from sandbox.manifests import write

    try:
        written = write(options.directory, flaws.settings(options.flaw))
    except flaws.UnknownFlawError as error:
        raise SandboxError(str(error)) from error
    except OSError as error:
        raise SandboxError(f"{options.directory} cannot be written ({error.strerror}): name a directory that exists") from error
    print("\n".join(map(str, written)))
    return 0


def _forget(_: argparse.Namespace) -> int:
    print(f"removed the cached data in {states.forget_cache()}")
    return 0


def _flaws(options: argparse.Namespace) -> int:
    from sandbox import flaws

    # It only prints, so `| head` may end it as it ends any such command.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    if options.json:
        print(json.dumps(flaws.as_json()))
        return 0
    for flaw in flaws.FLAWS:
        print(f"{flaw.name}: {flaw.summary}; {flaw.fault} x {flaw.criterion} must be {flaw.expected}")
    return 0


def _status(options: argparse.Namespace) -> int:
    status = _ready_status(_running(options))
    if options.json:
        print(json.dumps(status))
        return 0
    for key, value in status.items():
        print(f"{key}: {_words(value)}")
    return 0


def _ready_status(state: StateDirectory) -> dict[str, Any]:
    status = state.status()
    if status is None:
        raise SandboxError(f"sandbox '{state.name}' is still starting: try again in a few seconds")
    return status


def _words(value: Any) -> str:
    if isinstance(value, dict):
        return "".join(f"\n  {key}: {_words(item)}" for key, item in value.items())
    return " ".join(value) if isinstance(value, list) else str(value)


def _env(options: argparse.Namespace) -> int:
    state = _running(options)
    status = _ready_status(state)
    variables = {
        "KUBECONFIG": status["kubeconfig"],
        "CHAOS_TARGET": status["target"],
        "GATEWAY_URL": status["gateway_url"],
        "TOXIPROXY_URL": status["toxiproxy_url"],
        "REDIS_URL": status["redis_url"],
        "QDRANT_URL": status["qdrant_url"],
        "PUBNUB_ORIGIN": status["pubnub_origin"],
        "POSTGRES_PRIMARY_DSN": status["postgres"]["primary"],
        "POSTGRES_REPLICA_DSNS": ",".join(status["postgres"]["replicas"]),
        "SANDBOX_PASSWORD": state.supervisor()["password"],
    }
    for name, value in variables.items():
        print(f"export {name}={shlex.quote(value)}")
    return 0


def _down(options: argparse.Namespace) -> int:
    from sandbox.process import start_ticks

    state = _running(options)
    supervisor = state.supervisor()
    for number in (signal.SIGTERM, signal.SIGKILL):
        if start_ticks(supervisor["pid"]) == supervisor["start_ticks"]:
            os.kill(supervisor["pid"], number)
        if _gone(state, supervisor):
            return 0
    raise SandboxError(f"the sandbox '{state.name}' does not end: its supervisor is process {supervisor['pid']}")


def _gone(state: StateDirectory, supervisor: dict[str, Any]) -> bool:
    from sandbox.process import start_ticks

    deadline = time.monotonic() + _DOWN_PATIENCE_S
    # Its lock goes with the files, before it has removed them all.
    while state.is_running() or start_ticks(supervisor["pid"]) == supervisor["start_ticks"]:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    states.clean()
    return True


def _running(options: argparse.Namespace) -> StateDirectory:
    """The sandbox that was named, else the default one, else the only one; raises SandboxError when it does not run."""
    running = [state for state in states.all_states() if state.is_running()]
    wanted = options.name or (running[0].name if len(running) == 1 else DEFAULT_NAME)
    state = StateDirectory.of(wanted)
    if state.is_running():
        return state
    others = ", ".join(other.name for other in running)
    raise SandboxError(f"no sandbox '{wanted}' is running" + (f"; these are: {others}" if others else ""))


if __name__ == "__main__":
    sys.exit(main())
