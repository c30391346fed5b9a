"""Pictures fetched from the web, within limits."""

from __future__ import annotations

import http.client
import time
import urllib.request

MAX_BYTES = 64 * 2**20
MAX_SECONDS = 60.0
_SILENCE = 15.0  # seconds without a byte
_PIECE = 2**16


def fetch(address: str) -> bytes:
    """The content at an http or https address.

    Raises:
        OSError: it can't be had, or not within `MAX_BYTES` and `MAX_SECONDS`; the message says why.
    """
    end = time.monotonic() + MAX_SECONDS
    request = urllib.request.Request(address, headers={"User-Agent": "agegender"})
    try:
        with _opener().open(request, timeout=_SILENCE) as answer:
            pieces, length = [], 0
            while piece := answer.read1(_PIECE):
                pieces.append(piece)
                length += len(piece)
                if length > MAX_BYTES:
                    raise OSError(f"it has more than {MAX_BYTES // 2**20} MiB")
                if time.monotonic() > end:
                    raise OSError(f"it did not come within {MAX_SECONDS:.0f} s")
            return b"".join(pieces)
    except (http.client.HTTPException, ValueError) as error:
        raise OSError(f"can't be fetched: {error}") from None


def _opener() -> urllib.request.OpenerDirector:
    """Opens http and https, after redirects, too, and no ftp, file or data as ``urlopen`` would."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPRedirectHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.UnknownHandler(),
    ):
        opener.add_handler(handler)
    return opener
