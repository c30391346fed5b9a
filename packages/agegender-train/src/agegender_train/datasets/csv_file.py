"""Your own pictures, with their labels in a CSV file."""

from __future__ import annotations

import posixpath
import unicodedata
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from agegender_train.datasets._label_files import Pictures, Row, find_tables, read_table
from agegender_train.datasets.base import LABEL_UNCLEAR, Dataset, Rejection, Sample
from agegender_train.store.labels import parse_age_group

if TYPE_CHECKING:
    from agegender_train.datasets.archives import FileTree

_DELIMITERS = ",;\t|"
_GENDERS: dict[str, int | None] = {
    **dict.fromkeys(("m", "male", "man"), 1),
    **dict.fromkeys(("f", "female", "woman"), 0),
    **dict.fromkeys(("", "u", "unknown", "none", "nan", "null", "na", "n/a"), None),
}


class CsvFile(Dataset):
    """Pictures named in the column ``path``, relative to the CSV file's folder.

    ``age`` is a number or a group ("25-32", "60+"), or ``age_low`` and ``age_high`` are its ends. ``gender`` is m,
    male, man, f, female or woman in either case; 0 and 1 are rejected, since datasets differ in what they mean by them.
    ``subject``, ``group`` and ``split`` are taken as they are; other columns are ignored.
    """

    name = "csv"
    title = "Your own pictures"
    licence = "yours"
    url = "https://www.rfc-editor.org/rfc/rfc4180"
    layout = (
        "one CSV file (comma, semicolon or tab; UTF-8) with the columns path, age (or age_low and age_high), gender, "
        "subject, group, split: path and an age or a gender are needed; pictures under the paths in it"
    )

    def samples(self, files: FileTree) -> Iterator[Sample | Rejection]:
        """The rows in their order, then pictures without a label; see `Dataset.samples`."""
        tables = find_tables(files, ("path",), _DELIMITERS)
        if len(tables) > 1:
            raise ValueError(f"there must be one CSV file with the column path, got {', '.join(tables)}")
        ((table, delimiter),) = tables.items()
        paths = _Paths(files, posixpath.dirname(table))
        for row in read_table(files, table, ("path",), delimiter):
            if not row.fields.keys() & {"age", "gender"} and not row.fields.keys() >= {"age_low", "age_high"}:
                raise ValueError(f"{table} must have a column age, gender, or age_low and age_high")
            yield _entry(row, table, paths)
        yield from paths.pictures.left_over()


class _Paths:
    """The files that the paths of a table in `folder` mean."""

    def __init__(self, files: FileTree, folder: str) -> None:
        self._files, self._folder = files, folder
        self.pictures = Pictures(files, parts=None, any_suffix=False)

    @cached_property
    def _composed(self) -> Mapping[str, str]:
        return {unicodedata.normalize("NFC", name): name for name in self._files.names}

    def find(self, path: str) -> str:
        """The name in the `FileTree`, or what it would be."""
        name = posixpath.normpath(posixpath.join(self._folder, path.replace("\\", "/")))
        if name not in self._files:
            name = self._composed.get(unicodedata.normalize("NFC", name), name)  # macOS takes é apart, others don't
        return name


class _Label(NamedTuple):
    low: float | None
    high: float | None
    gender: int | None


def _entry(row: Row, table: str, paths: _Paths) -> Sample | Rejection:
    path = row.fields["path"]
    if row.problem or not path:
        return Rejection(paths.pictures.key(f"{table}:{row.line}"), LABEL_UNCLEAR, row.problem or "no path")
    name = paths.find(path)
    paths.pictures.find(name)
    key = paths.pictures.key(name)
    try:
        label = _label(row.fields)
    except ValueError as error:
        return Rejection(key, LABEL_UNCLEAR, str(error))
    subject, group, split = (row.fields.get(column) or None for column in ("subject", "group", "split"))
    return Sample(key, *label, group, subject, split, picture=None if key == name else name)


def _label(fields: Mapping[str, str]) -> _Label:
    gender = fields.get("gender", "").lower()
    if gender not in _GENDERS:
        raise ValueError(f"gender must be m, male, man, f, female or woman, got {gender!r}")
    single = parse_age_group(fields.get("age", ""))
    low, high = (parse_age_group(fields.get(column, "")) for column in ("age_low", "age_high"))
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
