"""``agegender stream --webhook`` and ``--mqtt``: what arrives, what is said, and how it ends."""

from __future__ import annotations

import functools
import json
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agegender_cli.stream_messages import open_messages
from agegender_core import messages
from agegender_core.sources import Source, TimedFrame, open_source
from agegender_core.telemetry import Telemetry
from tests.receivers import WebhookServer

ROOT = Path(__file__).resolve().parents[2]
SAMPLE, PAGE = ROOT / "samples" / "astronaut.mp4", ROOT / "docs" / "messages.md"
OPTIONS = ["--no-show", "--model", "tiny", "--quiet"]
MOSQUITTO = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
Here = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    quick = functools.partial(messages.Outbox, first_delay=0.01, longest_delay=0.05, patience=0.5)
    monkeypatch.setattr(messages, "Outbox", quick)
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.delenv("AGEGENDER_WEBHOOK_TOKEN", raising=False)


def test_two_webhooks_get_what_the_summary_says(tmp_path: Path, here: Here) -> None:
    stats, prom, people = tmp_path / "stats.json", tmp_path / "m.prom", tmp_path / "people.jsonl"
    files = ["--summary", people, "--stats", stats, "--metrics", prom]
    with WebhookServer() as sound, WebhookServer(*[500] * 5) as broken:
        address = broken.url.replace("//", "//ann:secret@")
        urls = ["--webhook", f"{sound.url}/people", "--webhook", f"{address}/people", "--message-every", "1"]
        done = here("stream", SAMPLE, *OPTIONS, *files, *urls)
    assert done.stdout == ""
    assert "secret" not in done.stderr
    assert done.stderr.count(f"{broken.url} can't be reached (status 500); messages wait for it.") == 1
    assert [post.status for post in broken.posts] == [500] * 5 + [204] * len(sound.posts)
    sent = [post.message for post in sound.posts]
    assert [post.message for post in broken.taken] == sent
    assert {post.headers["Authorization"] for post in broken.posts} == {"Basic YW5uOnNlY3JldA=="}
    events = [message["event"] for message in sent]
    assert (events[0], events[-1], events.count("settled"), events.count("seen")) == ("arrived", "departed", 1, 3)
    (row,) = [json.loads(line) for line in people.read_text().splitlines()]
    assert {**sent[-1], "chip": None} == {**sent[-1], **row}
    counted = {"delivered": len(sent), "waiting": 0, "dropped": 0, "refused": 0, "lost": 0}
    expected = [{"to": server.url, **counted} for server in (sound, broken)]
    assert json.loads(stats.read_text())["messages"] == expected
    assert f'agegender_messages_delivered_total{{to="{sound.url}"}} ' in prom.read_text()
    assert f'agegender_messages_waiting{{to="{broken.url}"}} ' in prom.read_text()


def test_what_happens_in_a_zone_is_told_to_the_end(tmp_path: Path, here: Here) -> None:
    zones, events = tmp_path / "zones.toml", tmp_path / "events.jsonl"
    zones.write_text('[[zone]]\nname = "Gesicht"\npoints = [[0, 0], [1, 0], [1, 1], [0, 1]]\n', "utf-8")
    with WebhookServer() as server:
        here("stream", SAMPLE, *OPTIONS, "--zones", zones, "--events", events, "--webhook", server.url)
    sent = [post.message for post in server.posts]
    own = [message for message in sent if "region" in message]
    assert [message["event"] for message in own] == ["appeared", "vanished"]
    rows = [json.loads(line) for line in events.read_text("utf-8").splitlines()]
    assert [{**message, **row} for message, row in zip(own, rows, strict=True)] == own
    assert len({message["id"] for message in sent}) == len(sent)
    assert len({message["run"] for message in sent}) == 1
    assert [message["event"] for message in sent if "region" not in message][-1] == "departed"


def test_a_webhook_that_refuses_is_said_once_and_the_files_are_whole(
    tmp_path: Path, here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AGEGENDER_WEBHOOK_TOKEN", "wrong-token")
    with WebhookServer(status=401) as server:
        done = here("stream", SAMPLE, *OPTIONS, "--tracks", tmp_path / "t.jsonl", "--webhook", server.url, code=1)
    assert {post.headers["Authorization"] for post in server.posts} == {"Bearer wrong-token"}
    assert done.stderr.count("refuses messages (status 401); they are not sent again.") == 1
    number = len(server.posts)
    assert number >= 3
    assert f"{number} messages did not reach {server.url}: {number} refused." in done.stderr
    assert "wrong-token" not in done.stderr
    assert len((tmp_path / "t.jsonl").read_text().splitlines()) == 90


def test_a_webhook_that_is_not_there_costs_messages_and_no_frame(tmp_path: Path, here: Here) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    done = here("stream", SAMPLE, *OPTIONS, "--tracks", tmp_path / "t.jsonl", "--webhook", url, code=1)
    assert done.stderr.count("Connection refused") == 1
    assert f"messages did not reach {url}: " in done.stderr
    assert "left at the end. 90 frames" in done.stderr
    assert len((tmp_path / "t.jsonl").read_text().splitlines()) == 90


class Stopped(Source):
    """A live source that ends with Ctrl-C after 40 of the sample's frames."""

    is_live = True

    def __init__(self) -> None:
        super().__init__("camera 0", "camera-0")
        self.source = open_source(SAMPLE)

    def __next__(self) -> TimedFrame:
        frame = next(self.source)
        if frame.index == 40:
            raise KeyboardInterrupt
        return frame

    def close(self) -> None:
        self.source.close()


def test_ctrl_c_says_that_those_in_view_have_left(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agegender_core.sources.open_source", lambda source, **_: Stopped())
    with WebhookServer() as server:
        done = here("stream", "0", *OPTIONS, "--webhook", server.url, code=130)
    assert "Stopped. 40 frames" in done.stderr
    left = server.posts[-1].message
    assert (left["event"], left["frames"]) == ("departed", 40)


def test_ctrl_c_does_not_wait_for_a_webhook_that_hangs(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agegender_core.sources.open_source", lambda source, **_: Stopped())
    with socket.create_server(("127.0.0.1", 0)) as silent:
        start = time.monotonic()
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        done = here("stream", "0", *OPTIONS, "--webhook", url, code=130)
    assert f"messages did not reach {url}" in done.stderr
    assert time.monotonic() - start < 8  # it would wait for an answer for 10


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_a_second_ctrl_c_ends_it_at_once(tmp_path: Path, start_process: Callable[..., Any]) -> None:
    tracks = tmp_path / "t.jsonl"
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        words = [Path(sys.executable).parent / "agegender", "stream", SAMPLE, *OPTIONS, "--tracks", tracks]
        # Two, of which one would be waited for after the other.
        with start_process([*words, "--webhook", url, "--webhook", url], stderr=subprocess.PIPE) as process:
            deadline = time.monotonic() + 60
            while not (tracks.exists() and len(tracks.read_text().splitlines()) == 90):
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.05)
            process.send_signal(signal.SIGINT)
            time.sleep(0.7)
            assert process.poll() is None
            start = time.monotonic()
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=60)
            assert time.monotonic() - start < 2
    assert process.returncode == 130
    assert errors.count("messages did not reach") == 2
    assert "Traceback" not in errors


@pytest.mark.skipif(MOSQUITTO is None, reason="mosquitto is not installed")
def test_a_broker_gets_what_the_summary_says(tmp_path: Path, here: Here) -> None:
    pytest.importorskip("paho.mqtt.enums")
    from paho.mqtt.client import Client
    from paho.mqtt.enums import CallbackAPIVersion

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    got: list[tuple[str, str]] = []
    ready = threading.Event()
    client = Client(CallbackAPIVersion.VERSION2)
    client.on_connect = lambda client, *_: client.subscribe("#", qos=1)
    client.on_subscribe = lambda *_: ready.set()
    client.on_message = lambda client, _, message: got.append((message.topic, message.payload.decode()))
    with subprocess.Popen([MOSQUITTO, "-p", str(port)], stderr=subprocess.DEVNULL) as broker:
        try:
            client.reconnect_delay_set(0.05, 0.1)  # type: ignore[arg-type]
            client.connect_async("127.0.0.1", port)
            client.loop_start()
            assert ready.wait(20)
            url, people = f"mqtt://127.0.0.1:{port}/hall/door", tmp_path / "people.jsonl"
            done = here("stream", SAMPLE, *OPTIONS, "--mqtt", url, "--summary", people)
            deadline = time.monotonic() + 20
            while ("hall/door/status", "offline") not in got:
                assert time.monotonic() < deadline
                time.sleep(0.01)
            client.disconnect()
            client.loop_stop()
        finally:
            broker.terminate()
    assert done.stderr == ""
    sent = [json.loads(payload) for topic, payload in got if topic == "hall/door"]
    assert [message["event"] for message in sent] == ["arrived", "settled", "departed"]
    (row,) = [json.loads(line) for line in people.read_text().splitlines()]
    assert {**sent[-1], "chip": None} == {**sent[-1], **row}
    assert [payload for topic, payload in got if topic == "hall/door/status"] == ["online", "offline"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--webhook", "example.org/people"], "--webhook: the address must begin with http:// or https:// and a host"),
        (["--webhook", "ftp://ann:secret@example.org"], "--webhook: the address must begin with http://"),
        (["--webhook", "http://ann:secret@example.org:x/"], "--webhook: the address has no valid host and port"),
        (["--mqtt", "broker/door"], "--mqtt: the address must begin with mqtt:// or mqtts:// and a host"),
        (["--mqtt", "mqtt://ann:secret@broker/door/#"], "--mqtt: what follows the host must be one topic"),
        (["--message-every", "5"], "--message-every is for --mqtt and --webhook"),
        (["--message-every", "0", "--webhook", "http://example.org/"], "Invalid value for '--message-every'"),
    ],
)
def test_mistakes(here: Here, words: list[str], message: str) -> None:
    done = here("stream", SAMPLE, *OPTIONS, *words, code=2)
    assert message in done.stderr
    assert "secret" not in done.stderr
    hints = {"--webhook": "--webhook https://example.org/people", "--mqtt": "--mqtt mqtt://broker:1883/door"}
    if words[0] in hints:
        assert done.stderr.splitlines()[1] == f"  hint: as in {hints[words[0]]}"


def test_receivers_of_one_host_are_told_apart() -> None:
    urls = ["http://ann@hooks.example/a", "http://hooks.example/b", "https://hooks.example/", "http://hooks.example/c"]
    sink = open_messages([], urls, None)
    assert sink is not None
    names = ["http://hooks.example", "http://hooks.example (2)", "https://hooks.example", "http://hooks.example (3)"]
    assert [outbox.name for outbox in sink.outboxes] == names
    text = Telemetry([], sink.outboxes).prometheus()
    for name in names:
        assert text.count(f'agegender_messages_lost_total{{to="{name}"}} 0\n') == 1


def test_without_paho_a_sentence_says_how_to_get_it(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "paho.mqtt.client", None)
    monkeypatch.setitem(sys.modules, "paho.mqtt.enums", None)
    done = here("stream", SAMPLE, *OPTIONS, "--mqtt", "mqtt://broker/door", code=2)
    sentence, hint = done.stderr.splitlines()
    assert sentence.startswith("agegender: --mqtt needs a package that is not installed: paho")
    assert hint == '  hint: pip install "agegender-core[mqtt]"'


def test_a_broker_that_is_not_there_is_said_before_there_is_a_message(tmp_path: Path, here: Here) -> None:
    pytest.importorskip("paho.mqtt.enums")
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"mqtt://ann:secret@127.0.0.1:{free.getsockname()[1]}/door"
    shown = url.replace("ann:secret@", "")
    done = here("stream", SAMPLE, *OPTIONS, "--tracks", tmp_path / "t.jsonl", "--mqtt", url, code=1)
    assert done.stderr.splitlines()[0] == f"{shown} can't be reached (Connection refused); messages wait for it."
    assert done.stderr.count(shown) == 2
    assert f"messages did not reach {shown}: " in done.stderr
    assert "secret" not in done.stderr
    assert len((tmp_path / "t.jsonl").read_text().splitlines()) == 90


# The page


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)


def test_the_message_of_the_page_is_the_one_that_is_sent(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    (block,) = blocks("json")
    shown = json.loads(block)
    monkeypatch.chdir(ROOT)
    with WebhookServer() as server:
        here("stream", "samples/astronaut.mp4", "--no-show", "--quiet", "--webhook", server.url)
    left = server.posts[-1].message
    assert list(left) == list(shown)
    for name, value in shown.items():
        if name in ("id", "run", "made"):
            assert len(left[name]) == len(value)
        else:  # numbers differ a little from CPU to CPU
            assert left[name] == (pytest.approx(value, abs=0.1) if isinstance(value, float) else value), name


def test_the_events_of_the_page_are_those_that_there_are() -> None:
    assert tuple(re.findall(r"^\| `(\w+)` \|", PAGE.read_text(), re.MULTILINE)) == messages.EVENTS


def test_the_receiver_of_the_page_takes_a_message_once(start_process: Callable[..., Any]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    program = blocks("python")[0].replace("9000", str(port))
    body = json.dumps({"id": "1", "event": "departed", "track_id": 7, "age": 30.5, "gender": "female"}).encode()
    with start_process([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        with messages.Outbox(messages.Webhook(f"http://127.0.0.1:{port}"), patience=20) as outbox:
            outbox.put(body)
            outbox.put(body)
            outbox.put(body.replace(b"departed", b"seen").replace(b'"1"', b'"2"'))
        assert outbox.delivered == 3
        assert process.stdout is not None
        assert process.stdout.readline() == "departed 7 30.5 female\n"
        assert process.stdout.readline() == "seen 7 30.5 female\n"
