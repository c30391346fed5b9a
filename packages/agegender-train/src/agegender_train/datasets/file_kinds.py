"""What a file may be, to judge by its name alone."""

from __future__ import annotations

from pathlib import PurePosixPath

from agegender_core.images import has_picture_suffix

_NO_ARCHIVES = frozenset((
    ".csv", ".tsv", ".txt", ".mat", ".json", ".jsonl", ".xml", ".pts", ".md", ".html", ".pdf", ".py", ".m",
    ".docx", ".xlsx", ".pptx", ".odt", ".ods", ".parquet", ".npy",
))  # fmt: skip


def is_picture(name: str) -> bool:
    """Whether a file's suffix is that of a picture."""
    return has_picture_suffix(PurePosixPath(name))


def may_be_archive(name: str) -> bool:
    """Whether it is worth to look into a file for an archive; what has the suffix of something else is none."""
    return not is_picture(name) and PurePosixPath(name).suffix.lower() not in _NO_ARCHIVES
