"""Somebody on this machine who is told things over HTTP, and can be out of order."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any


class Receiver:
    """Keeps what was posted to it, and counts what was asked of it."""

    def __init__(self) -> None:
        self.posted = list[Any]()
        self.asked = list[str]()
        self.status = 200
        self.hangs, self.arrived = threading.Event(), threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.arrived.set()
                if outer.hangs.is_set():
                    time.sleep(3)
                if outer.status == 200:
                    outer.posted.append(json.loads(body))
                self._reply()

            def do_GET(self) -> None:
                outer.asked.append(self.path)
                self._reply()

            def _reply(self) -> None:
                self.send_response(outer.status)
                if outer.status == 302:
                    self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]

    def __enter__(self) -> Receiver:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()
