"""The sound of a recording, copied beside the drawn frames as it is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from agegender_core.files import is_utf8


class Sound:
    """The first sound track of a file, packet by packet.

    Args:
        path: the file.
        start: seconds in it at which its first frame is shown: the sound's time 0.
    """

    def __init__(self, path: str | Path, start: float) -> None:
        import av

        path = Path(path)
        self._start = start
        self._file = None if is_utf8(path.absolute()) else path.open("rb")
        self._container = av.open(self._file or f"file:{path.absolute()}", "r", metadata_errors="replace")
        found = self._container.streams.audio
        self._stream = found[0] if found else None
        self._packets: Iterator[Any] = iter(self._container.demux(self._stream) if found else ())
        self._held: Any = None

    @property
    def codec(self) -> str:
        """FFmpeg's name of its codec, or "" where there is no sound."""
        context = None if self._stream is None else self._stream.codec_context
        return "" if self._stream is None else "unknown" if context is None else str(context.name)

    def add_to(self, container: Any) -> Any:
        """A stream for it in `container`. Raises ValueError where that can't hold its codec."""
        if self.codec not in container.supported_codecs:
            raise ValueError(self.codec)
        return container.add_stream_from_template(self._stream)

    def between(self, begin: float, end: float) -> Iterator[Any]:
        """The next packets up to `end`, without those before `begin`; their times count from `begin`."""
        while True:
            packet = self._held if self._held is not None else self._next()
            self._held = None
            if packet is None:
                return
            time = float(packet.pts * packet.time_base) - self._start
            if time > end:
                self._held = packet
                return
            if time < begin:
                continue
            ticks = round((self._start + begin) / packet.time_base)
            packet.pts -= ticks
            packet.dts = packet.pts if packet.dts is None else packet.dts - ticks
            yield packet

    def _next(self) -> Any:
        import av

        try:
            packet = next(self._packets, None)
        except (av.error.FFmpegError, OSError, ValueError):
            return None
        # The last one only says that there are no more.
        return None if packet is None or packet.pts is None else packet

    def close(self) -> None:
        """Let the file go."""
        self._container.close()
        if self._file is not None:
            self._file.close()
