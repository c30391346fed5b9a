from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")

from starlette.testclient import TestClient

from agegender_core.predict import Predictor, load_predictor
from agegender_train.review.server import listen, review_app
from agegender_train.review.session import open_session
from agegender_train.store import Store, read_decisions

ORIGIN = "http://127.0.0.1:1234"
SECRET = "secret"


@pytest.fixture(scope="module")
def store(make_store: Callable[..., Store]) -> Store:
    return make_store("served", 40, exact=True)


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return load_predictor()


@pytest.fixture
def client(store: Store, predictor: Predictor) -> Iterator[TestClient]:
    with (
        open_session(store.path, predictor) as session,
        TestClient(review_app(session, SECRET), f"{ORIGIN}/{SECRET}", headers={"Origin": ORIGIN}) as client,
    ):
        yield client
    (store.path / "review.csv").unlink(missing_ok=True)


def test_the_page_and_its_files(client: TestClient) -> None:
    for path, kind in (
        ("/", "text/html"),
        ("/review.css", "text/css"),
        ("/review.js", "text/javascript"),
        ("/drawing.js", "text/javascript"),
        ("/grid.js", "text/javascript"),
        ("/server.js", "text/javascript"),
        ("/words.js", "text/javascript"),
        ("/icon.svg", "image/svg+xml"),
    ):
        answer = client.get(path)
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith(kind)
        assert answer.headers["cache-control"] == "no-store"
    page = client.get("/").text
    assert "http://" not in page.replace("http://www.w3.org/", "")
    assert "https://" not in page


def test_every_answer_keeps_the_page_to_itself(client: TestClient) -> None:
    for path in ("/", "/chip/0", "/api/about", "/nothing", "/chip/x"):
        headers = client.get(path).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert "access-control-allow-origin" not in headers


def test_chips_are_the_stores_own_bytes_and_may_be_kept(client: TestClient, store: Store) -> None:
    answer = client.get("/chip/39")
    assert answer.content == store.encoded()[39]
    assert answer.headers["content-type"] == "image/jpeg"
    assert "immutable" in answer.headers["cache-control"]
    again = client.get("/chip/39", headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert client.get("/chip/38", headers={"If-None-Match": answer.headers["etag"]}).status_code == 200


OUTSIDE = [
    "..", "../store.json", "%2e%2e", "%2e%2e%2fstore.json", "..%2f..%2fetc%2fpasswd", "%2fetc%2fpasswd", "/etc/passwd",
    "....//store.json", "%252e%252e%252fstore.json", "..%5cstore.json", "store.json", "review.csv",
    "0/../../store.json",
    "-1", "40", "999999999", "1" * 5000, "0x1", "1.0", "1e0", "+1", "%31%00", "٣", "0;store.json", "", " ", "null",
]  # fmt: skip


def test_nothing_but_the_stores_rows_is_given_out(client: TestClient) -> None:
    for prefix, path in product(("/chip/", "/", "/page/", "/api/"), OUTSIDE):
        answer = client.get(prefix + path)
        if answer.url != client.base_url:  # the page itself, which the client's tidying of paths may lead to
            assert answer.status_code == 404, prefix + path
        assert b"shard-00000" not in answer.content
        assert b"root:" not in answer.content


def test_raw_paths_do_not_leave_the_store(store: Store, predictor: Predictor) -> None:
    """As they come over a socket: a client library would tidy them up."""
    import asyncio

    async def ask(app: object, raw: bytes) -> tuple[int, bytes]:
        scope = {
            "type": "http", "http_version": "1.1", "method": "GET", "scheme": "http", "path": raw.decode("latin-1"),
            "raw_path": raw, "query_string": b"", "root_path": "", "headers": [(b"host", b"127.0.0.1")],
            "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 1234),
        }  # fmt: skip
        sent: list[dict[str, object]] = []

        async def receive() -> dict[str, object]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: dict[str, object]) -> None:
            sent.append(message)

        await app(scope, receive, send)  # type: ignore[operator]
        return int(str(sent[0]["status"])), b"".join(bytes(message.get("body", b"")) for message in sent)  # type: ignore[call-overload]

    with open_session(store.path, predictor) as session:
        app = review_app(session, SECRET)
        for path in (
            "chip/../../store.json",
            "chip/../store.json",
            "../store.json",
            "../../../../etc/passwd",
            "//etc/passwd",
        ):
            status, content = asyncio.run(ask(app, f"/{SECRET}/{path}".encode()))
            assert (status, b"shard" in content, b"root:" in content) == (404, False, False)


def test_without_the_secret_there_is_nothing(client: TestClient) -> None:
    for path in ("/", "/api/about", "/chip/0", "/wrong/api/about", f"/{SECRET}x/api/about", "/review.js"):
        assert client.get(f"{ORIGIN}{path}").status_code == 404
    assert client.post(f"{ORIGIN}/api/undo", json={}).status_code == 404


@pytest.mark.parametrize(
    ("host", "code"),
    [
        ("127.0.0.1", 200), ("127.0.0.1:1", 200), ("localhost:8888", 200), ("evil.example", 400),
        ("evil.example:1234", 400), ("127.0.0.1.evil.example", 400), ("localhost.evil.example:1234", 400), ("", 400),
        ("0.0.0.0:1234", 400), ("evil@127.0.0.1:1234", 400),
    ],
)  # fmt: skip
def test_only_this_machine_is_a_host(client: TestClient, host: str, code: int) -> None:
    assert client.get("/api/about", headers={"Host": host}).status_code == code


@pytest.mark.parametrize(
    "origin",
    ["http://evil.example", "null", "", "https://127.0.0.1:1234", "http://127.0.0.1:1235", "http://localhost:1234"],
)
def test_only_the_page_itself_changes_anything(client: TestClient, store: Store, origin: str) -> None:
    for path, asked in (("/api/decide", {"row": 0, "action": "reject"}), ("/api/undo", {}), ("/api/predict", {})):
        answer = client.post(path, json=asked, headers={"Origin": origin})
        assert answer.status_code == 403
        assert "only the review page itself" in answer.json()["problem"]
        assert client.get(path).status_code == 405
    assert not (store.path / "review.csv").exists()


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
def test_only_json_is_taken(client: TestClient, kind: str) -> None:
    body = json.dumps({"row": 0, "action": "reject"})
    assert client.post("/api/decide", content=body, headers={"Content-Type": kind}).status_code == 415


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", 400), (b"{", 400), (b"\xff", 400), (b"[]", 400), (b"null", 400), (b"[" * 4000, 400), (b"0" * 4097, 413),
        (b'{"row": 0, "action": "reject", "pad": "' + b"x" * 10**6 + b'"}', 413),
        (b'{"row": 0, "action": "reject", "file": "/etc/passwd"}', 400),
        (b'{"action": "reject"}', 400), (b'{"row": "0", "action": "reject"}', 400),
        (b'{"row": true, "action": "reject"}', 400),
        (b'{"row": 0.0, "action": "reject"}', 400), (b'{"row": 0, "action": null}', 400),
        (b'{"row": 40, "action": "reject"}', 404), (b'{"row": -1, "action": "reject"}', 404),
        (b'{"row": 1e400, "action": "reject"}', 400), (b'{"row": ' + b"9" * 3000 + b', "action": "reject"}', 404),
        (b'{"row": 0, "action": "undo"}', 400), (b'{"row": 0, "action": "delete"}', 400),
        (b'{"row": 0, "action": "correct"}', 400), (b'{"row": 0, "action": "correct", "age": 12}', 400),
        (b'{"row": 0, "action": "correct", "age": "200"}', 400), (b'{"row": 0, "action": "correct", "age": "x"}', 400),
        (b'{"row": 0, "action": "correct", "gender": 2}', 400),
        (b'{"row": 0, "action": "correct", "gender": "m"}', 400),
        (b'{"row": 0, "action": "accept", "gender": 1}', 400), (b'{"row": NaN, "action": "accept"}', 400),
    ],
)  # fmt: skip
def test_nonsense_is_refused_and_leaves_no_trace(client: TestClient, store: Store, body: bytes, code: int) -> None:
    answer = client.post("/api/decide", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == code
    assert answer.json()["problem"]
    assert not (store.path / "review.csv").exists()


def test_a_body_without_end_is_cut_off(client: TestClient) -> None:
    given = []

    def endless() -> Iterator[bytes]:
        while len(given) < 1000:
            given.append(1)
            yield b" " * 1000

    answer = client.post("/api/decide", content=endless(), headers={"Content-Type": "application/json"})
    assert answer.status_code == 413


def test_decisions_over_the_wire(client: TestClient, store: Store) -> None:
    def decide(**asked: object) -> dict[str, object]:
        (face,) = client.post("/api/decide", json=asked).raise_for_status().json()["faces"]
        return face

    assert decide(row=0, action="reject")["state"] == 2
    assert decide(row=1, action="correct", age="20-29")["corrected_age"] == [20, 29]
    assert decide(row=1, action="correct", gender=0)["corrected_age"] == [20, 29]
    assert client.post("/api/undo", json={}).json()["faces"][0]["row"] == 1
    assert [decision.action for decision in read_decisions(store.path / "review.csv")] == [
        "reject", "correct", "correct", "undo",
    ]  # fmt: skip
    assert Store.open(store.path).reviewed == {"rejected": 1, "corrected": 1}
    assert client.get("/api/changes?since=0").json()["changed"] == [[0, 2], [1, 3]]


def test_rows_and_faces(client: TestClient, store: Store) -> None:
    client.post("/api/decide", json={"row": 3, "action": "accept"}).raise_for_status()
    answer = client.get("/api/rows").content
    assert len(answer) == 40 * 5
    assert np.frombuffer(answer[:160], "<i4").tolist() == list(range(40))
    assert list(answer[160:]) == [0, 0, 0, 1] + [0] * 36
    women = client.get("/api/rows?gender=f&ages=0-20").content
    labels = store.labels()
    expected = np.flatnonzero((labels.gender == 0) & (labels.age <= 20))
    assert np.frombuffer(women[: 4 * len(expected)], "<i4").tolist() == expected.tolist()
    faces = client.get("/api/faces?rows=5,0").json()["faces"]
    assert [face["key"] for face in faces] == ["5.jpg", "0.jpg"]
    about = client.get("/api/about").json()
    assert (about["name"], about["faces"], about["chip_size"], about["groups"]) == ("served", 40, 72, [])
    assert "wants chips of 140 px" in about["model"]["problem"]
    for path, problem in (
        ("/api/rows?ages=young", "an age must look like"),
        ("/api/faces?rows=", "rows must be whole numbers"),
        ("/api/faces?rows=1,-1", "rows must be whole numbers"),
        ("/api/faces?rows=" + ",".join("1" * 501), "at most 500 faces, got 501"),
        ("/api/changes?since=x", "since must be whole numbers"),
    ):
        answer = client.get(path)
        assert (answer.status_code, problem in answer.json()["problem"]) == (400, True)
    assert client.get("/api/faces?rows=40").status_code == 404


def test_a_full_disk_is_told_to_the_page(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", "/stores/review.csv")

    monkeypatch.setattr("agegender_train.store.decisions.DecisionLog.append", full)
    answer = client.post("/api/decide", json={"row": 0, "action": "accept"})
    assert answer.status_code == 507
    assert answer.json()["problem"] == "not saved: No space left on device: /stores/review.csv"
    assert client.get("/api/faces?rows=0").json()["faces"][0]["state"] == 0


@pytest.mark.parametrize("content", [None, b"", b"PAR1 is no more PAR1"])
def test_a_damaged_shard_is_told(make_store: Callable[..., Store], predictor: Predictor, content: bytes | None) -> None:
    store = make_store("damaged", 4)
    with (
        open_session(store.path, predictor) as session,
        TestClient(review_app(session, SECRET), f"{ORIGIN}/{SECRET}") as client,
    ):
        if content is None:
            store.shards[0].unlink()
        else:
            store.shards[0].write_bytes(content)
        answer = client.get("/chip/0")
        assert answer.status_code == 500
        assert answer.json()["problem"].startswith("the picture can't be read: ")
        assert "immutable" not in answer.headers["cache-control"]


def test_only_this_machine_is_listened_to(tmp_path: Path) -> None:
    with listen() as listener:
        host, port = listener.getsockname()
        assert host == "127.0.0.1"
        assert port > 0
        with pytest.raises(OSError, match=rf"port {port} can't be used .*--port"):
            listen(port)
        with socket.socket() as other, pytest.raises(ConnectionRefusedError):
            other.connect(("127.0.0.2", port))
