"""Video files."""

from __future__ import annotations

import math
import os
import warnings
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any, Self

import cv2
import numpy as np

from agegender_core.faces import Frame
from agegender_core.sources.clocks import MediaClock

from .base import SinkError, partial_path
from .sound import Sound

VIDEO_CODECS = {
    ".mp4": ("libx264", "mpeg4"),
    ".mov": ("libx264", "mpeg4"),
    ".mkv": ("libx264", "mpeg4"),
    ".avi": ("mpeg4", "mjpeg"),
}
"""FFmpeg's names of the encoders that are tried, in order, by the suffix of the file. All browsers play H.264."""

_FORMATS = {".mp4": "mp4", ".mov": "mov", ".mkv": "matroska", ".avi": "avi"}
# Whole after a kill: what is written goes to the disk at once, in pieces of a second, and MP4 and MOV become ordinary
# files when they are closed.
_FRAGMENTED = {"movflags": "hybrid_fragmented", "frag_duration": "1000000"}
_AT_ONCE = {"flush_packets": "1"}
_CONTAINER_OPTIONS = {
    ".mp4": {**_FRAGMENTED, **_AT_ONCE},
    ".mov": {**_FRAGMENTED, **_AT_ONCE},
    ".mkv": {"cluster_time_limit": "1000", **_AT_ONCE},
    ".avi": _AT_ONCE,
}
_CODEC_OPTIONS = {
    # No frame waits in the encoder for later ones: a kill would take them along.
    "libx264": {"preset": "superfast", "tune": "zerolatency", "crf": "22"},
    "mpeg4": {"qscale": "3", "flags": "+qscale"},
    "mjpeg": {"qscale": "3", "flags": "+qscale"},
}
# What players know in these; FFmpeg writes more.
_SOUND_CODECS = {
    ".mp4": {"aac", "mp3", "ac3", "eac3", "alac", "opus", "flac"},
    ".mov": {"aac", "mp3", "ac3", "eac3", "alac"},
}
_TICKS = Fraction(1, 90_000)
_KEYFRAME_EVERY = 2.0  # seconds
_HIGHEST_FIXED_FPS = 240.0
_BT709 = 1


class _WholeWrites:
    """A file for PyAV, which takes a write that was cut short, as at the end of a disk, for a whole one."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("w+b", buffering=0)
        self.seek, self.tell, self.truncate = self._file.seek, self._file.tell, self._file.truncate
        self.read, self.close = self._file.read, self._file.close

    def write(self, data: bytes) -> int:
        left = memoryview(data)
        while left:
            left = left[self._file.write(left) :]
        return len(data)


class VideoSink:
    """Writes frames into a video file, each at its time, as H.264 where the container can (not .avi).

    They go into ``NAME.partial.SUFFIX`` beside it, which becomes the file when the sink is closed. That happens after
    an exception and on Ctrl-C too, so that what was done can be played; a file of that name from an earlier run is
    replaced then and not before. Without a single frame no file is made. What a kill leaves under the partial name can
    be played up to its last second. Needs PyAV (``pip install av``).

    Frames with an odd width or height get their last column or row twice: H.264's usual pixels come in pairs. AVI knows
    no times: there, frames are repeated and left out so that it plays at the speed of their times.

    Args:
        path: ends in .mp4, .mov, .mkv or .avi.
        fps: nominal frames per second, > 0: how long the last frame is shown, and the fixed rate of .avi.
        size: width and height in pixels, to which frames are resized; ``None``: those of the first frame.
        keep_time: no longer needed; it goes with the next release.
        sound: a file whose sound is copied.
        sound_start: seconds in that file that are time 0 here.

    Attributes:
        codec: FFmpeg's name of the encoder.
        frames: frames written so far.
        note: what people should know of the result, such as that the sound can't be copied; or "".

    Raises:
        ValueError: an unknown suffix, or a rate or size that is not above 0.
        SinkError: the folder is missing or not to be written to, `path` is a folder, or PyAV is not installed; of
            `write` and `close`, too: as on a full disk, after which the file is whole up to there.
    """

    done = False

    def __init__(
        self,
        path: str | Path,
        fps: float = 25.0,
        size: tuple[int, int] | None = None,
        keep_time: bool | None = None,
        *,
        sound: str | Path | None = None,
        sound_start: float = 0.0,
    ) -> None:
        if keep_time is not None:
            warnings.warn("keep_time is no longer needed: frames have times", DeprecationWarning, stacklevel=2)
        self.path = Path(path)
        self._suffix = self.path.suffix.lower()
        if self._suffix not in VIDEO_CODECS:
            raise ValueError(f"{self.path}: a video's name ends in {', '.join(VIDEO_CODECS)}")
        if not (math.isfinite(fps) and fps > 0):
            raise ValueError(f"fps must be above 0, got {fps}")
        if size is not None and min(size) < 1:
            raise ValueError(f"size must be a width and a height above 0, got {size}")
        try:
            import av
        except ImportError:
            raise SinkError(f"{self.path} can't be written: videos need PyAV (pip install av)") from None
        codecs = [name for name in VIDEO_CODECS[self._suffix] if name in av.codecs_available]
        if not codecs:
            names = ", ".join(VIDEO_CODECS[self._suffix])
            raise SinkError(f"{self.path} can't be written: no codec of {names} in this PyAV")
        if self.path.is_dir():
            raise SinkError(f"{self.path} is a folder")
        if not self.path.absolute().parent.is_dir():
            raise SinkError(f"{self.path} can't be written: there is no folder {self.path.parent}")
        self.fps, self.size, self.frames, self.codec, self.note = fps, size, 0, codecs[0], ""
        self._sound_of = sound, sound_start
        self._sound: Sound | None = None
        self._sound_stream: Any = None
        self._container: Any = None
        self._begin = 0.0
        self._clock = MediaClock(fps)
        self._ticks = -1
        self._keyframe = -math.inf
        self._fixed = min(fps, _HIGHEST_FIXED_FPS) if self._suffix == ".avi" else None
        self._partial = partial_path(self.path)
        try:
            self._file: Any = _WholeWrites(self._partial)
        except OSError as error:
            raise SinkError(f"{self.path} can't be written: {error.strerror}") from None

    def write(self, frame: Frame, time: float) -> None:
        """Add a frame: uint8 RGB (H, W, 3), and its time in seconds. Raises SinkError, as on a full disk."""
        import av

        if self._file is None:
            raise SinkError(f"{self.path} is closed")
        try:
            if self._container is None:
                self._begin = time
                self.size = (frame.shape[1], frame.shape[0]) if self.size is None else self.size
                self._start_with_sound(self.size)
            self._encode(self._fitted(frame), self._clock(time))
            self._copy_sound(time)
        except (av.error.FFmpegError, OSError) as error:
            self._abandon()
            raise SinkError(f"{self.path} can't be written: {_reason(error)}") from None

    def _start(self, size: tuple[int, int]) -> None:
        import av

        self._container = av.open(
            self._file, "w", format=_FORMATS[self._suffix], options=dict(_CONTAINER_OPTIONS[self._suffix])
        )
        rate = Fraction(self._fixed or self.fps).limit_denominator(1000)
        stream = self._container.add_stream(self.codec, rate=rate, options=dict(_CODEC_OPTIONS[self.codec]))
        stream.width, stream.height = size[0] + size[0] % 2, size[1] + size[1] % 2
        stream.pix_fmt = "yuvj420p" if self.codec == "mjpeg" else "yuv420p"
        context = stream.codec_context
        context.gop_size = max(1, round(_KEYFRAME_EVERY * float(rate)))
        if self.codec == "libx264":
            # Said in the file, so that players need not guess it from the size.
            context.colorspace = context.color_primaries = context.color_trc = _BT709
            context.color_range = 1
        self._time_base = _TICKS if self._fixed is None else 1 / rate
        context.time_base = self._time_base
        self._stream = stream
        if self._sound is not None:
            known = _SOUND_CODECS.get(self._suffix)
            if known is not None and self._sound.codec not in known:
                raise ValueError(self._sound.codec)
            self._sound_stream = self._sound.add_to(self._container)
        self._container.start_encoding()

    def _start_with_sound(self, size: tuple[int, int]) -> None:
        import av

        path, start = self._sound_of
        sound = None if path is None else Sound(path, start)
        if sound is not None and sound.codec:
            self._sound = sound
            try:
                self._start(size)
                return
            except (av.error.FFmpegError, ValueError, TypeError):
                # Some containers say only now that they can't hold the codec.
                self.note = f"{self.path} has no sound: {self._suffix} can't hold {sound.codec}; .mkv can"
                self._sound = self._sound_stream = None
                with suppress(Exception):
                    self._container.close()
                self._file.seek(0)
                self._file.truncate()
        if sound is not None:
            sound.close()
        self._start(size)

    def _fitted(self, frame: Frame) -> Frame:
        assert self.size is not None
        width, height = self.size
        if (frame.shape[1], frame.shape[0]) != self.size:
            frame = np.asarray(cv2.resize(frame, self.size, interpolation=cv2.INTER_AREA), np.uint8)
        if width % 2 or height % 2:
            frame = np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        return frame

    def _encode(self, image: Frame, seconds: float) -> None:
        import av
        from av.video.frame import PictureType

        if self._fixed is None:
            times = [max(round(seconds / self._time_base), self._ticks + 1)]
        else:
            times = list(range(self._ticks + 1, round(seconds * self._fixed) + 1))
        for ticks in times:
            rgb = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame = rgb.reformat(
                format=self._stream.pix_fmt, dst_colorspace="ITU709" if self.codec == "libx264" else None
            )
            frame.pts, frame.time_base = ticks, self._time_base
            frame.duration = max(1, round(1 / (self.fps * self._time_base)))
            if seconds - self._keyframe >= _KEYFRAME_EVERY:
                frame.pict_type, self._keyframe = PictureType.I, seconds
            self._container.mux(self._stream.encode(frame))
            self._ticks = ticks
            self.frames += 1

    def _copy_sound(self, until: float) -> None:
        if self._sound is not None:
            for packet in self._sound.between(self._begin, until):
                packet.stream = self._sound_stream
                self._container.mux(packet)

    def _finish(self) -> None:
        self._container.mux(self._stream.encode(None))
        self._copy_sound(self._begin + self._ticks * float(self._time_base) + 1 / self.fps)
        self._container.close()

    def close(self) -> None:
        """Finish the file and give it its name. May be called twice.

        Raises:
            SinkError: the end can't be written; the disk may be full. The file is whole up to there.
        """
        import av

        if self._file is None:
            return
        try:
            if self._container is not None:
                self._finish()
        except (av.error.FFmpegError, OSError) as error:
            self._abandon()
            raise SinkError(f"{self.path} can't be written: {_reason(error)}") from None
        self._let_go()

    def _abandon(self) -> None:
        with suppress(Exception):  # it tries to write once more
            self._container.close()
        self._let_go()

    def _let_go(self) -> None:
        if self._sound is not None:
            self._sound.close()
        self._file.close()
        self._file = self._container = None
        if self.frames:
            os.replace(self._partial, self.path)
        else:
            self._partial.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: Any) -> None:
        self.close()


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)
