"""A real server on loopback: slow and greedy connections, and several clients with hostile pictures."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from PIL import Image

from agegender_core.images import PICTURE_SUFFIXES, read_image
from agegender_core.picture_rows import empty_row, reason_of
from agegender_core.pipeline import Pipeline
from agegender_core.records import face_records
from agegender_core.serve.access import is_loopback
from agegender_core.serve.server import address_of, listen

Served = Callable[..., str]


def connect(address: str) -> socket.socket:
    place = urlsplit(address)
    return socket.create_connection((place.hostname, place.port), timeout=20)


def post(address: str, content: bytes) -> tuple[int, Any]:
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=60)
    try:
        connection.request("POST", "/predict?name=a", content, {"Content-Type": "application/octet-stream"})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def read_all(connection: socket.socket) -> bytes:
    content = b""
    while part := connection.recv(65536):
        content += part
    return content


def test_a_head_that_drips_is_cut_off(served: Served) -> None:
    address = served(idle_seconds=0.6)
    for silent in (True, False):
        with connect(address) as slow:
            start = time.monotonic()
            slow.sendall(b"GET / HTTP/1.1\r\n")
            with contextlib.suppress(ConnectionError):
                while not silent:
                    slow.sendall(b"X-A: b\r\n")
                    time.sleep(0.1)
                assert slow.recv(1) == b""
            assert 0.4 < time.monotonic() - start < 5
    assert post(address, b"x")[0] == 422


def test_a_second_head_on_a_connection_that_drips_is_cut_off(served: Served) -> None:
    address = served(idle_seconds=0.6)
    host = urlsplit(address).netloc.encode()
    with connect(address) as slow:
        slow.sendall(b"GET /healthz HTTP/1.1\r\nHost: " + host + b"\r\n\r\n")
        assert b"200 OK" in slow.recv(65536)
        end = time.monotonic() + 5
        with contextlib.suppress(ConnectionError):
            slow.sendall(b"GET /healthz HTTP/1.1\r\n")
            while time.monotonic() < end:
                slow.sendall(b"X-A: b\r\n")
                time.sleep(0.1)
        assert time.monotonic() < end
    assert post(address, b"x")[0] == 422


@pytest.mark.parametrize("path", [b"POST /predict", b"POST /nowhere", b"GET /healthz"])
def test_a_body_that_drips_after_its_answer_is_cut_off(served: Served, path: bytes) -> None:
    address = served(idle_seconds=0.6, token="a-token-of-this-test")
    with connect(address) as slow:
        slow.sendall(path + b" HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100000\r\n\r\nx")
        assert slow.recv(65536).startswith(b"HTTP/1.1 200" if path.startswith(b"GET") else b"HTTP/1.1 401")
        end = time.monotonic() + 5
        with contextlib.suppress(ConnectionError):
            while time.monotonic() < end:
                slow.sendall(b"x")
                time.sleep(0.05)
        assert time.monotonic() < end


def test_a_connection_serves_one_request_after_the_other(served: Served) -> None:
    address = served(idle_seconds=0.6)
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=20)
    for _ in range(3):
        for size in (10, 300_000):
            connection.request("POST", "/predict", bytes(size), {"Content-Type": "image/jpeg"})
            answer = connection.getresponse()
            assert (answer.status, answer.read()[:2]) == (422, b"[{")
        time.sleep(0.8)
    connection.close()


def test_an_answer_that_nobody_takes_is_given_up(served: Served, face: bytes) -> None:
    address = served(idle_seconds=0.6, rate=0)
    with connect(address) as greedy:
        greedy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        head = b"POST /annotate HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: image/jpeg\r\n"
        whole = head + b"Content-Length: %d\r\n\r\n" % len(face) + face
        end = time.monotonic() + 20
        with contextlib.suppress(ConnectionError):
            greedy.settimeout(10)
            while time.monotonic() < end:
                greedy.sendall(whole)
        assert time.monotonic() < end
    assert post(address, b"x")[0] == 422


@pytest.mark.parametrize("drips", [False, True])
def test_a_body_that_drips_is_408(served: Served, drips: bool) -> None:
    address = served(idle_seconds=0.5 if not drips else 5.0, body_seconds=5.0 if not drips else 0.8)
    head = b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: image/jpeg\r\nContent-Length: 1000\r\n\r\n"
    with connect(address) as slow:
        start = time.monotonic()
        slow.sendall(head + b"x")
        for _ in range(10 if drips else 0):
            slow.sendall(b"x")
            time.sleep(0.05)
        assert read_all(slow).startswith(b"HTTP/1.1 408 ")
        assert 0.4 < time.monotonic() - start < 5
    assert post(address, b"x")[0] == 422


def test_a_body_that_announces_too_much_is_413_before_it_comes(served: Served) -> None:
    address = served(max_bytes=1000)
    for declared in (10**15, 1001):
        with connect(address) as greedy:
            head = "POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: image/jpeg\r\n"
            start = time.monotonic()
            greedy.sendall(f"{head}Content-Length: {declared}\r\nExpect: 100-continue\r\n\r\n".encode())
            assert greedy.recv(65536).startswith(b"HTTP/1.1 413 ")
            assert time.monotonic() - start < 2


@pytest.mark.parametrize("chunked", [False, True])
def test_a_client_that_sends_too_much_gets_to_read_why(served: Served, chunked: bool) -> None:
    connection = http.client.HTTPConnection(urlsplit(served(max_bytes=100_000)).netloc, timeout=20)
    content = bytes(40_000_000)
    headers = {"Content-Type": "image/jpeg"}
    connection.request("POST", "/predict", iter([content]) if chunked else content, headers, encode_chunked=chunked)
    answer = connection.getresponse()
    assert (answer.status, json.loads(answer.read())) == (413, {"error": "a request may have 100,000 bytes at most"})
    connection.request("POST", "/predict", b"x", headers)
    assert connection.getresponse().status == 422
    connection.close()


def test_more_connections_than_may_be_open_are_refused(served: Served) -> None:
    address = served(connections=3)
    idle = [connect(address) for _ in range(3)]
    time.sleep(0.3)
    with connect(address) as one_more:
        answer = read_all(one_more)
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert json.loads(answer.partition(b"\r\n\r\n")[2]) == {"error": "too many connections are open"}
    for connection in idle:
        connection.close()
    time.sleep(0.3)
    assert post(address, b"x")[0] == 422


def test_garbage_and_clients_that_go_do_no_harm(served: Served) -> None:
    address = served()
    for garbage in (
        b"\x16\x03\x01\x02\x00",
        b"GET\r\n\r\n",
        b"POST /predict HTTP/1.1\r\nContent-Length: 50\r\n\r\nx",
    ):
        with connect(address) as connection:
            connection.sendall(garbage)
    with connect(address) as connection:
        connection.sendall(b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            assert read_all(connection).startswith(b"HTTP/1.1 400 ")
    assert post(address, b"x")[0] == 422


def test_addresses() -> None:
    assert all(map(is_loopback, ("127.0.0.1", "127.3.2.1", "::1", "localhost")))
    assert not any(map(is_loopback, ("0.0.0.0", "::", "10.0.0.1", "", "localhost.example")))
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        assert address_of(taken) == f"http://127.0.0.1:{port}/"
        with pytest.raises(OSError, match=f"127.0.0.1 port {port} can't be listened on"):
            listen("127.0.0.1", port)
    with listen("0.0.0.0", 0) as everywhere:
        assert address_of(everywhere).startswith("http://127.0.0.1:")
    with pytest.raises(OSError, match=r"no\.such\.host\.invalid is no address"):
        listen("no.such.host.invalid", 0)


def test_clients_with_hostile_pictures_get_each_the_right_answer(
    served: Served, pipeline: Pipeline, astronaut_path: Path, tmp_path: Path, made_inputs: Callable[..., Any]
) -> None:
    made = made_inputs(tmp_path, Image.fromarray(read_image(astronaut_path)[20:240, 110:330]))
    made.every_format_in_every_orientation(PICTURE_SUFFIXES)
    made.suffixes_that_disagree(40, PICTURE_SUFFIXES)
    for path in sorted(tmp_path.iterdir())[::28]:
        (tmp_path / f"cut-{path.name}").write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    files = [path for number, path in enumerate(sorted(tmp_path.iterdir())) if number % 7 == 0 or "cut-" in path.name]
    assert len(files) > 40
    expected = {path: row_of(path, pipeline) for path in files}
    assert len({json.dumps(row["error"]) for row in expected.values()}) >= 3
    address = served(rate=0, queue=1000)
    wrong: list[Any] = []

    def ask(client: int) -> None:
        for path in files[client::8]:
            status, answer = post(address, path.read_bytes())
            if answer != [expected[path]] or status != (200 if expected[path]["error"] is None else 422):
                wrong.append((path.name, status, answer, expected[path]))

    threads = [threading.Thread(target=ask, args=(client,)) for client in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def row_of(path: Path, pipeline: Pipeline) -> dict[str, Any]:
    row = empty_row("a")
    try:
        image = read_image(path)
    except ValueError as error:
        return {**row, "error": reason_of(error, str(path))}
    faces = face_records(pipeline(image))
    return {**row, "width": image.shape[1], "height": image.shape[0], "faces": faces}
