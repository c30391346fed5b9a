"""Serving the review page on this machine until Ctrl-C."""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
from collections.abc import Callable

import uvicorn
from starlette.types import ASGIApp

from agegender_train.review.server import review_app
from agegender_train.review.session import ReviewSession

HOST = "127.0.0.1"


def listen(port: int = 0) -> socket.socket:
    """A socket that takes connections from this machine only.

    Args:
        port: 0 for any that is free.

    Raises:
        OSError: the port is taken or not allowed.
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    if os.name == "posix":  # elsewhere it means that others may take the port over
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
        listener.listen()
    except OSError as error:
        listener.close()
        raise OSError(f"port {port} can't be used ({error.strerror}); another --port can, or none for any") from None
    return listener


def page_server(app: ASGIApp) -> uvicorn.Server:
    """A server for `app` that says nothing of what it does."""
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, lifespan="off", server_header=False, timeout_graceful_shutdown=2
    )
    return uvicorn.Server(config)


def serve(session: ReviewSession, port: int, announce: Callable[[str], None]) -> None:
    """Serves the page of `session` until Ctrl-C.

    Args:
        session: what is reviewed.
        port: 0 for any that is free.
        announce: called with the page's address once it can be opened.

    Raises:
        OSError: the port is taken or not allowed.
    """
    secret = secrets.token_urlsafe(16)
    with listen(port) as listener:
        announce(f"http://{HOST}:{listener.getsockname()[1]}/{secret}/")
        # uvicorn ends in good order and then raises the signal again, for whoever waits for it.
        with contextlib.suppress(KeyboardInterrupt):
            page_server(review_app(session, secret)).run(sockets=[listener])
