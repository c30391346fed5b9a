"""IMDB and WIKI: portraits of celebrities with their date of birth in a MATLAB file."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt

from agegender_train.datasets._label_files import Pictures
from agegender_train.datasets._matfile import Cell, Column, read_structs
from agegender_train.datasets.base import (
    AGE_OUT_OF_RANGE,
    LABEL_UNCLEAR,
    NO_GENDER,
    Dataset,
    Rejection,
    Sample,
    one_of,
)
from agegender_train.store.labels import MAX_AGE

if TYPE_CHECKING:
    from agegender_train.datasets.archives import FileTree

NO_FACE_SCORE = "no face score"
SECOND_FACE = "second face score"

_NUMBERS = ("dob", "photo_taken", "gender", "face_score", "second_face_score")
_CELLS = ("full_path", "name", "face_location")
_OPTIONAL = ("celeb_id",)
_UNIX_EPOCH = 719529  # MATLAB's number of 1970-01-01
_MOST_DAYS = 10_000_000  # some 27,000 years: past every real date, and within what 64 bits can count
# The crops hold the face's box and 40 % of its sides more on each side.
_CROP_BOX = (0.4 / 1.8, 0.4 / 1.8, 1.4 / 1.8, 1.4 / 1.8)


class _Row(NamedTuple):
    path: str
    age: float
    gender: float
    face_score: float
    second_face_score: float
    subject: str | None
    location: Cell


class _ImdbWiki(Dataset):
    """Age is the year in which the picture was taken minus the year of birth: a year too many before the birthday.

    Four rules drop what can't be trusted, in this order: an age below 0 or above 100 (wrong dates); no face score (no
    face was found; the box then is the whole picture); a second face score (it is unclear which of them is meant); no
    gender.
    """

    licence = "academic research only"
    url = "https://data.vision.ee.ethz.ch/cvl/rrothe/imdb-wiki/"
    people: ClassVar[str]
    """Which of the struct's fields identifies the person."""

    def samples(self, files: FileTree) -> Iterator[Sample | Rejection]:
        """The rows of the MATLAB file in their order, then pictures without a label; see `Dataset.samples`."""
        source = _find(files, self.name)
        rows = _rows(files.read(source), source, self.name, self.people)
        pictures = Pictures(files, parts=2)
        crops = f"{self.name}_crop"
        all_cropped = crops in str(files)
        for number, row in enumerate(rows, 1):
            picture = (pictures.find(row.path) if row.path else None) or row.path
            key = pictures.key(picture or f"{source}:{number}")
            yield _reject(key, row) or _sample(key, picture, row, all_cropped or crops in picture)
        yield from pictures.left_over()


class Imdb(_ImdbWiki):
    """460,723 pictures of 20,284 actors and others; the number of the celebrity is the subject."""

    name = "imdb"
    title = "IMDB-WIKI, the IMDB part (Rothe, Timofte and Van Gool, 2015)"
    layout = (
        "imdb.mat beside the folders 00/ to 99/ of imdb_crop.tar (faces) or of imdb_0.tar ... imdb_9.tar (whole "
        "pictures), loose or in archives; keep the name imdb_crop in the path: it distinguishes the two"
    )
    people = "celeb_id"


class Wiki(_ImdbWiki):
    """62,328 pictures, one a page of Wikipedia.

    The page's name is the subject. People of one name (748 names stand for 1,623 pages) so count as one person, which
    costs nothing when splitting; a picture whose name is empty has no subject.
    """

    name = "wiki"
    title = "IMDB-WIKI, the Wikipedia part (Rothe, Timofte and Van Gool, 2015)"
    layout = (
        "wiki.mat beside the folders 00/ to 99/ of wiki_crop.tar (faces) or of wiki.tar.gz (whole pictures), loose or "
        "in archives; keep the name wiki_crop in the path: it distinguishes the two"
    )
    people = "name"


def _find(files: FileTree, name: str) -> str:
    found = [file for file in files.names if PurePosixPath(file).name.lower() == f"{name}.mat"]
    found = found or [file for file in files.names if file.lower().endswith(".mat")]
    if not found:
        raise ValueError(f"no {name}.mat is in {files}")
    return one_of(files, found)


def _rows(data: bytes, source: str, variable: str, people: str) -> Iterator[_Row]:
    structs = read_structs(data, source, (*_NUMBERS, *_CELLS, *_OPTIONAL))
    if variable not in structs:
        held = ", ".join(structs) or "nothing"
        raise ValueError(f"{source} must hold the struct {variable}, it holds {held}")
    columns = structs[variable]
    missing = [name for name in (*_NUMBERS, *_CELLS, people) if name not in columns]
    if missing:
        raise ValueError(f"{source} lacks the field {missing[0]} of {variable}")
    numbers = {name: _numeric(columns[name], name, source) for name in _NUMBERS}
    cells = {name: _cells(columns[name], name, source) for name in _CELLS}
    subjects = cells["name"] if people == "name" else list(map(_whole, _numeric(columns[people], people, source)))
    lengths = {name: len(column) for name, column in (numbers | cells | {people: subjects}).items()}
    if len(set(lengths.values())) != 1:
        wrong = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise ValueError(f"{source} must have fields of one length, got {wrong}")
    ages = numbers["photo_taken"] - _birth_years(numbers["dob"])
    columns_of_rows = [numbers[name].tolist() for name in ("gender", "face_score", "second_face_score")]
    return map(
        _Row,
        (path if isinstance(path, str) else "" for path in cells["full_path"]),
        ages.tolist(),
        *columns_of_rows,
        ((who.strip() or None) if isinstance(who, str) else None for who in subjects),
        cells["face_location"],
    )


def _numeric(column: Column, name: str, source: str) -> npt.NDArray[np.float64]:
    if not isinstance(column, np.ndarray):
        raise ValueError(f"{source} must hold numbers in the field {name}")
    return column.astype(np.float64)


def _cells(column: Column, name: str, source: str) -> Sequence[Cell]:
    if isinstance(column, np.ndarray):
        raise ValueError(f"{source} must hold a cell in the field {name}")
    return column


def _whole(number: float) -> str | None:
    return f"{number:.0f}" if math.isfinite(number) else None


def _birth_years(day_numbers: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The year of each of MATLAB's day numbers (1 is 1 January of the year 0), NaN for what is no number."""
    days = np.clip(np.nan_to_num(np.floor(day_numbers)), -_MOST_DAYS, _MOST_DAYS).astype(np.int64)
    years = (days - _UNIX_EPOCH).astype("datetime64[D]").astype("datetime64[Y]").astype(np.int64) + 1970
    return np.where(np.isfinite(day_numbers), years, np.nan)


def _reject(key: str, row: _Row) -> Rejection | None:
    if not row.path:
        return Rejection(key, LABEL_UNCLEAR, "no full_path")
    if not 0 <= row.age <= MAX_AGE:  # NaN, too
        return Rejection(key, AGE_OUT_OF_RANGE, f"{row.age:g}")
    if not math.isfinite(row.face_score):
        return Rejection(key, NO_FACE_SCORE, f"{row.face_score:g}")
    if not math.isnan(row.second_face_score):
        return Rejection(key, SECOND_FACE, f"{row.second_face_score:g}")
    if math.isnan(row.gender):
        return Rejection(key, NO_GENDER)
    if row.gender not in (0, 1):
        return Rejection(key, LABEL_UNCLEAR, f"gender {row.gender:g}")
    return None


def _sample(key: str, picture: str, row: _Row, cropped: bool) -> Sample:
    return Sample(
        key,
        row.age,
        row.age,
        int(row.gender),  # 1 is male there, too
        subject=row.subject,
        known_box=_CROP_BOX if cropped else None,
        known_xyxy=None if cropped else _pixels(row.location),
        picture=None if key == picture else picture,
    )


def _pixels(location: Cell) -> tuple[float, float, float, float] | None:
    if not isinstance(location, np.ndarray) or location.shape != (4,) or not np.isfinite(location).all():
        return None
    left, top, right, bottom = map(float, location)
    # MATLAB counts pixels from 1 and both ends belong to the box: [1 1 W H] is the whole picture.
    return (left - 1, top - 1, right, bottom) if left < right and top < bottom else None
