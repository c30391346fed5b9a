"""``agegender serve`` and ``agegender stream --serve``, as processes."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import cv2
import numpy as np
import pytest

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")
pytest.importorskip("prometheus_client")

from agegender_core.images import decode_image, read_image

Here = Callable[..., subprocess.CompletedProcess[str]]
ROOT = Path(__file__).resolve().parents[2]
TOKEN = "a-token-of-this-test"


def ask(address: str, path: str = "", content: bytes | None = None, **headers: str) -> tuple[int, bytes]:
    request = urllib.request.Request(address + path, content, {"Content-Type": "image/jpeg", **headers})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_answer_is_what_predict_prints(
    running: Callable[..., Any], here: Here, astronaut_path: Path, tmp_path: Path, number: int
) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(astronaut_path.read_bytes()[:9000])
    pictures = [astronaut_path, broken]
    rows = json.loads(here("predict", *pictures, "--format", "json", "--model", "tiny", "-q").stdout)
    with running("serve", "--port", 0, "--model", "tiny") as (process, address):
        for path, row in zip(pictures, rows, strict=True):
            status, answer = ask(address, f"predict?name={quote(str(path))}", path.read_bytes())
            assert (status, json.loads(answer)) == (200 if row["error"] is None else 422, [row])
        assert ask(address, "healthz") == (200, b'{"status":"ok"}')
        assert ask(address)[1].startswith(b"<!doctype html>")
        process.send_signal(number)
        assert process.wait(20) in (0, -number)
        assert "Traceback" not in process.stderr.read()


def test_other_machines_need_a_token(running: Callable[..., Any], astronaut_path: Path) -> None:
    with running("serve", "--host", "0.0.0.0", "--port", 0, "--model", "tiny", token=TOKEN) as (_, address):
        picture = astronaut_path.read_bytes()
        assert ask(address, "predict", picture)[0] == 401
        assert ask(address, "predict", picture, Authorization="Bearer wrong")[0] == 401
        assert ask(address, "predict", picture, Authorization=f"Bearer {TOKEN}")[0] == 200


def test_limits_of_the_command_are_the_servers(running: Callable[..., Any], astronaut_path: Path) -> None:
    options = ["--max-mb", 0.06, "--max-megapixels", 0.1, "--rate", 2]
    with running("serve", "--port", 0, "--model", "tiny", *options) as (_, address):
        assert ask(address, "predict", astronaut_path.read_bytes())[0] == 413
        assert ask(address, "predict", bytes(60_001))[0] == 413
        assert [ask(address, "predict", b"x")[0] for _ in range(4)][-1] == 429


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the memory of a process is read from /proc")
def test_a_bomb_of_a_format_that_opencv_alone_knows_takes_no_memory(running: Callable[..., Any]) -> None:
    with running("serve", "--port", 0, "--model", "tiny") as (process, address):
        # 64 megapixels in 421 bytes.
        done, bomb = cv2.imencode(".jp2", np.zeros((8000, 8000), np.uint8))
        assert done
        status, answer = ask(address, "predict", bomb.tobytes())
        assert status == 413
        assert json.loads(answer)[0]["error"].startswith("declares too many pixels, more than the 50,000,000")
        most = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{process.pid}/status").read_text())
        assert most is not None
        assert int(most[1]) < 400_000


@pytest.mark.parametrize("command", [["serve", "--host"], ["stream", "samples/astronaut.mp4", "--no-show", "--serve"]])
def test_mistakes_are_one_sentence_with_a_hint(
    here: Here, monkeypatch: pytest.MonkeyPatch, astronaut_path: Path, command: list[str]
) -> None:
    monkeypatch.chdir(astronaut_path.parents[1])
    monkeypatch.delenv("AGEGENDER_TOKEN", raising=False)
    port = [] if command[0] == "stream" else ["--port", "0"]
    everywhere = "0.0.0.0:0" if command[0] == "stream" else "0.0.0.0"
    assert (
        "0.0.0.0 lets other machines in, and there is no token\n  hint: "
        in here(*command, everywhere, *port, code=2).stderr
    )
    assert "8 or more letters" in here(*command, everywhere, *port, "--token", "a b", code=2).stderr
    nowhere = "no.such.invalid:0" if command[0] == "stream" else "no.such.invalid"
    assert "no.such.invalid is no address" in here(*command, nowhere, *port, "--token", TOKEN, code=2).stderr
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = taken.getsockname()[1]
        arguments = [f"127.0.0.1:{number}"] if command[0] == "stream" else ["127.0.0.1", "--port", number]
        assert f"127.0.0.1 port {number} can't be listened on" in here(*command, *arguments, code=2).stderr
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    for name in [name for name in sys.modules if name.startswith("agegender_core.serve")]:
        monkeypatch.delitem(sys.modules, name)
    local = "0" if command[0] == "stream" else "127.0.0.1"
    missing = here(*command, local, *port, code=2).stderr
    assert "needs a package that is not installed: uvicorn" in missing
    assert 'pip install "agegender-core[serve]"' in missing


def test_what_stream_serves_must_be_a_port(here: Here) -> None:
    assert "--serve x is no port" in here("stream", "a.mp4", "--no-show", "--serve", "x", code=2).stderr


@pytest.fixture
def fed(running: Callable[..., Any], astronaut_path: Path) -> Callable[..., Any]:
    """Runs the command on frames that come in through a pipe, 20 a second, until the end."""

    @contextmanager
    def fed(*arguments: object, **named: Any) -> Iterator[tuple[Any, str]]:
        image = read_image(astronaut_path)
        size = f"{image.shape[1]}x{image.shape[0]}"
        command = ["stream", "-", "--size", size, "--fps", 20, "--no-show", "--serve", 0, *arguments]
        ended = threading.Event()

        def feed(process: Any) -> None:
            with contextlib.suppress(BrokenPipeError):
                while not ended.wait(0.05):
                    process.stdin.buffer.write(image.tobytes())
                    process.stdin.flush()

        def start(process: Any) -> None:
            threading.Thread(target=feed, args=(process,), daemon=True).start()

        with running(*command, stdin=subprocess.PIPE, started=start, **named) as one:
            try:
                yield one
            finally:
                ended.set()

    return fed


def until(condition: Callable[[], Any]) -> Any:
    end = time.monotonic() + 30
    while not (found := condition()):
        assert time.monotonic() < end
        time.sleep(0.1)
    return found


def state(address: str) -> Any:
    return json.loads(ask(address, "live")[1])


def test_a_stream_is_shown_and_a_viewer_that_takes_nothing_holds_nobody_up(
    fed: Callable[..., Any], astronaut_path: Path
) -> None:
    with fed() as (_, address):
        until(lambda: state(address)["sources"][0]["faces"])
        place = urlsplit(address)
        with socket.create_connection((place.hostname, place.port)) as slow:
            slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
            for _ in range(20):
                slow.sendall(b"GET /live/0/frame HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            before = state(address)["sources"][0]["frames"]
            until(lambda: state(address)["sources"][0]["frames"] > before + 20)
            number = 0
            for _ in range(3):
                with urllib.request.urlopen(f"{address}live/0/frame?after={number}", timeout=20) as answer:
                    assert int(answer.headers["X-Frame-Number"]) > number
                    number = int(answer.headers["X-Frame-Number"])
                    assert decode_image(answer.read()).shape == read_image(astronaut_path).shape
        document = state(address)
        (face,) = document["sources"][0]["faces"]
        assert face["gender"] == "female"
        assert document["sources"][0]["people"] == {"female": 1, "male": 0, "unknown": 0}
        assert document["sources"][0]["history"][-1][1] == 1
        until(lambda: state(address)["health"]["sources"][0]["frames_processed"] > 20)  # noted now and then
        assert b"agegender_frames_processed_total" in ask(address, "metrics")[1]
        assert ask(address, "predict", b"x")[0] == 404
        assert ask(address, "live/1/frame")[0] == 404
        assert ask(address, "live/0/frame?after=x")[0] == 400


def test_a_viewer_that_waits_does_not_keep_the_command_from_ending(fed: Callable[..., Any]) -> None:
    with fed() as (process, address):
        until(lambda: state(address)["sources"][0]["faces"])

        def watch() -> None:
            number = "0"
            with contextlib.suppress(OSError):
                while number is not None:
                    with urllib.request.urlopen(f"{address}live/0/frame?after={number}", timeout=20) as answer:
                        number = answer.headers["X-Frame-Number"]

        watching = threading.Thread(target=watch)
        watching.start()
        time.sleep(0.5)
        start = time.monotonic()
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130
        assert time.monotonic() - start < 4
        watching.join()
        errors = process.stderr.read()
        assert "Cancel" not in errors
        assert "Traceback" not in errors
        assert re.search(r"Stopped\. \d+ frames?, 1 track", errors)


def test_no_frames_shows_numbers_alone_and_a_token_guards_both(fed: Callable[..., Any]) -> None:
    with fed("--no-frames", token=TOKEN) as (process, address):
        assert ask(address, "live")[0] == 401
        assert ask(address, "live/0/frame")[0] == 401
        bearer = {"Authorization": f"Bearer {TOKEN}"}
        assert ask(address, "live", **bearer)[0] == 200
        assert ask(address, "live/0/frame", **bearer)[0] == 404
        assert json.loads(ask(address, "about")[1])["shows_frames"] is False
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 128 + signal.SIGTERM


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not on this machine")
def test_what_the_page_of_the_documentation_asks_is_answered_as_it_says(
    running: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = (ROOT / "docs/serve.md").read_text()

    def block(language: str) -> str:
        (text,) = re.findall(rf"^```{language}\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
        return str(text)

    (tmp_path / "samples").symlink_to(ROOT / "samples")
    monkeypatch.chdir(tmp_path)
    with running("serve", "--port", 0) as (_, address):
        first, second = block("bash").replace("http://127.0.0.1:8000/", address).splitlines()
        printed = subprocess.run(["bash", "-c", first], capture_output=True, text=True, check=True).stdout
        ((shown,), (row,)) = json.loads(block("json")), json.loads(printed)
        assert row | {"faces": []} == shown | {"faces": []}
        for name, value in shown["faces"][0].items():
            # Numbers differ a little from CPU to CPU.
            near = value if value is None or isinstance(value, str) else pytest.approx(value, abs=0.05)
            assert row["faces"][0][name] == near, name
        subprocess.run(["bash", "-c", second], capture_output=True, check=True)
        assert read_image("drawn.jpg").shape == (400, 512, 3)
        exec(compile(block("python").replace("http://127.0.0.1:8000/", address), "serve.md", "exec"), {})
        assert re.match(r"astronaut\.jpg 26\.\d+ \[\d+\.\d+, \d+\.\d+\] female\n", capsys.readouterr().out)


def test_the_limits_on_the_page_of_the_documentation_are_the_commands() -> None:
    from typer.main import get_command

    from agegender_cli.main import app
    from agegender_core.serve.limits import Limits

    page = (ROOT / "docs/serve.md").read_text()
    parameters = {p.name: p.default for p in get_command(app).commands["serve"].params}  # type: ignore[attr-defined]
    limits = Limits()
    for text in (
        f"no byte of the body came for {limits.idle_seconds:.0f} seconds",
        f"not all of it in {limits.body_seconds:.0f} |",
        f"more than {parameters['max_mb']:.0f} MB (`--max-mb`)",
        f"more than {parameters['max_pictures']} pictures",
        f"more than {parameters['max_megapixels']:.0f} megapixels",
        f"more than {parameters['rate']:.0f} requests a second of one client",
        f"{parameters['queue']} pictures wait (`--queue`), or {parameters['connections']} connections are open",
        f"more than {limits.held_bytes // 2**20} MiB",
        f"no answer within {parameters['timeout']:.0f} seconds",
    ):
        assert text in page, text
