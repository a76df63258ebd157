"""A pod for the tests: HTTP on POD_IP:PORT that says who it is and does what its path says; see PATHS.

It is handed over as `python -c SOURCE`, so that the same pod runs as a local process and from an image with Python alone.
"""

import http.client
import json
import os
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

LINGER_S = 2.0


class Load:
    """One request after the other, each on a connection of its own: who answered how often, which errors there were."""

    def __init__(self, host: str, port: str) -> None:
        self.address = host, int(port)
        self.seen: Counter[str] = Counter()
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self) -> None:
        while not self.over.wait(0.02):
            self.seen[fetch(*self.address)["who"]] += 1

    def stop(self) -> dict[str, int]:
        self.over.set()
        self.thread.join()
        return dict(self.seen)


def fetch(host: str, port: str | int, path: str = "/") -> dict[str, Any]:
    """One request: the pod that answered or the name of the error, and the answer."""
    connection = http.client.HTTPConnection(host, int(port), timeout=5)
    try:
        connection.request("GET", path)
        answer = json.loads(connection.getresponse().read())
        return {"who": answer["POD_NAME"], "answer": answer}
    except (OSError, http.client.HTTPException) as error:
        return {"who": type(error).__name__, "answer": None}
    finally:
        connection.close()


class State:
    healthy = True
    load: Load | None = None
    requests = 0


def start_load(**where: str) -> None:
    State.load = Load(**where)


def stop_load() -> dict[str, int]:
    assert State.load is not None
    return State.load.stop()


def make_sick() -> None:
    State.healthy = False


PATHS: dict[str, Callable[..., Any]] = {
    "/fetch": fetch,
    "/load": start_load,
    "/stop": stop_load,
    "/break": make_sick,
    "/exit": lambda code: os._exit(int(code)),
}


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        url = urlsplit(self.path)
        if url.path == "/metrics":
            self.answer(200, f"requests_total {State.requests}\n".encode())
            return
        if url.path != "/health":
            say(url.path)
            State.requests += 1
        work = PATHS.get(url.path)
        done = work(**{key: value for key, (value,) in parse_qs(url.query).items()}) if work else None
        said = {key: os.environ.get(key) for key in ("POD_NAME", "POD_IP", "PORT", "SETTING")} | {"path": self.path, "done": done}
        self.answer(200 if State.healthy else 503, json.dumps(said).encode())

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.answer(201, self.headers.get("X-Test", "").encode() + b"|" + body)

    def answer(self, code: int, body: bytes) -> None:
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """What is logged is said before the answer, so that whoever has an answer finds its line."""


def say(message: str) -> None:
    print(json.dumps({"level": "INFO", "message": message}), flush=True)


def stop(*_: object) -> None:
    if "--stubborn" not in sys.argv:
        say("stopping")
        threading.Timer(LINGER_S if "--linger" in sys.argv else 0, os._exit, [0]).start()


signal.signal(signal.SIGTERM, stop)
say("started")
if "--slow" in sys.argv:
    time.sleep(0.5)
ThreadingHTTPServer((os.environ["POD_IP"], int(os.environ["PORT"])), Handler).serve_forever()
