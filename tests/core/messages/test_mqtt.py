"""MQTT with a real broker, mosquitto, which goes away and comes back."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agegender_core.messages import Mqtt, Outbox

pytest.importorskip("paho.mqtt.enums", reason="the package paho-mqtt is not installed")
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

MOSQUITTO = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
needs_a_broker = pytest.mark.skipif(MOSQUITTO is None, reason="mosquitto is not installed")


SENDER = """
import sys, time
from agegender_core.messages import Mqtt, Outbox
with Outbox(Mqtt(sys.argv[1])):
    time.sleep(60)
"""


class Broker:
    """A mosquitto on loopback that keeps its sessions over a restart."""

    def __init__(self, folder: Path, *lines: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.config = folder / "mosquitto.conf"
        access = [] if any(line.startswith("password_file") for line in lines) else ["allow_anonymous true"]
        own = [f"listener {self.port} 127.0.0.1", "user root", "persistence true", f"persistence_location {folder}/"]
        self.config.write_text("\n".join([*own, *access, *lines, ""]))
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        assert MOSQUITTO is not None
        self.process = subprocess.Popen([MOSQUITTO, "-c", self.config], stderr=subprocess.DEVNULL)
        until(self._listens)

    def _listens(self) -> bool:
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(20)
            self.process = None

    def url(self, rest: str = "door", login: str = "") -> str:
        return f"mqtt://{login}127.0.0.1:{self.port}/{rest}"


class Watcher:
    """Takes down what is published, in a session that outlives the broker."""

    def __init__(self, port: int, topic: str = "#", login: tuple[str, str] | None = None) -> None:
        self.got: list[tuple[str, bytes, bool]] = []
        self.ready = threading.Event()
        self.client = Client(CallbackAPIVersion.VERSION2, client_id="watcher", clean_session=False)
        if login is not None:
            self.client.username_pw_set(*login)
        self.client.reconnect_delay_set(0.05, 0.1)  # type: ignore[arg-type]
        self.client.on_connect = lambda client, *_: client.subscribe(topic, qos=1)
        self.client.on_subscribe = lambda *_: self.ready.set()
        self.client.on_message = lambda client, _, message: self.got.append(
            (message.topic, message.payload, message.retain)
        )
        self.client.connect_async("127.0.0.1", port)
        self.client.loop_start()
        assert self.ready.wait(20)

    def payloads(self, topic: str = "door") -> list[bytes]:
        return [payload for of, payload, _ in list(self.got) if of == topic]

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


def until(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def outbox_to(url: str, **options: Any) -> Outbox:
    mqtt = Mqtt(url, **options)
    mqtt._client.reconnect_delay_set(0.05, 0.2)  # type: ignore[arg-type]
    return Outbox(mqtt, first_delay=0.02, longest_delay=0.1, patience=1.0)


@pytest.fixture
def make_broker(tmp_path: Path) -> Iterator[Callable[..., Broker]]:
    made: list[Broker] = []

    def make(*lines: str) -> Broker:
        made.append(Broker(tmp_path, *lines))
        return made[-1]

    yield make
    for broker in made:
        broker.stop()


@needs_a_broker
def test_messages_arrive_in_order_and_the_status_says_who_is_there(make_broker: Callable[..., Broker]) -> None:
    broker = make_broker()
    broker.start()
    watcher = Watcher(broker.port)
    sent = [json.dumps({"id": number, "name": "Zoë"}).encode() for number in range(200)]
    with outbox_to(broker.url("house%20one/door")) as outbox:
        for payload in sent:
            outbox.put(payload)
        until(lambda: outbox.delivered == 200)
    until(lambda: len(watcher.payloads("house one/door/status")) == 2)
    watcher.close()
    assert watcher.payloads("house one/door") == sent
    assert watcher.payloads("house one/door/status") == [b"online", b"offline"]
    assert outbox.name == broker.url("house one/door")
    assert (outbox.problem, list(outbox.notes)) == ("", [])
    late = Watcher(broker.port, "house one/door/status")
    until(lambda: bool(late.got))
    late.close()
    assert late.got[-1][1:] == (b"offline", True)


@needs_a_broker
@pytest.mark.parametrize("away", [1.0, pytest.param(60.0, marks=pytest.mark.slow)])
def test_nothing_is_lost_while_the_broker_is_away(make_broker: Callable[..., Broker], away: float) -> None:
    broker = make_broker()
    broker.start()
    watcher = Watcher(broker.port)
    sent: list[bytes] = []
    # As a stream does it, with the waits that it has.
    with Outbox(Mqtt(broker.url())) as outbox:

        def send(seconds: float) -> None:
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                sent.append(b"%d" % len(sent))
                outbox.put(sent[-1])
                time.sleep(0.01)

        send(0.5)
        broker.stop()
        send(away)
        assert outbox.waiting > 30 * away
        broker.start()
        send(0.5)
        until(lambda: outbox.waiting == 0, 40)
        until(lambda: set(watcher.payloads()) >= set(sent))
    watcher.close()
    first_times = list(dict.fromkeys(watcher.payloads()))
    assert first_times == sent
    # Only what was on its way when the broker went may come twice.
    assert len(watcher.payloads()) - len(sent) <= 1
    assert outbox.counts() == {"delivered": len(sent), "waiting": 0, "dropped": 0, "refused": 0, "lost": 0}
    away_note, back_note = outbox.notes
    assert away_note == f"{broker.url()} can't be reached (the connection was lost); messages wait for it"
    assert back_note == f"{broker.url()} can be reached again"


@needs_a_broker
def test_a_broker_that_is_not_there_yet_is_said_once_and_waited_for(make_broker: Callable[..., Broker]) -> None:
    broker = make_broker()
    with outbox_to(broker.url()) as outbox:
        until(lambda: bool(outbox.notes))  # before there is any message
        assert "(Connection refused); messages wait for it" in outbox.notes[0]
        outbox.put(b"x")
        time.sleep(0.5)
        assert len(outbox.notes) == 1
        broker.start()
        until(lambda: outbox.delivered == 1)
    assert len(outbox.notes) == 2


@needs_a_broker
def test_a_login(make_broker: Callable[..., Broker], tmp_path: Path) -> None:
    passwords = tmp_path / "passwords"
    words = [shutil.which("mosquitto_passwd") or "mosquitto_passwd", "-b", "-c", passwords, "ann", "p@ss word"]
    subprocess.run(words, check=True, capture_output=True)
    broker = make_broker(f"password_file {passwords}")
    broker.start()
    watcher = Watcher(broker.port, login=("ann", "p@ss word"))
    with outbox_to(broker.url(login="ann:wr0ng@")) as outbox:
        outbox.put(b"never")
        until(lambda: bool(outbox.notes))
    (note,) = outbox.notes
    assert note == f"{broker.url()} can't be reached (the broker says: Not authorized); messages wait for it"
    assert outbox.lost == 1
    in_the_url = broker.url(login="ann:p%40ss%20word@"), {}
    apart = broker.url(login="ann@"), {"password": "p@ss word"}
    for url, options in (in_the_url, apart):
        with outbox_to(url, **options) as outbox:
            outbox.put(b"once")
            until(lambda: outbox.delivered == 1)
        assert outbox.name == broker.url()
    until(lambda: watcher.payloads() == [b"once", b"once"])
    watcher.close()


@needs_a_broker
def test_a_broker_that_forbids_the_topic_confirms_all_the_same(
    make_broker: Callable[..., Broker], tmp_path: Path
) -> None:
    rules = tmp_path / "rules"
    rules.write_text("topic read #\ntopic write door/status\n")
    rules.chmod(0o600)
    broker = make_broker(f"acl_file {rules}")
    broker.start()
    watcher = Watcher(broker.port)
    with outbox_to(broker.url()) as outbox:
        outbox.put(b"x")
    until(lambda: watcher.payloads("door/status") == [b"online", b"offline"])
    watcher.close()
    assert (outbox.delivered, watcher.payloads()) == (1, [])


# Paho leaves the socket of a handshake that failed to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@needs_a_broker
def test_tls_checks_the_certificate(
    make_broker: Callable[..., Broker], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    words = f"req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -keyout {key} -out {certificate}"
    alternatives = ["-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([openssl, *words.split(), *alternatives], check=True, capture_output=True)
    broker = make_broker(f"certfile {certificate}", f"keyfile {key}")
    broker.start()
    url = broker.url().replace("mqtt://", "mqtts://")
    with outbox_to(url) as outbox:
        outbox.put(b"x")
        until(lambda: bool(outbox.notes))
    assert "certificate verify failed" in outbox.notes[0]
    assert outbox.lost == 1
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with outbox_to(url) as outbox:
        outbox.put(b"x")
        until(lambda: outbox.delivered == 1)
    assert not outbox.notes


@needs_a_broker
def test_the_broker_says_that_a_sender_has_died(make_broker: Callable[..., Broker]) -> None:
    broker = make_broker()
    broker.start()
    watcher = Watcher(broker.port, "door/status")
    with subprocess.Popen([sys.executable, "-c", SENDER, broker.url()]) as process:
        until(lambda: watcher.payloads("door/status") == [b"online"])
        process.kill()
    until(lambda: watcher.payloads("door/status") == [b"online", b"offline"])
    watcher.close()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@needs_a_broker
def test_the_broker_says_that_a_sender_is_silent(make_broker: Callable[..., Broker]) -> None:
    broker = make_broker()
    broker.start()
    watcher = Watcher(broker.port, "door/status")
    with subprocess.Popen([sys.executable, "-c", SENDER, broker.url()]) as process:
        until(lambda: watcher.payloads("door/status") == [b"online"])
        process.send_signal(signal.SIGSTOP)
        until(lambda: watcher.payloads("door/status") == [b"online", b"offline"], 30)
        process.kill()
    watcher.close()


def test_one_that_takes_connections_and_says_nothing_holds_nobody_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        start = time.monotonic()
        with outbox_to(f"mqtt://127.0.0.1:{silent.getsockname()[1]}/door") as outbox:
            outbox.put(b"x")
        assert time.monotonic() - start < 4
    assert outbox.lost == 1


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("broker/door", "must begin with mqtt:// or mqtts:// and a host"),
        ("http://ann:secret@broker/door", "must begin with mqtt:// or mqtts:// and a host"),
        ("mqtt:///door", "must begin with mqtt:// or mqtts:// and a host"),
        ("mqtt://ann:secret@broker:door", "no valid host and port"),
        ("mqtt://ann:secret@broker:0/door", "no valid host and port"),
        ("mqtt://ann:secret@a..b/door", "no valid host and port"),
        ("mqtt://ann:secret@broker/door/#", "one topic"),
        ("mqtt://ann:secret@broker/+/door", "one topic"),
        ("mqtt://ann:secret@broker/door?qos=2", "one topic"),
        ("mqtt://ann:secret@broker/a%00b", "one topic"),
        ("mqtt://ann:secret@broker/$SYS/door", "one topic"),
    ],
)
def test_addresses_that_are_none(url: str, words: str) -> None:
    with pytest.raises(ValueError, match=words) as caught:
        Mqtt(url)
    assert "secret" not in str(caught.value)


def test_what_is_not_said_is_usual() -> None:
    plain, secure = Mqtt("mqtt://broker"), Mqtt("mqtts://ann:secret@[::1]/a/b")
    assert (plain.name, plain._port) == ("mqtt://broker/agegender", 1883)
    assert (secure.name, secure._host, secure._port) == ("mqtts://[::1]/a/b", "::1", 8883)
