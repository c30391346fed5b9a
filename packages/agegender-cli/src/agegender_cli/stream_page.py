"""The page that shows what ``agegender stream`` sees, for as long as it runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from .errors import UserError
from .output import message
from .serving import open_listener, server_packages
from .stream_health import host_and_port

if TYPE_CHECKING:
    import socket

    from agegender_core.serve.live import LiveView
    from agegender_core.telemetry import Telemetry


class StreamPage:
    """The page, if one is asked for.

    Args:
        listener: its socket; ``None``: nobody asked for it.
        token: that a client must send.
    """

    def __init__(self, listener: socket.socket | None, token: str | None) -> None:
        self._listener, self._token = listener, token
        self.view: LiveView | None = None

    def prepare(self, names: Sequence[str], shows_frames: bool) -> None:
        """Makes its view of sources of these names."""
        if self._listener is not None:
            from agegender_core.serve.live import LiveView

            self.view = LiveView(names, shows_frames)

    def tick(self, telemetry: Telemetry, metrics: Callable[[], str]) -> None:
        """How the stream does by now; to be called every now and then, from the thread that works on the frames."""
        if self.view is not None:
            self.view.tell_health(telemetry.document(), metrics())

    @contextmanager
    def serving(self, quiet: bool) -> Iterator[None]:
        """Serves it while the context is open."""
        if self._listener is None or self.view is None:
            yield
            return
        from agegender_core.serve.app import Served, serve_app
        from agegender_core.serve.limits import Limits
        from agegender_core.serve.metrics import ServerMetrics
        from agegender_core.serve.server import address_of, serving

        view, limits = self.view, Limits()
        app = serve_app(Served(live=view, metrics=ServerMetrics(more=lambda: view.metrics)), limits, self._token)
        with serving(app, self._listener, limits):
            if not quiet:
                message(f"Showing on {address_of(self._listener)}")
            try:
                yield
            finally:
                # Who waits for the next frame is told at once, that the server need not wait for them.
                view.ended = True


@contextmanager
def open_page(serve: str | None, token: str | None) -> Iterator[StreamPage]:
    """What --serve asks for.

    Raises:
        UserError: it isn't a port, the port is taken, others could reach it without a token, or a package is missing.
    """
    if serve is None:
        yield StreamPage(None, None)
        return
    place = host_and_port(serve)
    if place is None:
        raise UserError(f"--serve {serve} is no port", hint="as in --serve 8000, or --serve 127.0.0.1:8000")
    with server_packages("--serve"):
        import agegender_core.serve.app
        import agegender_core.serve.server  # noqa: F401
    with open_listener(*place, token) as listener:
        yield StreamPage(listener, token)
