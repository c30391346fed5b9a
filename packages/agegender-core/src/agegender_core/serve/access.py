"""Who may ask a server for what: the Host and Origin headers, the token, the rate, and the headers of every answer."""

from __future__ import annotations

import hmac
import ipaddress
import math
from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from .limits import RateLimit

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; img-src 'self' blob: data:; media-src 'self' blob:; style-src 'self'; script-src 'self'; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""What keeps a browser from doing more than the page needs."""


class Guard:
    """Refuses requests that are not for this server, come from a page of another one, lack the token, or are too many.

    A page of another site may make a browser send requests here, and by DNS rebinding under a name of that site's: so,
    without a token, only this machine's own names are taken, and an Origin must be that of the Host.

    Args:
        app: answers the others.
        token: to be in "Authorization: Bearer"; ``None``: none is needed.
        public: paths that need no token: they tell nothing of anybody.
        rate: of the requests that bring something, and of those with a wrong token.
    """

    def __init__(self, app: ASGIApp, token: str | None, public: Collection[str], rate: RateLimit) -> None:
        self._app, self._token, self._public, self._rate = app, token, frozenset(public), rate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        refusal = self._refusal(scope) if scope["type"] == "http" else None
        await (self._app if refusal is None else refusal)(scope, receive, send)

    def _refusal(self, scope: Scope) -> JSONResponse | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if self._token is None and not is_loopback(_name_of(f"//{host}") or ""):
            return refusal(
                403, f"without a token this server answers on this machine's own names only, not {host!r:.80}"
            )
        origin = headers.get("origin")
        if origin is not None and (host == "" or origin.partition("://")[2].lower() != host.lower()):
            return refusal(403, "a page of another site may not ask this server")
        authorised = scope["path"] in self._public or self._has_token(headers)
        if scope["method"] == "POST" or not authorised:
            wait = self._rate.wait((scope.get("client") or ("",))[0])
            if wait > 0:
                return refusal(429, "too many requests: wait a little", {"Retry-After": str(math.ceil(wait))})
        if not authorised:
            return refusal(
                401, "this server needs a token: Authorization: Bearer TOKEN", {"WWW-Authenticate": "Bearer"}
            )
        return None

    def _has_token(self, headers: Headers) -> bool:
        if self._token is None:
            return True
        kind, _, given = headers.get("authorization", "").partition(" ")
        # In a time that doesn't say how much of it is right.
        same = hmac.compare_digest(given.strip().encode("utf-8", "replace"), self._token.encode("utf-8", "replace"))
        return kind.lower() == "bearer" and same


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address: 127.0.0.1, ::1, localhost and the like."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def refusal(status: int, why: str, headers: dict[str, str] | None = None) -> JSONResponse:
    """An answer that says why there is none, in one sentence."""
    return JSONResponse({"error": why}, status, headers)


def _name_of(address: str) -> str | None:
    try:
        return urlsplit(address).hostname
    except ValueError:
        return None
