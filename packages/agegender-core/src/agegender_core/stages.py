"""What a stage declares that keeps state over a video, or that works on several frames at once."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from .faces import Faces, Frame


class VideoStage(ABC):
    """A stage that keeps the state of one video: a tracker, a smoother.

    It gets the frames in order and from one thread; when each was taken is in `faces.time`. A `Pipeline` calls `reset`
    before the first frame of a video, and gives each of several videos a copy of its own (`copy.deepcopy`).

    On a frame that the detector skips, a pipeline begins with the stage that `follows`, and calls `coast` of it and of
    every `VideoStage` after it in place of the stage itself.

    Attributes:
        follows: its `coast` says where the faces are by now: a tracker.
        smooths: it replaces ages and genders: `FrameResult.raw` has them as they were before the last such stage.
        shot: how often the video has cut to another picture so far, for a stage that notices.
    """

    follows: ClassVar[bool] = False
    smooths: ClassVar[bool] = False
    shot: int = 0

    @abstractmethod
    def __call__(self, frame: Frame, faces: Faces) -> Faces:
        """One frame on which the stages before this one ran."""

    @abstractmethod
    def reset(self) -> None:
        """Forget everything, for a new video."""

    def needs_detection(self, frame: Frame) -> bool:
        """Asked on a frame that the detector is to skip: whether it must look after all, as where a video cuts to
        another picture; by default never.
        """
        return False

    def coast(self, frame: Frame, faces: Faces) -> Faces:
        """One frame that the detector skipped; by default the same as any other.

        Args:
            frame: as ever.
            faces: for the stage that `follows` none, with the time and number of the frame; for the others what the
                stage before gave.
        """
        return self(frame, faces)


class BatchStage(ABC):
    """A stage that is faster on the faces of several frames at once: a network."""

    @abstractmethod
    def __call__(self, frame: Frame, faces: Faces) -> Faces:
        """One frame."""

    @abstractmethod
    def batch(self, frames: Sequence[Frame], faces: Sequence[Faces]) -> list[Faces]:
        """Several frames, of as many videos: to each its faces, as the stage itself gives them."""


def to_look_at(faces: Faces) -> Faces:
    """The faces that are to be looked at in this frame, as a record of their own: see `Faces.look`."""
    return faces if faces.look is None else faces[faces.look].with_columns(look=None)


def looked_at(faces: Faces, part: Faces, *names: str) -> Faces:
    """`faces` with the columns `names` that a stage has filled in `part`, which is of `to_look_at`: NaN, or zeros in
    whole numbers, in the other rows.
    """
    if faces.look is None:
        return part
    columns = {}
    for name in names:
        values = getattr(part, name)
        if values is not None:
            nothing = np.nan if np.issubdtype(values.dtype, np.floating) else 0
            columns[name] = np.full((len(faces), *values.shape[1:]), nothing, values.dtype)
            columns[name][faces.look] = values
    return faces.with_columns(**columns, chip_padding=part.chip_padding)
