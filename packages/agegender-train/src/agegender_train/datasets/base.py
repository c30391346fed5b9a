"""What a dataset's reader is, and the samples and rejections that it gives."""

from __future__ import annotations

import os
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import ClassVar, NamedTuple

from agegender_train.datasets.archives import FileTree
from agegender_train.datasets.file_kinds import is_picture

AGE_OUT_OF_RANGE = "age out of range"
AGE_MISSING = "age missing"
NO_GENDER = "no gender"
LABEL_UNCLEAR = "label not understood"
MISSING_PICTURE = "missing from the archive"
PATH_UNCLEAR = "path not clear"
MISSING_LABEL = "not in the label file"
NO_BOX = "no box of the face"
SECOND_COPY = "second picture for a label"
UNOPENED = "unreadable folder or archive"

_NUMBERED = re.compile(r"#\d+$")


@dataclass(frozen=True, slots=True)
class Sample:
    """One picture, and the dataset's label of one face in it.

    Attributes:
        key: the unique name of this label: that of the picture in its `FileTree` (or in the label file,
            when the picture isn't there), with ``#2`` and so on appended where one picture has several labels.
        age_low: youngest possible age in years, or ``None``.
        age_high: oldest possible age in years, equal to `age_low` when the age is known, or ``None``.
        gender: 1 male, 0 female, whatever the dataset itself writes; or ``None``.
        group: the dataset's own word for ancestry, or ``None``.
        subject: who it is, the same for all pictures of one person, or ``None``.
        split: the official split, or ``None``.
        known_box: where the face is, as parts of the picture's width and height in [0, 1]: left, top, right, bottom;
            or ``None`` when the dataset doesn't say.
        known_xyxy: the same in pixels of the picture, for datasets that give it so.
        picture: name of the picture in the `FileTree`, where it isn't `key`; see `file`. It may not be there: a label
            without its picture still is a sample.
    """

    key: str
    age_low: float | None = None
    age_high: float | None = None
    gender: int | None = None
    group: str | None = None
    subject: str | None = None
    split: str | None = None
    known_box: tuple[float, float, float, float] | None = None
    known_xyxy: tuple[float, float, float, float] | None = None
    picture: str | None = None

    @property
    def file(self) -> str:
        """Name of the picture in the `FileTree` that it is read from."""
        return self.key if self.picture is None else self.picture


def picture_of(key: str, files: FileTree) -> str | None:
    """The name in `files` of the picture of a sample's key; ``None`` if it isn't there."""
    return next((name for name in (key, _NUMBERED.sub("", key)) if name in files), None)


class Rejection(NamedTuple):
    """A picture (or a label without one) that doesn't go into the store.

    Attributes:
        key: name of the picture in its source; of a row without one, the name of the label file and the line.
        reason: one of few short phrases; the audit counts by them.
        value: the detail of this one: the text that wasn't understood, the key of the other copy, ...
    """

    key: str
    reason: str
    value: str = ""


class Dataset(ABC):
    """A reader: turns the files of a dataset, as its authors distribute them, into samples.

    A new dataset is one file in this folder with one subclass; its gender coding is turned there and nowhere else.
    """

    name: ClassVar[str]
    """What the user types."""
    title: ClassVar[str]
    """Full name, authors and year."""
    licence: ClassVar[str]
    """What it may be used for, in a few words."""
    url: ClassVar[str]
    """Where to get it."""
    layout: ClassVar[str]
    """What files the reader expects, in a sentence."""
    age_groups: ClassVar[Sequence[tuple[float, float]]] = ()
    """The age groups that its labels have, if they are known: youngest and oldest age in years."""

    def open(self, *paths: str | os.PathLike[str]) -> FileTree:
        """The files that a user means by these paths.

        Raises:
            OSError: as `FileTree.open`.
        """
        return FileTree.open(*paths)

    @abstractmethod
    def samples(self, files: FileTree) -> Iterable[Sample | Rejection]:
        """Every picture and every label in `files` once, as a sample or a rejection, in an order that depends on
        names and labels alone.

        Raises:
            ValueError: nothing in `files` looks like this dataset, or its label file is damaged; some readers notice
                it during the iteration.
            OSError: a label file can't be read.
        """

    def entries(self, files: FileTree) -> Iterator[Sample | Rejection]:
        """What `samples` gives, then a rejection for each folder and archive that can't be read.

        Raises:
            ValueError: as `samples`.
            OSError: as `samples`.
        """
        unopened = {name: Rejection(name, UNOPENED, reason) for name, reason in files.unopened}
        try:
            for entry in self.samples(files):
                unopened.pop(entry.key, None)
                yield entry
        except ValueError as error:
            raise ValueError("; ".join([str(error), *(reason for _, reason in files.unopened[:1])])) from error
        yield from unopened.values()


class NamedPictures(Dataset):
    """A dataset of pictures, in any folders, whose file names are their labels."""

    example: ClassVar[str]
    """How a picture is named."""

    pattern: ClassVar[re.Pattern[str]]
    """Of a name without its suffix: the groups age, subject and, where the name has it, gender."""
    genders: ClassVar[Mapping[str, int]] = {}
    """The dataset's coding, in lower case: 1 male, 0 female."""

    def read_name(self, key: str) -> Sample | None:
        """The label of the picture `key`, or ``None`` where its name isn't understood."""
        match = self.pattern.fullmatch(PurePosixPath(key).stem)
        if match is None:
            return None
        found = match.groupdict()
        age, gender = int(found["age"]), found.get("gender", "").lower()
        return Sample(key, age, age, self.genders.get(gender), subject=found["subject"])

    def is_one(self, name: str) -> bool:
        """Whether a file is one of the dataset's pictures, to judge by its name without the folder."""
        return is_picture(name)

    def samples(self, files: FileTree) -> Iterator[Sample | Rejection]:
        """Every picture in the order of the names; see `Dataset.samples`."""
        keys = [key for key in files.names if self.is_one(PurePosixPath(key).name)]
        if not any(self.read_name(key) for key in keys):
            raise ValueError(f"no picture is named like {self.example} in {files}")
        return (self.read_name(key) or Rejection(key, LABEL_UNCLEAR, PurePosixPath(key).name) for key in keys)


def one_of(files: FileTree, names: Sequence[str]) -> str:
    """The first of label files that should be copies of one another.

    Raises:
        ValueError: they aren't.
        OSError: one of them can't be read.
    """
    contents = {files.read(name) for name in names} if len(names) > 1 else set()
    if len(contents) > 1:
        raise ValueError(f"{' and '.join(names)} differ: give a source with one of them")
    return names[0]
