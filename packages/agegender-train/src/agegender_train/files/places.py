"""Where a command may write: not where its sources are."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path


def keep_apart(out: Path, sources: Sequence[Path], folders: Collection[tuple[int, int]] = ()) -> None:
    """Checks that neither of the folder to write to and the sources lies in the other, links followed.

    Args:
        out: the folder to write to, which need not be there.
        sources: what was given.
        folders: the folders that are read, by device and inode: a link in a source may lead to `out`.

    Raises:
        ValueError: one lies in the other.
    """
    target = out.resolve()
    above_out = set(_identities(target))
    for source in sources:
        where = source.resolve()
        if (
            target == where
            or target.is_relative_to(where)
            or (source.is_dir() and next(_identities(where)) in above_out)
        ):
            raise ValueError(f"{out} lies in the source {source}, or is it: write to a folder elsewhere")
        inside = target.exists() and next(_identities(target)) in _identities(where)
        if inside or Path(os.path.abspath(source)).is_relative_to(os.path.abspath(out)):
            raise ValueError(f"the source {source} lies in {out}: write to a folder elsewhere")
    if not above_out.isdisjoint(folders):
        raise ValueError(f"a link in {', '.join(map(str, sources))} leads to {out}: write to a folder elsewhere")


def _identities(path: Path) -> Iterator[tuple[int, int]]:
    """Device and inode of a path and of the folders above it, as far as they exist."""
    for place in (path, *path.parents):
        try:
            about = place.stat()
        except OSError:
            continue
        yield about.st_dev, about.st_ino
