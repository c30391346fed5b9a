"""A server on loopback that takes webhooks, for the tests of messages."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Sequence
from typing import Any, NamedTuple, Self


class Post(NamedTuple):
    """One request, and the status that it was answered with."""

    status: int
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def message(self) -> Any:
        return json.loads(self.body)


class WebhookServer(http.server.ThreadingHTTPServer):
    """Answers with `first`, one status after the other, and then with `status`, for as long as it is a context.

    Attributes:
        posts: all requests.
        url: its address, without a path.
    """

    daemon_threads = True

    def __init__(self, *first: int, status: int = 204, port: int = 0, **headers: str) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.first, self.status, self.headers = list(first), status, headers
        self.posts: list[Post] = []
        self.url = f"http://127.0.0.1:{self.server_port}"
        self._thread = threading.Thread(target=lambda: self.serve_forever(poll_interval=0.01), daemon=True)

    @property
    def taken(self) -> Sequence[Post]:
        """The requests that were answered with 2xx."""
        return [post for post in self.posts if post.status < 300]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exception: Any) -> None:
        self.shutdown()
        self.server_close()
        self._thread.join()


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        server: Any = self.server
        body = self.rfile.read(int(self.headers["Content-Length"]))
        status = server.first.pop(0) if server.first else server.status
        server.posts.append(Post(status, self.path, dict(self.headers), body))
        self.send_response(status)
        for name, value in server.headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass
