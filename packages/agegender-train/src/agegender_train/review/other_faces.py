"""The faces of a store's pictures, found anew in its source: for a label whose face is another one, or badly cut."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from agegender_core import Aligner, decode_image
from agegender_core.detect import DEFAULT_DETECTOR, make_detector
from agegender_core.faces import Faces, Frame, Stage
from agegender_train.datasets import open_source
from agegender_train.datasets.archives import FileTree
from agegender_train.datasets.base import picture_of
from agegender_train.duplicates.phash import perceptual_hash
from agegender_train.store import Decision, Store
from agegender_train.store.faces import face_columns, write_face

Box = tuple[int, int, int, int]

_LONGEST = 1600
_KEPT = 2


@dataclass(frozen=True)
class Picture:
    """A picture of the source and the faces in it.

    Attributes:
        frame: the picture.
        faces: what the detector found, the largest first.
        boxes: of the same faces, in whole pixels: left, top, right, bottom.
    """

    frame: Frame
    faces: Faces
    boxes: list[Box]


class OtherFaces:
    """Finds the faces of a store's pictures, and cuts them out as the store's own are. Safe to use from many threads.

    Args:
        store: the store.
        files: what it was made of.
        detector: a stage that finds faces.
        aligner: makes chips as the store's.
        name: what the detector is called.
    """

    def __init__(self, store: Store, files: FileTree, detector: Stage, aligner: Stage, name: str) -> None:
        self._store, self._files, self._detector, self._aligner = store, files, detector, aligner
        self.detector = name
        self._pictures: OrderedDict[str, Picture] = OrderedDict()
        self._lock = threading.Lock()

    @classmethod
    def of(
        cls,
        store: Store,
        source: Sequence[str | os.PathLike[str]],
        detector: str = DEFAULT_DETECTOR,
        landmarks: str | os.PathLike[str] | None = None,
    ) -> OtherFaces:
        """With a detector by name.

        Args:
            store: the store.
            source: folders or archives: all that it was made of.
            detector: see `agegender_core.detect.make_detector`.
            landmarks: the landmark model that the store was made with, if that isn't the built-in one.

        Raises:
            ValueError: the store was made of other files or with another landmark model.
            OSError: the source or the landmark model can't be read.
        """
        files = open_source(store.name, *source)
        if files.signature() != store.description.get("source", {}).get("sha256"):
            raise ValueError(f"{files} isn't what {store.path} was made of, or has changed since")
        aligner = Aligner(store.chip_size, store.chip_padding, landmarks)
        if aligner.landmarks_sha256 != store.description.get("landmarks_sha256"):
            raise ValueError(
                f"{store.path} was made with another landmark model than {aligner.landmarks_path}: "
                "give the same with --landmarks"
            )
        return cls(store, files, make_detector(detector), aligner, detector)

    def picture(self, key: str) -> Picture:
        """The picture of a key and all faces in it.

        Raises:
            OSError: it can't be read.
            ValueError: it can't be decoded.
        """
        with self._lock:  # one at a time: a picture may take hundreds of megabytes
            if key not in self._pictures:
                self._pictures[key] = self._find(key)
                if len(self._pictures) > _KEPT:
                    self._pictures.popitem(last=False)
            return self._pictures[key]

    def jpeg(self, key: str) -> bytes:
        """The picture of a key to look at: a JPEG, 1,600 pixels wide or high at most.

        Raises:
            OSError: it can't be read.
            ValueError: it can't be decoded.
        """
        frame: npt.NDArray[Any] = self.picture(key).frame
        scale = _LONGEST / max(frame.shape[:2])
        if scale < 1:
            size = tuple(max(1, round(side * scale)) for side in frame.shape[1::-1])
            frame = cv2.resize(frame, size, interpolation=cv2.INTER_AREA)
        return bytes(cv2.imencode(".jpg", cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))[1])

    def keep(self, decision: Decision) -> None:
        """Cuts out the face that a decision gives, and keeps it beside the store, where `Store.open` finds it.

        Raises:
            ValueError: the decision's box is none of the faces that were found.
            OSError: the picture can't be read, or the face can't be written.
        """
        picture = self.picture(decision.key)
        if decision.box not in picture.boxes:
            raise ValueError(f"there is no face at {decision.box} in {decision.key}")
        row = picture.boxes.index(decision.box)
        faces = self._aligner(picture.frame, picture.faces[row : row + 1])
        assert faces.chips is not None
        columns = face_columns(faces, 0, decision.key, "review", perceptual_hash(faces.chips[0]))
        write_face(self._store.path, decision, self._store.chip_size, self._store.chip_padding, columns)

    def _find(self, key: str) -> Picture:
        name = picture_of(key, self._files)
        if name is None:
            raise FileNotFoundError(f"{key} is not in {self._files}")
        frame = decode_image(self._files.read(name), name)
        faces = self._detector(frame, Faces.empty())
        sides = faces.xyxy[:, 2:] - faces.xyxy[:, :2]
        faces = faces[np.argsort(-sides.prod(axis=1), kind="stable")]
        boxes: list[Box] = [tuple(map(int, box)) for box in np.rint(faces.xyxy)]  # type: ignore[misc]
        return Picture(frame, faces, boxes)
