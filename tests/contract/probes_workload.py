"""A pod for the probes' tests: health document and metrics on POD_IP:PORT; `/turn/STATE` turns its breaker and logs that,
`/unready` turns its readiness. The times that it writes are decades off.
"""

import json
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar


class Handler(BaseHTTPRequestHandler):
    """Keeps its connections open, as the platform's services do."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    breaker: ClassVar[dict[str, object]] = {"circuit_breaker": None, "transitions": 0}
    ready = True
    calls = 0

    def do_GET(self) -> None:
        first, _, rest = self.path.lstrip("/").partition("/")
        match first:
            case "turn":
                line = {"ts": "1999-01-01T00:00:00.000Z", "message": "circuit breaker changed state", "breaker": "sync", "to": rest}
                print(json.dumps(line), flush=True)
                Handler.breaker.update(circuit_breaker=rest, transitions=int(str(Handler.breaker["transitions"])) + 1)
            case "pid":
                return self.answer(200, str(os.getpid()).encode())
            case "unready":
                Handler.ready = False
            case "ready":
                return self.answer(200 if Handler.ready else 503, b"")
            case "metrics":
                Handler.calls += 1
                return self.answer(200, self.metrics().encode())
        return self.answer(200, json.dumps({"checks": {"sync": Handler.breaker}}).encode())

    def metrics(self) -> str:
        number = {None: 0, "closed": 0, "half_open": 1, "open": 2}[Handler.breaker["circuit_breaker"]]  # type: ignore[index]
        return (
            f'circuit_breaker_state{{name="sync"}} {number}\n'
            f'calls_total{{dependency="redis",outcome="ok"}} {Handler.calls}\n'
            'calls_total{dependency="redis",outcome="error"} 1\nfallbacks_total{kind="keyword"} 4\n'
        )

    def answer(self, code: int, body: bytes) -> None:
        self.send_response(code)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        pass


ThreadingHTTPServer((os.environ["POD_IP"], int(os.environ["PORT"])), Handler).serve_forever()
