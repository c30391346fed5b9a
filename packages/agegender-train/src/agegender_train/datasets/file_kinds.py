"""What a file may be, to judge by its name alone."""

from __future__ import annotations

from pathlib import PurePosixPath

PICTURE_SUFFIXES = frozenset((
    ".jpg", ".jpeg", ".jpe", ".jfif", ".jif", ".jfi", ".mpo", ".png", ".apng", ".webp", ".bmp", ".dib", ".tif",
    ".tiff", ".gif", ".avif", ".heic", ".heif", ".hif", ".jp2", ".j2k", ".jpf", ".jpx", ".jxl", ".pbm", ".pgm",
    ".ppm", ".pnm", ".pam", ".pfm", ".ras", ".sr", ".hdr", ".exr", ".tga", ".ico", ".pcx", ".sgi",
))  # fmt: skip
"""Of every format that a camera, a phone, OpenCV or Pillow writes. A picture that can't be decoded here is a row with
its reason, not one that nobody has seen."""

_NO_ARCHIVES = frozenset((
    ".csv", ".tsv", ".txt", ".mat", ".json", ".jsonl", ".xml", ".pts", ".md", ".html", ".pdf", ".py", ".m",
    ".docx", ".xlsx", ".pptx", ".odt", ".ods", ".parquet", ".npy",
))  # fmt: skip


def is_picture(name: str) -> bool:
    """Whether a file's suffix is that of a picture."""
    return PurePosixPath(name).suffix.lower() in PICTURE_SUFFIXES


def may_be_archive(name: str) -> bool:
    """Whether it is worth to look into a file for an archive; what has the suffix of something else is none."""
    return not is_picture(name) and PurePosixPath(name).suffix.lower() not in _NO_ARCHIVES
