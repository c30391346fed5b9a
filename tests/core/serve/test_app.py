"""The application, asked without a socket: what it answers to whom, and with which status."""

from __future__ import annotations

import base64
import io
import json
import re
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from PIL import Image
from starlette.testclient import TestClient

from agegender_core.images import decode_image
from agegender_core.picture_rows import empty_row
from agegender_core.pipeline import Pipeline
from agegender_core.records import face_records
from agegender_core.serve.limits import Limits
from agegender_core.serve.openapi import description

TOKEN = "a-token-of-this-test"
JPEG = {"Content-Type": "image/jpeg"}


def client(app: Any, host: str = "127.0.0.1:8000", **headers: str) -> TestClient:
    return TestClient(app, base_url=f"http://{host}", headers=headers, raise_server_exceptions=False)


def expected(pipeline: Pipeline, content: bytes, name: str) -> dict[str, Any]:
    image = decode_image(content)
    row = {"source": name, "width": image.shape[1], "height": image.shape[0], "faces": face_records(pipeline(image))}
    return {**empty_row(name), **row}


def test_pictures_come_as_a_form_as_json_or_as_they_are(
    application: Callable[..., Any], pipeline: Pipeline, face: bytes
) -> None:
    asking = client(application())
    text = base64.b64encode(face).decode()
    one = expected(pipeline, face, "a.jpg")
    assert len(one["faces"]) == 1
    form = asking.post("/predict", files=[("picture", ("a.jpg", face)), ("x", ("b.jpg", face[:900]))])
    assert form.status_code == 200
    broken = {**empty_row("b.jpg"), "error": "the file is cut off before its end"}
    assert form.json() == [one, broken]
    as_json = asking.post(
        "/predict", json={"pictures": [{"name": "a.jpg", "data": text}, f"data:image/jpeg;base64,{text}"]}
    )
    assert as_json.json() == [one, {**one, "source": "picture 2"}]
    assert asking.post("/predict?name=a.jpg", content=face, headers=JPEG).json() == [one]
    assert asking.post("/predict", content=face, headers=JPEG).json() == [{**one, "source": "picture"}]


def test_the_drawing_comes_in_the_row_or_as_the_answer(application: Callable[..., Any], face: bytes) -> None:
    asking = client(application())
    (row,) = asking.post("/predict?annotated=true", content=face, headers=JPEG).json()
    drawn = asking.post("/annotate", content=face, headers=JPEG)
    assert drawn.headers["content-type"] == "image/jpeg"
    assert base64.b64decode(row["annotated"]) == drawn.content
    assert decode_image(drawn.content).shape == decode_image(face).shape
    assert asking.post("/annotate", content=b"nothing", headers=JPEG).status_code == 422
    assert asking.post("/annotate", files=[("a", ("a", face)), ("b", ("b", face))]).status_code == 413
    assert asking.post("/predict?annotated=maybe", content=face, headers=JPEG).status_code == 400


@pytest.mark.parametrize(
    ("content", "headers", "status", "why"),
    [
        (b"", JPEG, 422, "the file is empty"),
        (b"nothing", JPEG, 422, "not a picture"),
        (b"\xff\xd8\xff", JPEG, 422, "the file is cut off"),
        (b"x", {"Content-Type": "text/plain"}, 415, "multipart/form-data, application/json"),
        (b"x", {}, 415, "multipart/form-data, application/json"),
        (b"{", {"Content-Type": "application/json"}, 400, "not JSON"),
        (b"[" * 200_000, {"Content-Type": "application/json"}, 400, "not JSON"),
        (b"{}", {"Content-Type": "application/json"}, 400, '{"pictures":'),
        (b'{"pictures": [3]}', {"Content-Type": "application/json"}, 400, '{"pictures":'),
        (b'{"pictures": []}', {"Content-Type": "application/json"}, 400, "no picture"),
        (b'{"pictures": ["%%"]}', {"Content-Type": "application/json"}, 400, "picture 1 is not base64"),
        (b'{"pictures": [{"data": "", "path": "/etc/passwd"}]}', {"Content-Type": "application/json"}, 400, "name"),
        (b"x", {"Content-Type": "multipart/form-data"}, 400, "boundary"),
        (b"x", {"Content-Type": "multipart/form-data; boundary=b"}, 400, "form"),
        (
            b'--b\r\nContent-Disposition: form-data; name="picture"\r\n\r\n/etc/passwd\r\n--b--\r\n',
            {"Content-Type": "multipart/form-data; boundary=b"},
            400,
            "must be a file",
        ),
        (b"--b--\r\n", {"Content-Type": "multipart/form-data; boundary=b"}, 400, "no picture"),
    ],
)
def test_what_is_wrong_is_said(
    application: Callable[..., Any], content: bytes, headers: dict[str, str], status: int, why: str
) -> None:
    answer = client(application()).post("/predict", content=content, headers=headers)
    assert answer.status_code == status
    document = answer.json()
    assert why in (document[0]["error"] if status == 422 else document["error"])


def test_a_name_is_only_a_name(application: Callable[..., Any], face: bytes) -> None:
    asking = client(application())
    for name in ("../../../../etc/passwd", "/etc/passwd", "a" * 10_000, "<script>", "\udcff"):
        content = {"pictures": [{"name": name, "data": base64.b64encode(face).decode()}]}
        # As JSON has it: a lone half of a pair is no text of UTF-8.
        (row,) = asking.post(
            "/predict", content=json.dumps(content), headers={"Content-Type": "application/json"}
        ).json()
        assert row["source"] == name.replace("\udcff", "\\xff")[:255]
        assert len(row["faces"]) == 1


@pytest.mark.parametrize(
    "path",
    ["/../pyproject.toml", "/%2e%2e/%2e%2e/etc/passwd", "/page/index.html", "//etc/passwd", "/live", "/style.css/"],
)
def test_no_path_leads_out_of_the_page(application: Callable[..., Any], path: str) -> None:
    assert client(application()).get(path).status_code == 404


def test_too_many_bytes_pixels_and_pictures_are_413(application: Callable[..., Any], face: bytes) -> None:
    asking = client(application(max_bytes=60_000, max_pixels=100_000, max_pictures=2))
    small = io.BytesIO()
    Image.new("RGB", (300, 300)).save(small, "PNG")
    assert len(face) < 60_000
    (row,) = asking.post("/predict", content=face, headers=JPEG).json()
    assert row["error"] == "declares 204,800 pixels, more than the 100,000 that are taken here"
    assert asking.post("/predict", content=face, headers=JPEG).status_code == 413
    both = asking.post("/predict", files=[("a", ("a", face)), ("b", ("b", small.getvalue()))])
    assert [row["error"] is None for row in both.json()] == [False, True]
    assert both.status_code == 200
    assert asking.post("/predict", files=[(n, (n, b"x")) for n in "abc"]).status_code == 413
    assert asking.post("/predict", json={"pictures": ["", "", ""]}).status_code == 413
    large = asking.post("/predict", content=bytes(60_001), headers=JPEG)
    assert (large.status_code, large.json()["error"]) == (413, "a request may have 60,000 bytes at most")
    chunked = asking.post("/predict", content=iter([bytes(40_000)] * 2), headers=JPEG)
    assert chunked.status_code == 413
    # A bomb: 64 million pixels in 62 KB of a file would be unpacked only then.
    bomb = io.BytesIO()
    Image.new("1", (8000, 8000)).save(bomb, "PNG")
    assert asking.post("/predict", content=bomb.getvalue(), headers=JPEG).status_code == 413


def test_nothing_is_written_to_a_disk(application: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a temporary file")

    monkeypatch.setattr(tempfile.SpooledTemporaryFile, "rollover", refuse)
    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    large = [("a", ("a", bytes(3_000_000))), ("b", ("b", bytes(3_000_000)))]
    assert client(application()).post("/predict", files=large).status_code == 422


def test_a_full_queue_is_503_a_late_answer_504_and_nothing_stays_held(
    application: Callable[..., Any], face: bytes
) -> None:
    opened = threading.Event()

    class Slow:
        def batch(self, frames: Any) -> Any:
            opened.wait(20)
            raise ValueError("too late")

    asking = client(application(pipeline_=Slow(), queue=1, answer_seconds=1.0))
    statuses: list[int] = []

    def ask() -> None:
        statuses.append(asking.post("/predict", content=face, headers=JPEG).status_code)

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    opened.set()
    # Two workers take one each, one waits, the others are refused.
    assert sorted(statuses) == [503, 503, 503, 504, 504, 504]
    assert asking.post("/predict", content=face, headers=JPEG).status_code == 422


def test_what_waits_when_the_server_ends_is_503(face: bytes) -> None:
    from agegender_core.serve.app import Served, serve_app
    from agegender_core.serve.batching import Batcher

    begun, opened = threading.Event(), threading.Event()

    class Slow:
        def batch(self, frames: Any) -> Any:
            begun.set()
            opened.wait(20)
            raise ValueError("too late")

    batcher = Batcher(Slow(), workers=1)  # type: ignore[arg-type]
    asking = client(serve_app(Served(batcher), Limits()))
    answers: list[tuple[int, Any]] = []

    def ask() -> None:
        answer = asking.post("/predict", content=face, headers=JPEG)
        answers.append((answer.status_code, answer.json()))

    with batcher:
        first, second = threading.Thread(target=ask), threading.Thread(target=ask)
        first.start()
        assert begun.wait(20)
        second.start()
        while not batcher.waiting:
            threading.Event().wait(0.01)
        threading.Timer(0.3, opened.set).start()
    first.join()
    second.join()
    assert sorted(status for status, _ in answers) == [422, 503]
    assert (503, {"error": "the server is ending"}) in answers


def test_bodies_hold_a_bounded_memory(application: Callable[..., Any]) -> None:
    asking = client(application(held_bytes=50_000))
    refused = asking.post("/predict", content=bytes(50_001), headers=JPEG)
    assert refused.status_code == 503
    assert refused.headers["retry-after"].isdecimal()
    for _ in range(3):
        assert asking.post("/predict", content=bytes(50_000), headers=JPEG).status_code == 422


def test_a_client_that_asks_too_often_is_429(application: Callable[..., Any]) -> None:
    asking = client(application(rate=0.5))
    first, second = (asking.post("/predict", content=b"x", headers=JPEG) for _ in range(2))
    assert (first.status_code, second.status_code) == (422, 429)
    assert 1 <= int(second.headers["retry-after"]) <= 2
    assert asking.get("/").status_code == 200


def test_without_a_token_only_this_machines_names_are_answered(application: Callable[..., Any]) -> None:
    app = application()
    for host in ("127.0.0.1:8000", "localhost", "LOCALHOST:1", "[::1]:8000", "127.3.2.1:80"):
        assert client(app, host).get("/").status_code == 200, host
    for host in ("evil.example", "127.0.0.1.evil.example", "0.0.0.0:8000", "", "[::1", "user@127.0.0.1@x"):
        assert client(app).get("/about", headers={"Host": host}).status_code == 403, host


def test_a_page_of_another_site_is_not_answered(application: Callable[..., Any]) -> None:
    for app in (application(), application(token=TOKEN)):
        asking = client(app, Authorization=f"Bearer {TOKEN}")
        for origin, status in (("http://127.0.0.1:8000", 422), ("http://evil.example", 403), ("null", 403)):
            assert asking.post("/predict", content=b"x", headers={**JPEG, "Origin": origin}).status_code == status
        answer = asking.get("/about")
        assert "access-control-allow-origin" not in answer.headers
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"


def test_with_a_token_all_but_the_page_needs_it(application: Callable[..., Any], face: bytes) -> None:
    app = application(token=TOKEN)
    asking = client(app, "camera.example:8000")
    for path in ("/", "/docs", "/style.css", "/about", "/healthz", "/openapi.json"):
        assert asking.get(path).status_code == 200, path
    for wrong in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {TOKEN}"}, {"Authorization": "é"}):
        refused = asking.post("/predict", content=face, headers={**JPEG, **{k: v.encode() for k, v in wrong.items()}})
        assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
        assert asking.get("/metrics", headers={k: v.encode() for k, v in wrong.items()}).status_code == 401
    right = {"Authorization": f"Bearer {TOKEN}"}
    assert asking.post("/predict", content=face, headers={**JPEG, **right}).status_code == 200
    assert asking.get("/metrics", headers=right).status_code == 200
    assert TOKEN not in asking.get("/about").text


def test_guesses_of_the_token_are_limited(application: Callable[..., Any]) -> None:
    asking = client(application(token=TOKEN, rate=1.0))
    assert [asking.get("/metrics").status_code for _ in range(4)] == [401, 401, 429, 429]


def test_metrics_count_what_was_done(application: Callable[..., Any], face: bytes) -> None:
    asking = client(application())
    asking.post("/predict", files=[("a", ("a", face)), ("b", ("b", b"x"))])
    asking.post("/predict", content=b"x", headers=JPEG)
    asking.get("/no/such/path")
    text = asking.get("/metrics").text
    for line in (
        'agegender_serve_requests_total{path="/predict",status="200"} 1.0',
        'agegender_serve_requests_total{path="/predict",status="422"} 1.0',
        'agegender_serve_requests_total{path="other",status="404"} 1.0',
        'agegender_serve_pictures_total{outcome="read"} 1.0',
        'agegender_serve_pictures_total{outcome="unreadable"} 2.0',
        "agegender_serve_faces_total 1.0",
        "agegender_serve_queue_pictures 0.0",
    ):
        assert line in text.splitlines()
    assert "/no/such/path" not in text


def test_health_says_when_no_worker_is_left(application: Callable[..., Any]) -> None:
    from agegender_core.serve.app import Served, serve_app
    from agegender_core.serve.batching import Batcher

    assert client(application()).get("/healthz").json() == {"status": "ok"}
    ended = Batcher(None, workers=1)  # type: ignore[arg-type]
    with ended:
        pass
    answer = client(serve_app(Served(ended), Limits())).get("/healthz")
    assert (answer.status_code, answer.json()) == (503, {"status": "failed"})


def test_answers_are_as_the_description_says(application: Callable[..., Any], face: bytes) -> None:
    asking = client(application(max_pixels=250_000))
    document = asking.get("/openapi.json").json()
    assert document == json.loads(json.dumps(description(Limits(max_pixels=250_000))))
    many = io.BytesIO()
    Image.new("RGB", (600, 600)).save(many, "PNG")
    for query, content, kind, status in (
        ("", face, "image/jpeg", 200),
        ("?annotated=true", face, "image/jpeg", 200),
        ("", b"x", "image/jpeg", 422),
        ("", many.getvalue(), "image/png", 413),
        ("", b"x", "text/plain", 415),
        ("", b"x", "application/json", 400),
    ):
        answer = asking.post(f"/predict{query}", content=content, headers={"Content-Type": kind})
        assert answer.status_code == status
        schema = document["paths"]["/predict"]["post"]["responses"][str(status)]["content"]["application/json"][
            "schema"
        ]
        validator = Draft202012Validator({**schema, "components": document["components"]})
        validator.validate(answer.json())
        assert not validator.is_valid({"surprise": 1})


def test_what_the_page_is_made_of_names_nothing_elsewhere(application: Callable[..., Any]) -> None:
    asking, seen = client(application()), 0
    for path in ("/", "/docs", "/style.css"):
        text = asking.get(path).text
        for address in re.findall(r'(?:src|href)="([^"]+)"|url\(([^)]+)\)', text):
            target = next(filter(None, address))
            if not target.startswith("#"):
                assert asking.get(target).status_code == 200, target
                seen += 1
    assert seen >= 8
    folder = Path(__file__).resolve().parents[3] / "packages/agegender-core/src/agegender_core/serve/page"
    for path in folder.iterdir():
        assert set(re.findall(r"\bhttps?://[^\"' ]+", path.read_text())) <= {"http://www.w3.org/2000/svg"}, path
