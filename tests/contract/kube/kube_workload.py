"""A pod for the tests: HTTP on POD_IP:PORT that says who it is, is healthy unless told otherwise, and can be ended."""

import json
import os
import signal
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    healthy = True

    def do_GET(self) -> None:
        if self.path == "/break":
            Handler.healthy = False
        keys = ("POD_NAME", "POD_IP", "PORT", "NAMED", "SETTING", "VOLUME_DATA_DIR")
        body = {key: os.environ.get(key) for key in keys} | {"pid": os.getpid(), "path": self.path}
        self.answer(200 if Handler.healthy else 503, json.dumps(body).encode())

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.answer(201, self.headers.get("X-Test", "").encode() + b"|" + body)

    def answer(self, code: int, body: bytes) -> None:
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        if not self.headers.get("User-Agent", "").startswith("kube-probe"):
            print(json.dumps({"level": "INFO", "message": self.path}), flush=True)


def stop(*_: object) -> None:
    if "--stubborn" not in sys.argv:
        print('{"level": "INFO", "message": "stopping"}', flush=True)
        os._exit(0)


signal.signal(signal.SIGTERM, stop)
print('{"level": "INFO", "message": "started"}', flush=True)
server = ThreadingHTTPServer((os.environ["POD_IP"], int(os.environ["PORT"])), Handler)
if "--slow" in sys.argv:
    time.sleep(0.3)
server.serve_forever()
