"""How a stream is doing, told to people, to a file and to Prometheus."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Any, Protocol, Self

from .errors import UserError

_EVERY = 5.0


class Metrics(Protocol):
    """Lets others see figures while it is open."""

    def tick(self) -> None:
        """To be called every now and then."""

    def __enter__(self) -> Self:
        """Itself."""

    def __exit__(self, *exception: Any) -> None:
        """Close it."""


class MetricsFile:
    """Figures in a file that is replaced every five seconds, as Prometheus's node exporter collects them."""

    def __init__(self, path: Path, text: Callable[[], str]) -> None:
        self._path, self._text = path, text
        self._written = float("-inf")

    def tick(self) -> None:
        """Write it when it is time. Raises OSError where that fails."""
        if monotonic() - self._written >= _EVERY:
            self._write()
            self._written = monotonic()

    def _write(self) -> None:
        from agegender_core.files import write_bytes

        write_bytes(self._path, self._text().encode())

    def __enter__(self) -> Self:
        self.tick()
        return self

    def __exit__(self, *exception: Any) -> None:
        self._write()


class MetricsServer:
    """Figures at http://HOST:PORT/metrics while it is open."""

    def __init__(self, host: str, port: int, text: Callable[[], str]) -> None:
        import http.server

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                found = self.path.partition("?")[0] == "/metrics"
                body = text().encode() if found else b"/metrics\n"
                self.send_response(200 if found else 404)
                self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        try:
            self._server = http.server.ThreadingHTTPServer((host, port), Handler)
        except OSError as error:
            raise UserError(f"--metrics {host}:{port} can't be listened on: {error.strerror}") from None

    def tick(self) -> None:
        """Nothing: it answers when it is asked."""

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True, name="metrics").start()
        return self

    def __exit__(self, *exception: Any) -> None:
        self._server.shutdown()
        self._server.server_close()


class NoMetrics:
    """Nobody asked for any."""

    def tick(self) -> None:
        """Nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: Any) -> None:
        pass


def metrics_file(metrics: str | None) -> Path | None:
    """The file that --metrics names, ``None`` if it names a port or nothing."""
    return None if metrics is None or host_and_port(metrics) else Path(metrics)


def open_metrics(metrics: str | None, text: Callable[[], str]) -> Metrics:
    """What --metrics asks for. Raises UserError where the port is taken."""
    if metrics is None:
        return NoMetrics()
    place = host_and_port(metrics)
    return MetricsServer(*place, text) if place else MetricsFile(Path(metrics), text)


def host_and_port(metrics: str) -> tuple[str, int] | None:
    """Host and port of "9100", "HOST:9100" or "[::1]:9100", by default of this machine; ``None`` of anything else."""
    host, colon, port = metrics.rpartition(":")
    if not port.isdecimal() or int(port) > 65535 or (colon and "/" in host):
        return None
    return host.strip("[]") or "127.0.0.1", int(port)
