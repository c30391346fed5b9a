"""Webhooks against real servers on loopback: one that is broken for a while, one that hangs, one that refuses."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from agegender_core.messages import Outbox, RefusedError, UnreachableError, Webhook
from tests.receivers import WebhookServer


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "*")


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
    with WebhookServer(*[500] * 5) as server, quick(f"{server.url}/people?room=3") as outbox:
        for message in messages(20):
            outbox.put(message)
        until(lambda: outbox.delivered == 20)
    assert [post.body for post in server.taken] == messages(20)
    assert len(server.posts) == 25
    _, path, headers, _ = server.taken[0]
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
        with WebhookServer(port=port) as server:
            until(lambda: outbox.delivered == 50)
    assert [post.body for post in server.taken] == messages(50)


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
        WebhookServer() as other,
        WebhookServer(status, Location=f"{other.url}/elsewhere") as server,
        quick(server.url) as outbox,
    ):
        outbox.put(b"{}")
        outbox.put(b"[]")
        until(lambda: outbox.delivered == 1)
    assert [post.body for post in server.taken] == [b"[]"]
    assert (len(server.posts), len(other.posts)) == (2, 0)
    assert list(outbox.notes) == [f"{server.url} refuses messages (status {status}); they are not sent again"]
    assert outbox.problem == f"1 message did not reach {server.url}: 1 refused"


@pytest.mark.parametrize("status", [408, 425, 429, 502, 503])
def test_what_passes_is_tried_again_when_the_server_says(status: int) -> None:
    with WebhookServer(status, Retry_After="7") as server:
        webhook = Webhook(server.url)
        with pytest.raises(UnreachableError, match=f"^status {status}$") as caught:
            webhook.deliver(b"{}")
        assert caught.value.after == 7
        webhook.deliver(b"{}")
    with WebhookServer(status, Retry_After="Fri, 27 Nov 2026 10:00:00 GMT") as server:
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
    with WebhookServer(401, 200, 200) as server:
        host = server.url.removeprefix("http://")
        basic = Webhook(f"http://ann:p%40ss@{host}/secret-path")
        with pytest.raises(RefusedError) as caught:
            basic.deliver(b"{}")
        basic.deliver(b"{}")
        Webhook(server.url, token="t0ken").deliver(b"{}")
    assert [post.headers["Authorization"] for post in server.taken] == ["Basic YW5uOnBAc3M=", "Bearer t0ken"]
    assert server.taken[0].path == "/secret-path"
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
