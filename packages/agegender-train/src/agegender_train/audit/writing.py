"""An audit on disk: the page, the plots and the contact sheets."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from pathlib import Path

from agegender_train.audit.overlaps import Overlaps, find_overlaps
from agegender_train.audit.page import make_page
from agegender_train.audit.plots import PLOTS, plot_all
from agegender_train.audit.sheets import accepted_sheet, copy_sheets, rejected_sheets
from agegender_train.audit.summary import LABELS_FILE, Summary
from agegender_train.datasets.archives import FileTree
from agegender_train.duplicates.copies import NEAR
from agegender_train.files import write_atomically
from agegender_train.pages.sheets import draw_sheet
from agegender_train.store import Store
from agegender_train.store.face_table import FaceTable

ACCEPTED = 96
REJECTED = 24
REASONS = 15
_ACCEPTED_IN_ALL, _REJECTED_IN_ALL = 240, 480  # pictures of some 3 kB: the page stays below 5 MB


def write_audit(store_path: Path, files: FileTree | None = None, *, near: int | None = NEAR) -> Path:
    """Writes ``audit.html`` into a store, and its plots and contact sheets into the store's folder ``audit``.

    The page needs no other file. The same store and files always give the same bytes.

    Args:
        store_path: the folder of a finished store.
        files: the dataset that it was made from, to show what was rejected; ``None`` if it isn't available.
        near: see `find_copies`.

    Returns:
        The page.

    Raises:
        OSError: the store can't be read or written.
        ValueError: it is no finished store, or damaged.
    """
    store = Store.open(store_path)
    overlaps = find_overlaps(FaceTable.read([store]), near)
    return write_page([Summary.of(store)], store_path, {0: files} if files is not None else {}, overlaps)


def write_page(
    summaries: Sequence[Summary], out: Path, files: Mapping[int, FileTree], overlaps: Overlaps | None = None
) -> Path:
    """Writes ``audit.html`` into the folder `out`, plots and contact sheets into ``audit`` in it.

    Args:
        summaries: what to show side by side.
        out: the folder; it is made.
        files: the available datasets, by the index of their summary.
        overlaps: what the stores among the summaries have in common, in the same order.

    Returns:
        The page.

    Raises:
        OSError: something can't be read or written.
        ValueError: there are no summaries, or other files would be replaced.
    """
    if not summaries:
        raise ValueError("summaries must hold at least one, got none")
    folder, page = out / "audit", out / "audit.html"
    _check_folder(out, page, folder)
    plots = plot_all(summaries)
    share = max(_ACCEPTED_IN_ALL // len(summaries), 12)
    accepted = [accepted_sheet(summary, min(ACCEPTED, share)) for summary in summaries]
    rejected = []
    for index, summary in enumerate(summaries):
        reasons = min(REASONS, max(len(summary.rejected), 1))
        most = max(min(REJECTED, _REJECTED_IN_ALL // (len(summaries) * reasons)), 2)
        rejected.append(rejected_sheets(summary, files.get(index), most, reasons))
    copies = [] if overlaps is None else copy_sheets(overlaps)
    pictures = dict(plots)
    for summary, kept, left in zip(summaries, accepted, rejected, strict=True):
        prefix = "" if len(summaries) == 1 else f"{_file_name(summary.name)}-"
        if kept.cells:
            pictures[f"{prefix}accepted.jpg"] = draw_sheet(kept, 12, 96)
        for sheet in (sheet for sheet in left if sheet.has_pictures):
            pictures[f"{prefix}rejected-{_file_name(sheet.title)}.jpg"] = draw_sheet(sheet, 8, 128)
    folder.mkdir(parents=True, exist_ok=True)
    _write_pictures(folder, pictures, is_again=page.exists())
    if overlaps is not None:
        write_atomically(folder / "copies.csv", overlaps.to_csv())
    write_atomically(page, make_page(summaries, plots, accepted, rejected, overlaps, copies))
    return page


def _check_folder(out: Path, page: Path, folder: Path) -> None:
    """Checks that only an earlier audit is replaced.

    Raises:
        ValueError: something else has one of its names.
    """
    if page.exists():
        with page.open("rb") as file:
            ours = b"<title>Audit of " in file.read(2000)
        if not ours:
            raise ValueError(f"{page} is another page: write to another folder")
    elif folder.exists() and not any((out / name).exists() for name in ("store.json", LABELS_FILE)):
        raise ValueError(f"{folder} is there, and no audit of ours: write to another folder")


def _write_pictures(folder: Path, pictures: Mapping[str, bytes], *, is_again: bool) -> None:
    """Writes the pictures and removes those of an earlier audit that no longer exist."""
    for name, content in pictures.items():
        write_atomically(folder / name, content)
    for pattern in (*PLOTS, "accepted.jpg", "*-accepted.jpg", "rejected-*.jpg", "*-rejected-*.jpg") if is_again else ():
        for old in folder.glob(pattern):
            if old.name not in pictures:
                old.unlink()


def _file_name(text: str) -> str:
    """A file name of a text: readable, and another one for another text."""
    plain = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:40]
    if plain == text.lower().replace(" ", "-"):
        return plain
    return f"{plain}-{blake2b(text.encode('utf-8', 'surrogatepass'), digest_size=4).hexdigest()}".lstrip("-")
