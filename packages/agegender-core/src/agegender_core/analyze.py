"""Ages and genders of pictures as people have them, in one call."""

from __future__ import annotations

import glob
import io
import mimetypes
import os
import re
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, BinaryIO, Literal, TypeAlias, TypedDict, Unpack, get_args, overload

import cv2
import numpy as np
import numpy.typing as npt

from .faces import Faces, Frame, Stage
from .frames import as_frame
from .images import ImageError, decode_image, has_picture_suffix, is_picture_file, on_white, read_image
from .model_file import Flip
from .pipeline import Pipeline
from .predict import model_names
from .spelling import with_near_names

OnError: TypeAlias = Literal["keep", "skip", "raise"]
_PICTURE_ERRORS = (ValueError, OSError, MemoryError, cv2.error)
_KEPT_PIPELINES = 4


class AnalyzeOptions(TypedDict, total=False):
    """The options of `analyze`, for type checkers and editors."""

    model: str | os.PathLike[str] | None
    detector: str | Stage | None
    threshold: float | None
    flip: Flip | None
    device: str
    runtime: str
    threads: int
    min_face: float | None
    any_rotation: bool
    min_quality: float
    upsample: int
    bgr: bool
    on_error: OnError


_Pixels: TypeAlias = bytes | bytearray | memoryview | npt.NDArray[np.uint8] | BinaryIO


# A path is one picture or, as a folder or a glob, several: no type can say which.
@overload
def analyze(source: str | os.PathLike[str], **options: Unpack[AnalyzeOptions]) -> Any: ...
@overload  # bytes and files iterate, too, and are one picture all the same
def analyze(source: _Pixels, **options: Unpack[AnalyzeOptions]) -> Faces: ...  # type: ignore[overload-overlap]
@overload
def analyze(source: Iterable[Any], **options: Unpack[AnalyzeOptions]) -> Iterator[Faces]: ...
@overload
def analyze(source: Any, **options: Unpack[AnalyzeOptions]) -> Any: ...
def analyze(
    source: Any,
    *,
    model: str | os.PathLike[str] | None = None,
    detector: str | Stage | None = None,
    threshold: float | None = None,
    flip: Flip | None = None,
    device: str = "cpu",
    runtime: str = "onnxruntime",
    threads: int = 1,
    bgr: bool = False,
    on_error: OnError = "keep",
    **options: Any,
) -> Faces | Iterator[Faces]:
    """Find the faces of a picture, or of many, and estimate their ages and genders.

    >>> faces = analyze("samples/astronaut.jpg")  # doctest: +SKIP
    >>> [(face.age, face.gender, face.box) for face in faces]  # doctest: +SKIP
    >>> faces.annotate().save("drawn.jpg")  # doctest: +SKIP

    The models are loaded by the first call and kept, for calls from any thread. Nothing is fetched, and nothing is
    written, unless `runtime` is "auto": see `load_predictor`.

    Args:
        source: one picture: the path of a file, its bytes, an open binary file, a picture of Pillow's, or pixels: uint8
            (H, W, 3) RGB, (H, W) or (H, W, 1) grey, (H, W, 4) RGBA. Or several: a list, a tuple or an iterator of
            these, an array (n, H, W, 3), a folder (all pictures below it, in the order of their paths), or a glob such
            as ``"scans/**/*.png"``.
        model: "accurate", the default, "fast" or "tiny", which come with the package, or a model file.
        detector: what finds faces: see `Pipeline.for_pictures`; ``None`` for its default.
        threshold: the least score of a face; ``None``: what the detector has by default.
        flip: see `load_predictor`.
        device: see `load_predictor`.
        runtime: see `load_predictor`.
        threads: see `load_predictor`.
        bgr: arrays have their channels in OpenCV's order: blue, green, red (and alpha). Files, bytes and pictures of
            Pillow's say themselves what they are.
        on_error: what becomes, of several pictures, of one that can't be used: "keep" gives `Faces` without rows whose
            ``error`` says why, "skip" leaves it out, "raise" raises and ends there. A single picture always raises.
        **options: the other options of `Pipeline.for_pictures`.

    Returns:
        Of one picture its `Faces`, best score first; they know their picture (``faces.image``) and its name
        (``faces.source``). Of several an iterator of `Faces` in their order, which works as it is asked, and holds no
        more than one picture at a time: those of files and bytes are read again when ``faces.image`` is asked for.

    Raises:
        FileNotFoundError: there is no such file, and the glob matches nothing.
        ImageError: the picture is broken, empty, too large or none.
        ValueError: an address, an array of another dtype or shape, or an option out of its range.
        TypeError: something else than a picture.
    """
    if on_error not in get_args(OnError):
        raise ValueError(f"on_error must be one of {', '.join(get_args(OnError))}, got {on_error!r}")
    # What is no picture is said before the models are loaded.
    several = _several(source)
    for name in options.keys() - AnalyzeOptions.__annotations__.keys():
        unknown = TypeError(f"analyze() got an unexpected keyword argument {name!r}")
        raise with_near_names(unknown, name, AnalyzeOptions.__annotations__)
    chosen: dict[str, Any] = {
        "model": _stamped(model),
        "flip": flip,
        "device": device,
        "runtime": runtime,
        "threads": threads,
        **options,
    }
    chosen |= {name: value for name, value in (("detector", detector), ("threshold", threshold)) if value is not None}
    pipeline = _pipeline(chosen)
    if several is None:
        return _one(source, pipeline, bgr, keep=True)
    return _each(several, pipeline, bgr, on_error)


def _several(source: Any) -> Iterable[Any] | None:
    """The pictures of a source that stands for several, or ``None``. Raises TypeError for what is no picture."""
    if isinstance(source, str | os.PathLike):
        return _files(os.fspath(source))
    if isinstance(source, np.ndarray):
        return source if source.ndim == 4 else None
    if isinstance(source, bytes | bytearray | memoryview) or hasattr(source, "read") or _is_pillow(source):
        return None
    if isinstance(source, Iterable) and not isinstance(source, dict) and not hasattr(source, "__array__"):
        return source
    hint = ": pass numpy.asarray(source)" if hasattr(source, "__array__") else ""
    if source is None:
        hint = ": cv2.imread gives None for a file that is not there or no picture; pass its path instead"
    raise TypeError(
        f"source must be a path, bytes, a picture of Pillow's, a uint8 array, or several of them, "
        f"got {type(source).__name__}{hint}"
    )


def _files(path: str) -> Iterable[Any] | None:
    """The files of a folder or a glob, and errors of folders that can't be opened; ``None`` for a single file."""
    if not isinstance(path, str):
        raise TypeError("source must be a path as text: pass os.fsdecode(path)")
    if not path:
        raise ValueError("source must be a path, got an empty text")
    if re.match(r"[a-z][a-z0-9+.-]+://|data:", path, re.IGNORECASE):
        raise ValueError(
            f"{path[:80]} is an address, and nothing is fetched: download the picture, and pass its path or its bytes"
        )
    if os.path.isdir(path):
        found = list(_below(path))
        if not found:
            raise FileNotFoundError(f"no pictures in {path}")
        return found
    if os.path.lexists(path) or not glob.has_magic(path):
        return None
    matches = [match for match in sorted(glob.glob(path, recursive=True)) if os.path.isfile(match)]
    pictures = [Path(match) for match in matches if has_picture_suffix(Path(match))]
    if not pictures:
        raise FileNotFoundError(f"{path} matches no picture")
    return pictures


def _below(top: str) -> Iterator[Path | OSError]:
    errors: list[OSError] = []
    paths = [Path(folder) / name for folder, _, names in os.walk(top, onerror=errors.append) for name in names]
    yield from filter(is_picture_file, sorted(paths))
    yield from errors


def _each(sources: Iterable[Any], pipeline: Pipeline, bgr: bool, on_error: OnError) -> Iterator[Faces]:
    for source in sources:
        try:
            if isinstance(source, OSError):
                raise source
            several = _several(source)
            faces = _one(source, pipeline, bgr, keep=False) if several is None else None
        except _PICTURE_ERRORS as error:
            if on_error == "raise":
                raise
            if on_error == "skip":
                continue
            # They would hold the pixels of every picture that fails.
            error.__traceback__ = error.__context__ = None
            several, faces = None, Faces(np.empty((0, 4), np.float32), source=_name(source), error=error)
        if faces is not None:
            yield faces
        elif several is not None:
            yield from _each(several, pipeline, bgr, on_error)


def _one(source: Any, pipeline: Pipeline, bgr: bool, keep: bool) -> Faces:
    """The faces of one picture. Unless it is to be kept, what can be read again holds no pixels."""
    frame, again = _read(source, bgr)
    faces = pipeline(frame)
    return faces.with_columns(picture=frame if keep or again is None else again, source=_name(source))


def _read(source: Any, bgr: bool) -> tuple[Frame, Callable[[], Frame] | None]:
    """A picture's pixels, and what reads them again."""
    again: Callable[[], Frame]
    if isinstance(source, str | os.PathLike):
        if (mimetypes.guess_type(os.fspath(source))[0] or "").startswith("video/"):
            raise ImageError(f"{source}: is a video: Pipeline.for_video().run(open_source(path)) goes through it")
        again = partial(read_image, Path(source))
        return again(), again
    if not isinstance(source, np.ndarray) and hasattr(source, "read"):
        content = source.read()
        if not isinstance(content, bytes):
            raise TypeError(f"source must be open for reading bytes, and gave {type(content).__name__}")
        if not content:
            name = _name(source) or "picture"
            raise ImageError(f"{name}: nothing is left to read: the file is empty, or was read before: seek(0)")
        again = partial(decode_image, content, _name(source) or "picture")
        return again(), again
    if isinstance(source, bytes | bytearray | memoryview) or (isinstance(source, np.ndarray) and source.ndim == 1):
        again = partial(decode_image, source)
        return again(), again
    if _is_pillow(source):
        return _from_pillow(source), None
    return _from_pixels(source, bgr), None


def _from_pixels(pixels: npt.NDArray[np.uint8], bgr: bool) -> Frame:
    if pixels.dtype == np.uint8 and pixels.size:
        if pixels.ndim == 3 and pixels.shape[2] == 1:
            pixels = pixels[..., 0]
        if pixels.ndim == 2:
            return np.asarray(cv2.cvtColor(np.ascontiguousarray(pixels), cv2.COLOR_GRAY2RGB), np.uint8)
        if pixels.ndim == 3 and pixels.shape[2] == 4:
            plain = np.ascontiguousarray(pixels)
            return on_white(plain if bgr else cv2.cvtColor(plain, cv2.COLOR_RGBA2BGRA))
    return as_frame(pixels, bgr)


def _is_pillow(source: Any) -> bool:
    pillow = sys.modules.get("PIL.Image")
    return pillow is not None and isinstance(source, pillow.Image)


def _from_pillow(picture: Any) -> Frame:
    """A picture of Pillow's, of any mode, turned upright."""
    from PIL import ImageOps

    picture = ImageOps.exif_transpose(picture)
    if picture.mode.startswith(("I", "F")):
        # Pillow cuts such pixels off at 255; a TIFF goes the way of a file.
        buffer = io.BytesIO()
        picture.save(buffer, "TIFF")
        return decode_image(buffer.getvalue(), f"a picture of mode {picture.mode}")
    if picture.has_transparency_data:
        return on_white(np.asarray(picture.convert("RGBA"))[..., [2, 1, 0, 3]])
    return np.ascontiguousarray(np.asarray(picture.convert("RGB")))


def _name(source: Any) -> str | None:
    if isinstance(source, str | os.PathLike):
        return str(source)
    name = getattr(source, "filename", None) or getattr(source, "name", None)
    return name if isinstance(name, str) and name else None


# Models


def _stamped(model: str | os.PathLike[str] | None) -> tuple[str, float] | None:
    """A model's path and the time of its last change: a file that is replaced is loaded again."""
    if model is None:
        return None
    path = os.fspath(model)
    try:
        return os.path.abspath(path), os.stat(path).st_mtime_ns
    except OSError:
        # A name of ours, or a path that leads nowhere, which the predictor says.
        return path if path in model_names() else os.path.abspath(path), 0


_making = threading.Lock()


def _pipeline(options: dict[str, Any]) -> Pipeline:
    """The pipeline of these options, made once."""
    items = tuple(sorted(options.items()))
    try:
        hash(items)
    except TypeError:
        return _made.__wrapped__(items)
    with _making:
        return _made(items)


@lru_cache(maxsize=_KEPT_PIPELINES)
def _made(items: tuple[tuple[str, Any], ...]) -> Pipeline:
    options = dict(items)
    stamped = options.pop("model")
    return Pipeline.for_pictures(None if stamped is None else stamped[0], **options)
