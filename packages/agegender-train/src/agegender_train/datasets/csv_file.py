"""Your own pictures, with their labels in a CSV file."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from agegender_train.datasets._ages import Ages
from agegender_train.datasets._label_files import Pictures, Row, Table, find_tables
from agegender_train.datasets._paths import PathUnclearError, WrittenPaths, find_on_disk
from agegender_train.datasets.archives import FileTree
from agegender_train.datasets.base import LABEL_UNCLEAR, PATH_UNCLEAR, Dataset, Rejection, Sample

_GENDERS: dict[str, int | None] = {
    **dict.fromkeys(("m", "male", "man"), 1),
    **dict.fromkeys(("f", "female", "woman"), 0),
    **dict.fromkeys(("", "u", "unknown", "none", "nan", "null", "na", "n/a"), None),
}
_COLUMNS = ("path", "age", "age_low", "age_high", "gender", "subject", "group", "split")
_LOOK_ALIKES = {
    "path": "file filename file_name filepath file_path image img picture photo url",
    "age": "ages years alter edad edat eta idade leeftijd",
    "gender": "sex genders geschlecht sexe sexo genre genero genere geslacht",
    "subject": "person identity subject_id person_id name id",
    "group": "race ethnicity ancestry",
    "split": "set fold partition subset",
}


class CsvFile(Dataset):
    """Pictures named in the column ``path``, relative to the CSV file's folder or to a folder that is given with it.

    ``age`` is a number or a group ("25-32", "60+"), or ``age_low`` and ``age_high`` are its ends. ``gender`` is m,
    male, man, f, female or woman in either case; 0 and 1 are rejected, since datasets differ in what they mean by them.
    ``subject``, ``group`` and ``split`` are taken as they are; other columns are not used, and the reader says so.
    """

    name = "csv"
    title = "Your own pictures"
    licence = "yours"
    url = "https://www.rfc-editor.org/rfc/rfc4180"
    layout = (
        "one CSV file (comma, semicolon or tab; UTF-8) with the columns path, age (or age_low and age_high), gender, "
        "subject, group, split: path and an age or a gender are needed; pictures under the paths in it"
    )

    def open(self, *paths: str | os.PathLike[str]) -> FileTree:
        """The files under `paths`; of a CSV file that is given alone, the pictures that it names."""
        files = FileTree.open(*paths)
        loose = {path.name: path for path in map(Path, paths) if path.is_file() and path.name in files}
        if len(loose) != len(paths):
            return files
        try:
            names = find_tables(files, ("path",))
        except (ValueError, OSError):
            return files  # `samples` says what is wrong
        if len(names) != 1:
            return files
        table = Path(os.path.abspath(loose[names[0]]))
        try:
            written = [row.fields["path"] for row in Table(files, names[0], ("path",))]
        except ValueError:
            return files
        found = [table, *(Path(os.path.abspath(path)) for path in loose.values()), *find_on_disk(written, table.parent)]
        root = os.path.commonpath([path.parent for path in found if path.anchor == table.anchor])
        named = {
            os.path.relpath(path, root).replace(os.sep, "/"): path for path in found if path.anchor == table.anchor
        }
        return FileTree.of_files(paths, named)

    def samples(self, files: FileTree) -> Iterator[Sample | Rejection]:
        """The rows in their order, then pictures without a label; see `Dataset.samples`."""
        tables = find_tables(files, ("path",))
        if len(tables) > 1:
            raise ValueError(f"there must be one CSV file with the column path, got {', '.join(tables)}")
        table = Table(files, tables[0], ("path",))
        _check_columns(files, table)
        ages = Ages(files, table)
        pictures = Pictures(files, parts=None, any_suffix=False)
        paths = WrittenPaths(files, table.name, [row.fields["path"] for row in table])
        for row in table:
            yield _entry(row, table.name, paths, pictures, ages)
        yield from pictures.left_over()


def _check_columns(files: FileTree, table: Table) -> None:
    """Notes the columns that aren't used.

    Raises:
        ValueError: there is nothing to learn in the others.
    """
    columns = {title.lower() for title in table.titles}
    unused = [title for title in table.titles if title and title.lower() not in _COLUMNS]
    similar = [
        f"rename {title} to {ours} if that is what it is"
        for title in unused
        if (ours := _looks_like(title)) is not None and ours not in columns
    ]
    if not columns & {"age", "gender"} and not columns >= {"age_low", "age_high"}:
        there = f"it has {', '.join(title for title in table.titles if title)}"
        raise ValueError(
            "; ".join([f"{table.name} must have a column age, gender, or age_low and age_high", there, *similar])
        )
    if unused:
        plural = "columns" if len(unused) > 1 else "column"
        files.note("; ".join([f"{table.name}: not used: the {plural} {', '.join(unused)}", *similar]), 0)


def _looks_like(title: str) -> str | None:
    """Which of our columns another one may be: by its words, as in Gender (m/f)."""
    words = [word for word in re.split(r"[\W_]+", title.lower()) if word]
    for ours, others in _LOOK_ALIKES.items():
        if title.lower() in others.split() or set(words) & {ours, *others.split()}:
            return ours
    return None


class _Label(NamedTuple):
    low: float | None
    high: float | None
    gender: int | None


def _entry(row: Row, table: str, paths: WrittenPaths, pictures: Pictures, ages: Ages) -> Sample | Rejection:
    path = row.fields["path"]
    if row.problem or not path:
        return Rejection(pictures.key(f"{table}:{row.line}"), LABEL_UNCLEAR, row.problem or "no path")
    try:
        name = paths.find(path)
    except PathUnclearError as error:
        return Rejection(pictures.key(paths.plain(path)), PATH_UNCLEAR, str(error))
    pictures.find(name)
    key = pictures.key(name)
    try:
        label = _label(row.fields, ages)
    except ValueError as error:
        return Rejection(key, LABEL_UNCLEAR, str(error))
    subject, group, split = (row.fields.get(column) or None for column in ("subject", "group", "split"))
    return Sample(key, *label, group, subject, split, picture=None if key == name else name)


def _label(fields: Mapping[str, str], ages: Ages) -> _Label:
    gender = fields.get("gender", "").lower()
    if gender not in _GENDERS:
        raise ValueError(f"gender must be m, male, man, f, female or woman, got {gender!r}")
    single, low, high = (ages.read(fields.get(column, "")) for column in ("age", "age_low", "age_high"))
    if (low is None) != (high is None):
        raise ValueError("age_low and age_high must both be given or none")
    if low is None or high is None:
        youngest, oldest = single or (None, None)
        return _Label(youngest, oldest, _GENDERS[gender])
    if low[0] != low[1] or high[0] != high[1] or low[0] > high[0]:
        raise ValueError(
            f"age_low must be a number and not above age_high, got {fields['age_low']} and {fields['age_high']}"
        )
    if single is not None and not low[0] <= single[0] <= single[1] <= high[0]:
        raise ValueError(f"age must lie within age_low and age_high, got {fields['age']}")
    return _Label(low[0], high[0], _GENDERS[gender])
