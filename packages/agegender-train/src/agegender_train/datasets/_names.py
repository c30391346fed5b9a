"""Datasets whose labels stand in the names of the pictures."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, ClassVar

from agegender_train.datasets.base import LABEL_UNCLEAR, Dataset, Rejection, Sample, is_picture

if TYPE_CHECKING:
    from agegender_train.datasets.archives import FileTree


class NamedPictures(Dataset):
    """A dataset of pictures, in any folders, whose file names are their labels."""

    example: ClassVar[str]
    """How a picture is named."""

    @abstractmethod
    def read_name(self, key: str) -> Sample | None:
        """The label of the picture `key`, or ``None`` where its name isn't understood."""

    def is_one(self, name: str) -> bool:
        """Whether a file is one of the dataset's pictures, to judge by its name without the folder."""
        return is_picture(name)

    def samples(self, files: FileTree) -> Iterator[Sample | Rejection]:
        """Every picture in the order of the names; see `Dataset.samples`."""
        keys = [key for key in files.names if self.is_one(PurePosixPath(key).name)]
        if not any(self.read_name(key) for key in keys):
            raise ValueError(f"no picture is named like {self.example} in {files}")
        return (self.read_name(key) or Rejection(key, LABEL_UNCLEAR, PurePosixPath(key).name) for key in keys)
