"""Messages as HTTP requests."""

from __future__ import annotations

import base64
import http.client
import re
import urllib.error
import urllib.request
from importlib.metadata import version
from typing import Any
from urllib.parse import unquote, urlunsplit

from .addresses import address_of
from .outbox import Link, RefusedError, UnreachableError
from .words import words_of

# A server that is busy or broken gets better; whoever says 401 or 404 will say so again.
_LATER = frozenset({408, 425, 429})


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A POST that is redirected would come as a GET without its message, and take the token along."""

    def redirect_request(self, *_: Any) -> None:
        return None


class Webhook:
    """Posts each message as JSON to a URL. A status of 2xx confirms it.

    5xx, 408, 425, 429 (after the seconds of its Retry-After, if it names some) and connections that fail are tried
    again; other answers, redirects among them, refuse the message. Proxies are those of the environment, as urllib
    reads them.

    Args:
        url: http:// or https://, with ``user:password@`` before the host for basic authentication.
        token: sent as ``Authorization: Bearer``.
        timeout: seconds for which the connection, and then the answer, may keep silent.

    Attributes:
        name: scheme, host and port: secrets of a webhook tend to be in its path.

    Raises:
        ValueError: it is no such URL, or the token can't be sent.
    """

    def __init__(self, url: str, token: str | None = None, timeout: float = 10.0) -> None:
        address = address_of(url, ("http", "https"))
        parts = address.parts
        if not re.fullmatch(r"[\x21-\x7e]+", url):
            raise ValueError("the address has spaces or letters in it that must be percent-encoded")
        if token is not None and not re.fullmatch(r"[\x21-\x7e]+", token):
            raise ValueError("the token must have letters, digits and signs without spaces")
        self.name = address.shown
        self._url = f"{address.shown}{urlunsplit(('', '', parts.path or '/', parts.query, ''))}"
        self._timeout = timeout
        self._headers = {"Content-Type": "application/json", "User-Agent": f"agegender/{version('agegender-core')}"}
        if token is not None:
            self._headers["Authorization"] = f"Bearer {token}"
        elif parts.username is not None:
            pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            self._headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        self._opener = urllib.request.build_opener(_NoRedirects)

    def open(self, link: Link) -> None:
        """Nothing: each message has a connection of its own."""

    def deliver(self, payload: bytes) -> None:
        """Post one message. Raises UnreachableError or RefusedError."""
        request = urllib.request.Request(self._url, payload, self._headers, method="POST")
        try:
            self._opener.open(request, timeout=self._timeout).close()
        except urllib.error.HTTPError as error:
            with error:
                answer = f"status {error.code}"
                if error.code >= 500 or error.code in _LATER:
                    raise UnreachableError(answer, _seconds(error.headers.get("Retry-After"))) from None
                raise RefusedError(answer) from None
        except urllib.error.URLError as error:
            raise UnreachableError(words_of(error.reason)) from None
        except (OSError, http.client.HTTPException) as error:
            raise UnreachableError(words_of(error)) from None

    def close(self, seconds: float) -> None:
        """Nothing."""


def _seconds(header: str | None) -> float | None:
    # A date is possible, too: then our own wait has to do.
    return float(header) if header is not None and re.fullmatch(r"\d{1,6}", header.strip()) else None
