"""Webhooks against real servers on loopback: one that is broken for a while, one that hangs, one that refuses."""

from __future__ import annotations

import http.server
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from agegender_core.messages import Outbox, RefusedError, UnreachableError, Webhook


class Server(http.server.ThreadingHTTPServer):
    """Answers with `statuses`, one after the other, then 204; `got` are the requests that it answered with 2xx."""

    daemon_threads = True

    def __init__(self, *statuses: int, port: int = 0, **headers: str) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.statuses, self.headers = list(statuses), headers
        self.got: list[tuple[str, dict[str, str], bytes]] = []
        self.asked = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        server: Any = self.server
        server.asked += 1
        body = self.rfile.read(int(self.headers["Content-Length"]))
        status = server.statuses.pop(0) if server.statuses else 204
        if status < 300:
            server.got.append((self.path, dict(self.headers), body))
        self.send_response(status)
        for name, value in server.headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "*")


@contextmanager
def running(server: Server) -> Iterator[Server]:
    thread = threading.Thread(target=lambda: server.serve_forever(poll_interval=0.01), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def quick(url: str, **options: Any) -> Outbox:
    return Outbox(Webhook(url, timeout=0.2), first_delay=0.01, longest_delay=0.05, **{"patience": 1.0, **options})


def messages(n: int) -> list[bytes]:
    return [json.dumps({"id": number}).encode() for number in range(n)]


def test_a_server_that_answers_500_five_times_gets_each_message_once_and_in_order() -> None:
    with running(Server(*[500] * 5)) as server, quick(f"{server.url}/people?room=3") as outbox:
        for message in messages(20):
            outbox.put(message)
        until(lambda: outbox.delivered == 20)
    assert [body for _, _, body in server.got] == messages(20)
    assert server.asked == 25
    path, headers, _ = server.got[0]
    assert path == "/people?room=3"
    assert headers["Content-Type"] == "application/json"
    assert headers["User-Agent"].startswith("agegender/")
    assert "Authorization" not in headers
    assert list(outbox.notes) == [
        f"{server.url} can't be reached (status 500); messages wait for it",
        f"{server.url} can be reached again",
    ]


def test_a_server_that_is_away_and_comes_back_gets_everything() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with quick(f"http://127.0.0.1:{port}/") as outbox:
        for message in messages(50):
            outbox.put(message)
        until(lambda: bool(outbox.notes))
        assert "Connection refused" in outbox.notes[0]
        with running(Server(port=port)) as server:
            until(lambda: outbox.delivered == 50)
    assert [body for _, _, body in server.got] == messages(50)


def test_one_that_hangs_is_tried_again_and_gives_the_stream_back() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=16) as silent:
        start = time.monotonic()
        with quick(f"http://127.0.0.1:{silent.getsockname()[1]}/", patience=0.5) as outbox:
            outbox.put(b"{}")
            assert time.monotonic() - start < 0.1
            until(lambda: bool(outbox.notes))
        assert time.monotonic() - start < 3
    assert "(no answer in time)" in outbox.notes[0]
    assert outbox.problem.endswith("1 message did not reach " + outbox.name + ": 1 left at the end")


@pytest.mark.parametrize("status", [301, 302, 307, 400, 401, 403, 404, 410])
def test_what_is_refused_is_asked_once(status: int) -> None:
    with (
        running(Server()) as other,
        running(Server(status, Location=f"{other.url}/elsewhere")) as server,
        quick(server.url) as outbox,
    ):
        outbox.put(b"{}")
        outbox.put(b"[]")
        until(lambda: outbox.delivered == 1)
    assert [body for _, _, body in server.got] == [b"[]"]
    assert (server.asked, other.asked) == (2, 0)
    assert list(outbox.notes) == [f"{server.url} refuses messages (status {status}); they are not sent again"]
    assert outbox.problem == f"1 message did not reach {server.url}: 1 refused"


@pytest.mark.parametrize("status", [408, 425, 429, 502, 503])
def test_what_passes_is_tried_again_when_the_server_says(status: int) -> None:
    with running(Server(status, Retry_After="7")) as server:
        webhook = Webhook(server.url)
        with pytest.raises(UnreachableError, match=f"^status {status}$") as caught:
            webhook.deliver(b"{}")
        assert caught.value.after == 7
        webhook.deliver(b"{}")
    with running(Server(status, Retry_After="Fri, 27 Nov 2026 10:00:00 GMT")) as server:
        with pytest.raises(UnreachableError) as caught:
            Webhook(server.url).deliver(b"{}")
        assert caught.value.after is None


def test_an_answer_that_is_no_http_is_tried_again() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(UnreachableError):
            Webhook(f"http://127.0.0.1:{server.getsockname()[1]}/").deliver(b"{}")
        thread.join()


def test_credentials_are_sent_and_never_shown() -> None:
    with running(Server(401, 200, 200)) as server:
        host = server.url.removeprefix("http://")
        basic = Webhook(f"http://ann:p%40ss@{host}/secret-path")
        with pytest.raises(RefusedError) as caught:
            basic.deliver(b"{}")
        basic.deliver(b"{}")
        Webhook(server.url, token="t0ken").deliver(b"{}")
    assert [headers["Authorization"] for _, headers, _ in server.got] == ["Basic YW5uOnBAc3M=", "Bearer t0ken"]
    assert server.got[0][0] == "/secret-path"
    assert basic.name == server.url
    assert str(caught.value) == "status 401"


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("example.org/people", "must begin with http:// or https://"),
        ("ftp://ann:secret@example.org/", "must begin with http:// or https://"),
        ("data://host/people", "must begin with http:// or https://"),
        ("http:///people", "must begin with http:// or https:// and a host"),
        ("http://ann:secret@example.org:port/", "no valid host and port"),
        ("http://ann:secret@example.org:70000/", "no valid host and port"),
        ("http://ann:secret@example.org:0/", "no valid host and port"),
        ("http://ann:secret@a..b/", "no valid host and port"),
        ("http://[::1/secret", "no valid host and port"),
        ("http://ann:secret@example.org/a b", "percent-encoded"),
        ("http://ann:secret@example.org/\r\nX: y", "percent-encoded"),
    ],
)
def test_addresses_that_are_none(url: str, words: str) -> None:
    with pytest.raises(ValueError, match=words) as caught:
        Webhook(url)
    assert "secret" not in str(caught.value)


def test_a_token_that_would_be_another_header_is_refused() -> None:
    with pytest.raises(ValueError, match="without spaces"):
        Webhook("http://example.org/", token="a\r\nHost: b")
