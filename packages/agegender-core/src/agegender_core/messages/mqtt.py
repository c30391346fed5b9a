"""Messages over MQTT 3.1.1, by Eclipse Paho (the extra ``mqtt``)."""

from __future__ import annotations

import random
import re
import sys
import threading
import uuid
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from .addresses import address_of
from .outbox import Link, UnreachableError
from .words import words_of

if TYPE_CHECKING:
    from paho.mqtt.client import ConnectFlags, DisconnectFlags
    from paho.mqtt.properties import Properties
    from paho.mqtt.reasoncodes import ReasonCode

_PORTS = {"mqtt": 1883, "mqtts": 8883}
_KEEP_ALIVE = 15  # seconds: a broker that is gone without a word is noticed in some 20
_CONNECTING = 10.0  # seconds, of which Paho gives a connection five


class Mqtt:
    """Publishes each message to a topic of an MQTT broker, with QoS 1: the broker confirms it.

    On TOPIC/status there is a retained "online" while it is connected, and "offline" otherwise, which the broker puts
    there itself when the connection is lost (the last will). A lost connection is opened again, with waits that grow to
    some ten seconds, and what was not confirmed is sent again.

    Args:
        url: mqtt://[USER[:PASSWORD]@]HOST[:PORT]/TOPIC, or mqtts:// with TLS, whose certificate is checked. Without a
            topic it is "agegender".
        password: for a URL with a user and no password.

    Attributes:
        name: the URL without user and password.

    Raises:
        ValueError: it is no such URL.
        ModuleNotFoundError: the package paho-mqtt is not installed.
    """

    def __init__(self, url: str, password: str | None = None) -> None:
        address = address_of(url, list(_PORTS))
        parts = address.parts
        topic = unquote(parts.path[1:]) or "agegender"
        if "?" in url or "#" in url or re.search(r"[+#\x00-\x1f\x7f]|^\$", topic) or len(topic.encode()) > 60_000:
            raise ValueError("what follows the host must be one topic, without # + ? and without $ at its beginning")
        from paho.mqtt.client import Client
        from paho.mqtt.enums import CallbackAPIVersion

        self.name = f"{address.shown}/{topic}"
        self._topic, self._status = topic, f"{topic}/status"
        self._host, self._port = address.host, address.port or _PORTS[parts.scheme]
        self._client = Client(CallbackAPIVersion.VERSION2, client_id=f"agegender-{uuid.uuid4().hex[:12]}")
        if parts.username is not None:
            given = password if parts.password is None else unquote(parts.password)
            self._client.username_pw_set(unquote(parts.username), given)
        if parts.scheme == "mqtts":
            self._client.tls_set()
        self._client.will_set(self._status, "offline", qos=1, retain=True)
        # Not the same for all, so that they don't come back in step.
        self._client.reconnect_delay_set(random.uniform(0.5, 1), random.uniform(5, 10))  # type: ignore[arg-type]
        self._changed = threading.Condition()
        self._connected = self._closed = False
        self._why: str | None = None
        self._confirmed: set[int] = set()

    def open(self, link: Link) -> None:
        """Begin to connect, in a thread of Paho's."""
        self._link = link
        self._client.on_connect = self._on_connect
        self._client.on_connect_fail = self._on_connect_fail
        self._client.on_disconnect = self._on_disconnect
        self._client.on_publish = self._on_publish
        self._client.connect_async(self._host, self._port, _KEEP_ALIVE)
        self._client.loop_start()

    def deliver(self, payload: bytes) -> None:
        """Publish one message and wait until the broker has confirmed it, across lost connections.

        Raises:
            UnreachableError: there is no connection, or it was closed meanwhile.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._connected or self._why or self._closed, _CONNECTING)
            if not self._connected or self._closed:
                raise UnreachableError(self._why or "no answer in time")
            self._confirmed.clear()
        # Without the lock: Paho holds one of its own where it calls `_on_publish`.
        number = self._client.publish(self._topic, payload, qos=1).mid
        with self._changed:
            self._changed.wait_for(lambda: number in self._confirmed or self._closed)
            if number not in self._confirmed:
                raise UnreachableError("closed before the broker confirmed it")

    def close(self, seconds: float) -> None:
        """Say "offline" and disconnect."""
        with self._changed:
            self._closed = True
            connected = self._connected
            self._changed.notify_all()
        if connected:
            self._client.publish(self._status, "offline", qos=1, retain=True)
        # Paho's own `loop_stop` may wait for ever, for a broker that is silent.
        self._client.disconnect()
        with self._changed:
            self._changed.wait_for(lambda: not self._connected, seconds)

    def _on_connect(
        self, client: Any, _: Any, flags: ConnectFlags, code: ReasonCode, properties: Properties | None
    ) -> None:
        if code.is_failure:
            self._tell_down(f"the broker says: {code}")
            return
        if self._closed:
            client.disconnect()
            return
        client.publish(self._status, "online", qos=1, retain=True)
        with self._changed:
            self._connected, self._why = True, None
            self._changed.notify_all()
        self._link.up()

    def _on_connect_fail(self, client: Any, _: Any) -> None:
        # Paho calls this where it handles the error, and does not hand it on.
        self._tell_down(words_of(sys.exception()))

    def _on_disconnect(
        self, client: Any, _: Any, flags: DisconnectFlags, code: ReasonCode, properties: Properties | None
    ) -> None:
        with self._changed:
            self._connected = False
        self._tell_down("the connection was lost")

    def _on_publish(self, client: Any, _: Any, number: int, code: ReasonCode, properties: Properties) -> None:
        with self._changed:
            self._confirmed.add(number)
            self._changed.notify_all()

    def _tell_down(self, why: str) -> None:
        with self._changed:
            # What came first is the reason, and what follows from it is none.
            self._why = self._why or why
            self._changed.notify_all()
        if not self._closed:
            self._link.down(self._why)
