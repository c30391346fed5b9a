"""The server itself: its socket, its connections, and how it ends."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import threading
from collections.abc import Iterator
from typing import Any

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from .limits import Limits

_SHUTDOWN_SECONDS = 5
_BUSY = (
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 2\r\nConnection: close\r\n"
    b"Content-Type: application/json\r\nContent-Length: 41\r\n\r\n"
    b'{"error":"too many connections are open"}'
)


def listen(host: str, port: int) -> socket.socket:
    """A socket that takes connections.

    Args:
        host: the address or the name of one of this machine's interfaces; "0.0.0.0" and "::" are all of them.
        port: 0 for any that is free.

    Raises:
        OSError: there is no such address, or the port is taken or not allowed; the message says which.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (socket.gaierror, UnicodeError):
        raise OSError(f"{host} is no address of this machine") from None
    family, kind, protocol, _, address = found[0]
    listener = socket.socket(family, kind, protocol)
    if os.name == "posix":  # Elsewhere it would let others take over the port.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
        listener.listen(128)
    except (OSError, OverflowError) as error:
        listener.close()
        raise OSError(f"{host} port {port} can't be listened on: {getattr(error, 'strerror', error)}") from None
    return listener


def address_of(listener: socket.socket) -> str:
    """The address of a server's page: where the server listens on all interfaces, that of this machine itself."""
    host, port = listener.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


def protocol_of(limits: Limits) -> type[asyncio.Protocol]:
    """uvicorn's protocol with the limits that it lacks: on connections, on slow heads, on answers nobody takes."""

    class LimitedProtocol(H11Protocol):
        """One connection."""

        _timer: asyncio.TimerHandle | None = None
        _write_timer: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            if len(self.connections) > limits.connections:
                self.connections.discard(self)
                transport.write(_BUSY)
                transport.close()
                return
            self._start_timer()

        def data_received(self, data: bytes) -> None:
            if self.transport.is_closing():
                return
            super().data_received(data)
            self._look()

        def on_response_complete(self) -> None:
            super().on_response_complete()
            self._look()

        def _look(self) -> None:
            """A head that isn't whole, and a body that is already answered, have so long, however many bytes come."""
            theirs, ours = self.conn.their_state, self.conn.our_state
            if theirs is h11.IDLE or (theirs is h11.SEND_BODY and ours is h11.DONE):
                # Between two requests it is uvicorn that waits.
                if self._timer is None and self.timeout_keep_alive_task is None:
                    self._start_timer()
            elif self._timer is not None:
                self._timer.cancel()
                self._timer = None

        def _start_timer(self) -> None:
            self._timer = self.loop.call_later(limits.idle_seconds, self.transport.abort)

        def pause_writing(self) -> None:
            super().pause_writing()
            self._write_timer = self.loop.call_later(limits.idle_seconds, self.transport.abort)

        def resume_writing(self) -> None:
            super().resume_writing()
            if self._write_timer is not None:
                self._write_timer.cancel()
                self._write_timer = None

        def connection_lost(self, exc: Exception | None) -> None:
            super().connection_lost(exc)
            for timer in (self._timer, self._write_timer):
                if timer is not None:
                    timer.cancel()

    return LimitedProtocol


def _server(app: ASGIApp, limits: Limits) -> uvicorn.Server:
    config = uvicorn.Config(
        app,
        http=protocol_of(limits),
        ws="none",
        lifespan="off",
        # Not what clients do wrong: anybody can fill a log.
        log_level="error",
        access_log=False,
        server_header=False,
        # Who is asking is whoever is connected; a header says what its sender wants.
        proxy_headers=False,
        timeout_graceful_shutdown=_SHUTDOWN_SECONDS,
    )
    return uvicorn.Server(config)


def serve(app: ASGIApp, listener: socket.socket, limits: Limits) -> None:
    """Serve until Ctrl-C or SIGTERM; what is being answered then is still answered.

    Args:
        app: what answers.
        listener: see `listen`.
        limits: of connections.
    """
    # uvicorn shuts down cleanly and then raises the signal again.
    with contextlib.suppress(KeyboardInterrupt):
        _server(app, limits).run(sockets=[listener])


@contextlib.contextmanager
def serving(app: ASGIApp, listener: socket.socket, limits: Limits) -> Iterator[None]:
    """Serve in a thread of its own while the context is open.

    Args:
        app: what answers.
        listener: see `listen`.
        limits: of connections.
    """
    server = _server(app, limits)
    arguments: dict[str, Any] = {"sockets": [listener]}
    thread = threading.Thread(target=server.run, kwargs=arguments, name="server", daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.should_exit = True
        thread.join(_SHUTDOWN_SECONDS + 1)
