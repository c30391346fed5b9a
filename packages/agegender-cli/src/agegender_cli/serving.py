"""What the commands that serve have in common: the extra, the address, the token."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from .errors import UserError


@contextmanager
def server_packages(what: str) -> Iterator[None]:
    """Turns a package that is missing into a sentence.

    Args:
        what: needs it: a command, or an option of one.

    Raises:
        UserError: it isn't installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise UserError(
            f"{what} needs a package that is not installed: {error.name}", hint='pip install "agegender-core[serve]"'
        ) from None


def open_listener(host: str, port: int, token: str | None) -> socket.socket:
    """A socket for a server.

    Raises:
        UserError: others could reach it, and there is no token; or the address can't be listened on.
    """
    from agegender_core.serve.access import is_loopback
    from agegender_core.serve.server import listen

    if token is not None and not re.fullmatch(r"[\x21-\x7e]{8,}", token):
        raise UserError(
            "the token must have 8 or more letters, digits and signs without spaces",
            hint='AGEGENDER_TOKEN="$(openssl rand -hex 16)"',
        )
    if token is None and not is_loopback(host):
        raise UserError(
            f"{host} lets other machines in, and there is no token", hint='AGEGENDER_TOKEN="$(openssl rand -hex 16)"'
        )
    try:
        return listen(host, port)
    except OSError as error:
        raise UserError(str(error), hint="choose another port; 0 takes one that is free") from None
