from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")

from agegender_cli.errors import UserError
from agegender_cli.review import review
from agegender_core.predict import MODELS_PATH
from agegender_train.preprocessing import preprocess
from agegender_train.store import Decision, Store
from agegender_train.store.decisions import DecisionLog

app = typer.Typer()
app.command()(review)
MAIN = "import sys; from agegender_cli.main import main; sys.argv[0] = 'agegender'; main()"


@pytest.fixture(scope="module")
def store(make_store: Callable[..., Store]) -> Path:
    return make_store("reviewed", 12, size=140, exact=True).path


@pytest.fixture
def reviewing(start_process: Callable[..., Any]) -> Callable[..., Any]:
    """Runs the command, and gives the process and the address that it says."""

    @contextmanager
    def reviewing(*arguments: object) -> Iterator[tuple[subprocess.Popen[str], str]]:
        command = [sys.executable, "-c", MAIN, "review", *arguments, "--no-browser"]
        with start_process(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            line = process.stderr.readline()
            assert line.startswith("Reviewing on http://127.0.0.1:"), line + process.stderr.read()
            yield process, line.split()[-1]

    return reviewing


def post(address: str, path: str, asked: dict[str, Any]) -> Any:
    origin = "/".join(address.split("/")[:3])
    headers = {"Content-Type": "application/json", "Origin": origin}
    request = urllib.request.Request(address.partition("?")[0] + path, json.dumps(asked).encode(), headers)
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.load(answer)


def run(*arguments: object, code: int = 0) -> Result:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception is None or isinstance(result.exception, SystemExit):
        assert result.exit_code == code, result.output
    return result


@pytest.mark.slow
def test_the_page_is_served_until_ctrl_c_and_decisions_stay(store: Path, reviewing: Callable[..., Any]) -> None:
    try:
        with reviewing(store, "--ages", "0-20", "--gender", "missing") as (process, address):
            assert address.endswith("/?ages=0-20&gender=missing")
            with urllib.request.urlopen(address, timeout=20) as answer:
                assert b"<title>Review</title>" in answer.read()
            assert post(address, "api/decide", {"row": 3, "action": "reject"})["faces"][0]["state"] == 2
            second = subprocess.run(
                [sys.executable, "-c", MAIN, "review", store, "--no-browser"],
                capture_output=True,
                text=True,
                timeout=60,
            )
            assert second.returncode == 2
            assert second.stderr.startswith("agegender: another process is working on")
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=20) == 0
            assert process.stdout is not None
            assert process.stderr is not None
            assert process.stdout.read() == ""
            end = f"0 accepted, 1 rejected, 0 corrected in {store / 'review.csv'}\n"
            assert process.stderr.read() == f"Ctrl-C ends.\n{end}"
        assert len(Store.open(store)) == 11
    finally:
        (store / "review.csv").unlink(missing_ok=True)


def test_a_taken_port_is_one_sentence(store: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = run(store, "--no-browser", "--port", port)
    assert isinstance(result.exception, OSError)
    assert str(result.exception).startswith(f"port {port} can't be used")


def test_options_reach_the_page(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    served: list[tuple[Any, int]] = []
    opened: list[str] = []

    def serve(session: Any, port: int, announce: Callable[[str], None]) -> None:
        served.append((session.predictions.running or session.predictions.age is not None, port))
        announce("http://127.0.0.1:1/secret/")

    monkeypatch.setattr("agegender_train.review.server.serve", serve)
    monkeypatch.setattr("webbrowser.open", opened.append)
    result = run(store)
    assert "0 accepted, 0 rejected, 0 corrected" in result.stderr
    run(store, "--model", MODELS_PATH / "ssrnet.onnx", "--port", 4321, "--ages", "60-100", "--browser")
    run(store, "--no-browser")
    assert served == [(False, 0), (True, 4321), (False, 0)]
    assert opened == ["http://127.0.0.1:1/secret/", "http://127.0.0.1:1/secret/?ages=60-100"]


def test_a_source_and_a_detector_reach_the_session(
    tmp_path: Path, astronaut_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, store = tmp_path / "source", tmp_path / "store"
    source.mkdir()
    (source / "a.jpg").write_bytes(astronaut_path.read_bytes())
    (source / "labels.csv").write_text("path,age\na.jpg,30\n")
    preprocess("csv", source, store, near_duplicates=None)
    about: list[Any] = []
    monkeypatch.setattr(
        "agegender_train.review.server.serve", lambda session, *_: about.append(session.about()["detector"])
    )
    run(store, "--source", source)
    run(store, "--source", source / "a.jpg", "--source", source / "labels.csv", "--detector", "hog")
    run(store)
    assert about == ["yunet", "hog", None]
    for option, value in (("--detector", "hog"), ("--landmarks", "other.dat")):
        result = run(store, option, value)
        assert isinstance(result.exception, UserError)
        assert str(result.exception) == f"{option} is of no use without --source"
    result = run(store, "--source", tmp_path / "nowhere")
    assert isinstance(result.exception, OSError)
    assert "nowhere" in str(result.exception)


def test_half_a_line_is_reported(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agegender_train.review.server.serve", lambda *_: None)
    file = store / "review.csv"
    DecisionLog(file).append([Decision("1.jpg", 0, "accept")])
    with file.open("a") as log:
        log.write(",2.jp")
    try:
        result = run(store)
    finally:
        file.unlink()
    assert "The last line of review.csv was cut off" in result.stderr
    assert "1 accepted" in result.stderr


def test_mistakes_are_one_sentence(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for arguments, message in (
        ((store, "--ages", "young"), "an age must look like"),
        ((store, "--gender", "x"), "gender must be one of m, f, missing"),
        ((store, "--model", tmp_path / "no.onnx"), "no model file at"),
        ((tmp_path / "nothing",), "is no folder"),
        ((tmp_path,), "is no aligned store"),
    ):
        result = run(*arguments, "--no-browser")
        assert isinstance(result.exception, ValueError | OSError)
        assert message in str(result.exception)
    assert list(tmp_path.iterdir()) == []
    monkeypatch.delitem(sys.modules, "agegender_train.review.server", raising=False)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    result = run(store)
    assert isinstance(result.exception, UserError)
    assert result.exception.hint == "pip install starlette uvicorn"
