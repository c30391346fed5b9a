"""Faces found by a small network instead of HOG."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from .faces import Faces, Frame
from .frames import as_frame, contiguous
from .pyramid import Level, Tile, best_of_overlapping, in_core, levels
from .resizing import resize_area
from .upright import Upright, roll
from .yunet_network import YUNET_PATH as YUNET_PATH
from .yunet_network import open_yunet

Floats = npt.NDArray[np.float32]

# The box that HOG would give, from YuNet's: a square whose side is so many times the geometric mean of the box's side
# and the distance from the eyes to the mouth, and whose centre lies so many sides from the middle between the box's
# centre and that of eyes and mouth. Medians over 2,262 faces that both detectors find in FairFace, UTKFace, FG-NET and
# some photos; HOG's own sides are steps of 20 %.
_SIDE = 1.458
_CENTRE = np.array([-0.012, -0.042])

# IoU of two boxes of which one stays, as OpenCV's FaceDetectorYN has it.
_OVERLAP = 0.3
# The side from which on the network finds faces, most of them; some of half that side, too. And of a default search.
_FACE = 16.0
# YuNet sees a face that leans less clearly, and takes it to lean less than it does. So faces that seem to lean, and
# those that are unsure, are looked at again in patches of so many pixels that stand as they may lean, in degrees.
_LEANS, _SURE = 10.0, 0.92
_PATCH, _TURNS = 160, (30.0, -30.0, 60.0, -60.0)
_LEAST_TURNED = 32.0
# Hair above a face, or the gap between two, now and then passes for a face. Of two squares that overlap by such an IoU
# the surer stays alone if the other has less than such a score and lies above or below it, so many sides across at most
# (of two people, one would hide the other's mouth); or if they overlap more, and the other's score is lower still. The
# boxes of the smallest faces are too coarse for the second. Chosen on 2,675 faces of clips, photos, FG-NET and
# FairFace, of which each pair was looked at.
_ABOVE_OVERLAP, _ABOVE_SCORE, _ACROSS = 0.1, 0.85, 0.35
_BESIDE_OVERLAP, _BESIDE_SCORE = 0.2, 0.75
# A search near faces looks at so many of their sides around each, in patches of so many pixels; what lies closer than
# so many to the edge of a patch may be part of the next one.
_AROUND, _NEAR, _SEAM = 2.4, 96, 8


class YuNetDetector:
    """YuNet as a stage: finds more faces than HOG does, also small, turned and half-hidden ones.

    Wu, Peng and Yu, "YuNet: A Tiny Millisecond-level Face Detector" (Machine Intelligence Research 20, 2023), run by
    our own C++, and models of somebody else's by ONNX Runtime; boxes, points and scores are those of OpenCV's
    ``FaceDetectorYN``. The boxes are turned into the squares that HOG would give, because the landmark model has learnt
    from those. One object may be used from many threads at once.

    Args:
        model: a YuNet model file with an input of any size, or ``face_detection_yunet_2023mar.onnx`` of OpenCV Zoo; by
            default the one that comes with the package.
        threshold: the least score of a face, between 0 and 1; lower finds more faces and more mistakes.
        min_face: side in pixels of the smallest faces to look for, 4 or more. Time grows with its inverse square. By
            default 16, and more in frames of over `max_pixels`, so that no more pixels than that are searched.
        max_pixels: see `min_face`; without effect where that is given.
        straighten: look a second time, upright, at faces of 32 pixels or more that lean or are unsure: finds faces that
            lean by up to some 45 degrees, and how far they lean.
        any_rotation: look at the frame turned by 90, 180 and 270 degrees, too: four times the time.
        threads: threads within one call. Results are equal for any number.

    Raises:
        ValueError: an option is out of its range, or the file is no YuNet model.
        OSError: the model file can't be read.
    """

    def __init__(
        self,
        model: str | os.PathLike[str] | None = None,
        threshold: float = 0.6,
        min_face: float | None = None,
        max_pixels: float = 4_000_000,
        straighten: bool = True,
        any_rotation: bool = False,
        threads: int = 1,
    ) -> None:
        if not 0 < threshold < 1:
            raise ValueError(f"threshold must lie between 0 and 1, got {threshold}")
        if min_face is not None and not 4 <= min_face <= 10_000:
            raise ValueError(f"min_face must be in 4..10000 pixels, got {min_face}")
        if threads < 1:
            raise ValueError(f"threads must be at least 1, got {threads}")
        if not max_pixels >= 4096:
            raise ValueError(f"max_pixels must be 4096 or more, got {max_pixels}")
        self.model_path = YUNET_PATH if model is None else Path(model)
        self._made_of = self.model_path.absolute(), threshold, min_face, max_pixels, straighten, any_rotation, threads
        self.threshold = threshold
        self.min_face = min_face
        self.max_pixels = max_pixels
        self.straighten = straighten
        # Of a face that leans before it is looked at upright.
        self._least = threshold / 2
        self.any_rotation = any_rotation
        if self.model_path.is_dir():
            raise IsADirectoryError(f"{self.model_path} is a folder, not a model file")
        if not self.model_path.exists():
            raise FileNotFoundError(f"no model file at {self.model_path}")
        self._network, self.model_sha256 = open_yunet(self.model_path, threads)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), self._made_of

    def __call__(self, frame: Frame, faces: Faces, *, bgr: bool = False) -> Faces:
        """Replace `faces` by those found in `frame` (uint8 RGB), best score first: columns xyxy, score and keypoints.

        `bgr`: see `Pipeline`.
        """
        frame = as_frame(frame, bgr)
        boxes, points, scores = self._search_all_ways(frame) if self.any_rotation else self._search(frame)
        return _faces(boxes, points, scores)

    def near(self, frame: Frame, expected: Floats) -> Faces:
        """The faces around expected ones alone, as `__call__` gives them: much less work than the whole frame, as long
        as there are not very many.

        What surrounds each expected face is resized so that the face has about 40 pixels, and all of these patches are
        searched as one picture.

        Args:
            frame: uint8 RGB (H, W, 3).
            expected: float32 (n, 4), boxes in which faces are expected, as those that `__call__` gives.
        """
        if len(expected) * _NEAR**2 > self.max_pixels:
            return self(frame, Faces.empty())
        centres, sides = (expected[:, :2] + expected[:, 2:]) / 2, (expected[:, 2:] - expected[:, :2]).max(axis=1)
        columns = max(1, math.ceil(math.sqrt(len(expected))))
        places = np.stack(np.divmod(np.arange(len(expected)), columns)[::-1], axis=1) * _NEAR
        patches = np.zeros((*(places.max(axis=0, initial=0) + _NEAR)[::-1], 3), np.uint8)
        corners, scales = np.zeros((len(expected), 2)), np.ones(len(expected))
        for row, (left, top) in enumerate(places):
            patch, corners[row], scales[row] = _surroundings(frame, centres[row], _AROUND * float(sides[row]), _NEAR)
            patches[top : top + patch.shape[0], left : left + patch.shape[1]] = patch
        boxes, points, scores = self._find(patches, self.threshold)
        middle = (boxes[:, :2] + boxes[:, 2:]) / 2
        across, down = (middle // _NEAR).astype(int).T
        rows = np.clip(down * columns + across, 0, len(expected) - 1)
        # A face between two patches is none.
        inside = (np.abs(middle - places[rows] - _NEAR / 2) < _NEAR / 2 - _SEAM).all(axis=1)
        boxes, points, scores, rows = boxes[inside], points[inside], scores[inside], rows[inside]
        scale, corner, place = scales[rows, None], corners[rows], places[rows]
        boxes = ((boxes - np.tile(place, 2)) / scale + np.tile(corner, 2)).astype(np.float32)
        points = ((points - place[:, None]) / scale[:, None] + corner[:, None]).astype(np.float32)
        # Patches overlap where faces are close.
        best = best_of_overlapping(boxes, scores, _OVERLAP)
        return _faces(boxes[best], points[best], scores[best])

    def _search_all_ways(self, frame: Frame) -> tuple[Floats, Floats, Floats]:
        found = [
            _turn_back(*self._search(contiguous(np.rot90(frame, quarters))), frame, quarters) for quarters in range(4)
        ]
        boxes, points, scores = _concatenated(found)
        rows = best_of_overlapping(boxes, scores, _OVERLAP)
        return boxes[rows], points[rows], scores[rows]

    def smallest_face(self, width: int, height: int) -> float:
        """Side in pixels of the smallest faces that are looked for in a frame of that size."""
        if self.min_face is not None:
            return self.min_face
        return _FACE * max(1.0, math.sqrt(width * height / self.max_pixels))

    def _search(self, frame: Frame) -> tuple[Floats, Floats, Floats]:
        height, width = frame.shape[:2]
        scale = _FACE / self.smallest_face(width, height)
        least = self._least if self.straighten else self.threshold
        boxes, points, scores = _concatenated(
            [self._search_level(frame, level, least) for level in levels(width, height, scale)]
        )
        rows = best_of_overlapping(boxes, scores, _OVERLAP)
        boxes, points, scores = boxes[rows], points[rows], scores[rows]
        return self._straightened(frame, boxes, points, scores) if self.straighten else (boxes, points, scores)

    def _search_level(self, frame: Frame, level: Level, threshold: float) -> tuple[Floats, Floats, Floats]:
        resized = frame
        if level.size != (frame.shape[1], frame.shape[0]):
            resized = resize_area(frame, level.size) if level.scale < 1 else _enlarged(frame, level.size)
        tiles = list(level.tiles())
        if len(tiles) == 1:
            boxes, points, scores = self._find(resized, threshold)
        else:
            boxes, points, scores = _concatenated([self._search_tile(resized, tile, threshold) for tile in tiles])
        if level.scale == 1:
            return boxes, points, scores
        return boxes / np.float32(level.scale), points / np.float32(level.scale), scores

    def _search_tile(self, level: Frame, tile: Tile, threshold: float) -> tuple[Floats, Floats, Floats]:
        left, top, right, bottom = tile.box
        boxes, points, scores = self._find(level[top:bottom, left:right], threshold)
        corner = np.array([left, top], np.float32)
        boxes, points = boxes + np.tile(corner, 2), points + corner
        rows = in_core(boxes, tile)
        return boxes[rows], points[rows], scores[rows]

    def _straightened(
        self, frame: Frame, boxes: Floats, points: Floats, scores: Floats
    ) -> tuple[Floats, Floats, Floats]:
        """The faces above the threshold, best score first, each as it looks when it is turned upright.

        Those that are looked at again are changed in the arrays that are given.
        """
        sides = np.sqrt((boxes[:, 2:] - boxes[:, :2]).clip(0).prod(axis=1))
        leans = np.abs(roll(points)) >= _LEANS
        again = np.flatnonzero((sides >= _LEAST_TURNED) & (leans | (scores < _SURE)))
        for row in again:
            angle = float(roll(points[row : row + 1])[0])
            angles = (angle, 2 * angle, *_TURNS) if leans[row] else _TURNS[:2]
            centre, side = (boxes[row, :2] + boxes[row, 2:]) / 2, float(sides[row])
            found = [face for turn in angles if (face := self._in_patch(frame, centre, side, turn)) is not None]
            better = max(found, key=lambda face: face[2], default=None)
            if better is None or better[2] <= scores[row]:
                continue
            box, upright, score = better
            # It may not stand quite upright yet.
            third = self._in_patch(frame, (box[:2] + box[2:]) / 2, side, float(roll(upright[None])[0]))
            if third is not None and third[2] >= score - 0.05:
                box, upright, score = *third[:2], max(score, third[2])
            boxes[row], points[row], scores[row] = box, upright, score
        if len(again):
            rows = best_of_overlapping(boxes, scores, _OVERLAP)
            boxes, points, scores = boxes[rows], points[rows], scores[rows]
        rows = np.flatnonzero(scores >= np.float32(self.threshold))
        return boxes[rows], points[rows], scores[rows]

    def _in_patch(
        self, frame: Frame, centre: npt.NDArray[np.floating], side: float, angle: float
    ) -> tuple[Floats, Floats, float] | None:
        """The face in the middle of a patch around `centre` that is turned by `angle`: box, points and score."""
        patch = Upright.cut(frame, centre, 2 * side, angle, _PATCH)
        boxes, points, scores = self._find(patch.image, self._least)
        away = np.abs((boxes[:, :2] + boxes[:, 2:]) / 2 - _PATCH / 2).max(axis=1)
        if not (away < _PATCH / 5).any():
            return None
        row = int(away.argmin())
        middle = patch.to_frame((boxes[row, :2] + boxes[row, 2:]) / 2)
        half = (boxes[row, 2:] - boxes[row, :2]) / 2 * patch.scale
        return np.concatenate([middle - half, middle + half]), patch.to_frame(points[row]), float(scores[row])

    def find(self, frame: Frame) -> tuple[Floats, Floats, Floats]:
        """What YuNet itself says of `frame`, as large as it is, best score first.

        Returns:
            float32 (n, 4), boxes of the faces: left, top, right, bottom; float32 (n, 5, 2), the eye on the picture's
            left, that on its right, the tip of the nose, the corners of the mouth, left and right; float32 (n,),
            scores in [threshold, 1]. Pixels of `frame`.
        """
        return self._find(np.ascontiguousarray(frame), self.threshold)

    def _find(self, frame: Frame, threshold: float) -> tuple[Floats, Floats, Floats]:
        return self._network.find(frame, threshold)


def _surroundings(
    frame: Frame, centre: npt.NDArray[np.floating], side: float, size: int
) -> tuple[Frame, npt.NDArray[np.float64], float]:
    """The square of `side` pixels around `centre` as far as it lies in the frame, resized as it would be to `size`.

    Returns:
        The patch; the pixel of the frame at its corner; pixels of the patch for one of the frame.
    """
    start = np.floor(centre - side / 2).astype(int).clip(0)
    end = np.ceil(centre + side / 2).astype(int).clip(start + 1, np.maximum(frame.shape[1::-1], start + 1))
    if (start >= frame.shape[1::-1]).any():
        return np.zeros((1, 1, 3), np.uint8), start.astype(np.float64), 1.0
    scale = size / (side + 2)
    (left, top), (right, bottom) = start.tolist(), end.tolist()
    width, height = (max(1, min(size, round(length * scale))) for length in (right - left, bottom - top))
    if scale < 1:
        patch = resize_area(frame, (width, height), (left, top, right, bottom))
    else:
        window = frame[top:bottom, left:right]
        patch = np.asarray(cv2.resize(window, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)
    return patch, start.astype(np.float64), scale


def _concatenated(found: list[tuple[Floats, Floats, Floats]]) -> tuple[Floats, Floats, Floats]:
    if len(found) == 1:
        return found[0]
    boxes, points, scores = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return boxes, points, scores


def _enlarged(frame: Frame, size: tuple[int, int]) -> Frame:
    return np.asarray(cv2.resize(frame, size, interpolation=cv2.INTER_CUBIC), np.uint8)


def _hog_boxes(boxes: Floats, points: Floats) -> Floats:
    size = boxes[:, 2:] - boxes[:, :2]
    eyes, mouth = points[:, :2].mean(axis=1), points[:, 3:].mean(axis=1)
    side = _SIDE * np.sqrt(np.sqrt(size.clip(1).prod(axis=1)) * np.linalg.norm(eyes - mouth, axis=1).clip(1))[:, None]
    angle = roll(points)
    angle = np.radians(np.where(np.abs(angle) < _LEANS, 0, angle))
    away = np.stack([np.cos(angle), -np.sin(angle), np.sin(angle), np.cos(angle)], axis=1).reshape(-1, 2, 2) @ _CENTRE
    centre = (boxes[:, :2] + size / 2 + (eyes + mouth) / 2) / 2 + away * side
    # Whole pixels, as HOG's boxes have them. The medians were taken of dlib's rectangles, which end a pixel earlier.
    squares: Floats = np.round(np.hstack([centre - side / 2, centre + side / 2])).astype(np.float32)
    squares[:, 2:] += 1
    return squares


def _faces(boxes: Floats, points: Floats, scores: Floats) -> Faces:
    """What was found, best score first, in HOG's measure and without doubles."""
    squares = _hog_boxes(boxes, points)
    rows = _without_doubles(squares, points, scores)
    return Faces(squares[rows], scores[rows], keypoints=points[rows])


def _without_doubles(squares: Floats, points: Floats, scores: Floats) -> list[int]:
    """The rows that stay, where a part of a face, or the gap between two, was taken for another one; best first."""
    sides = squares[:, 2] - squares[:, 0]
    middles = (squares[:, :2] + squares[:, 2:]) / 2
    angles = np.radians(roll(points))
    kept: list[int] = []
    for row in range(len(squares)):
        if scores[row] >= max(_ABOVE_SCORE, _BESIDE_SCORE):  # as nearly all are
            kept.append(row)
            continue
        corner = np.minimum(squares[row, 2:], squares[kept, 2:])
        shared = (corner - np.maximum(squares[row, :2], squares[kept, :2])).clip(0).prod(axis=1)
        overlap = shared / (sides[row] ** 2 + sides[kept] ** 2 - shared)
        away = middles[row] - middles[kept]
        across = np.abs(away[:, 0] * np.cos(angles[kept]) + away[:, 1] * np.sin(angles[kept]))
        doubled = (overlap > _ABOVE_OVERLAP) & (across < _ACROSS * np.minimum(sides[row], sides[kept]))
        doubled &= scores[row] < _ABOVE_SCORE
        if scores[row] < _BESIDE_SCORE and sides[row] >= _FACE:
            doubled |= overlap > _BESIDE_OVERLAP
        if not doubled.any():
            kept.append(row)
    return kept


def _turn_back(
    boxes: Floats, points: Floats, scores: Floats, frame: Frame, quarters: int
) -> tuple[Floats, Floats, Floats]:
    """What was found in `frame` turned by so many quarters, as ``numpy.rot90`` does, in pixels of `frame` itself."""
    height, width = frame.shape[:2]

    def back(turned: Floats) -> Floats:
        x, y = turned[..., 0], turned[..., 1]
        return np.stack([(x, y), (width - y, x), (width - x, height - y), (y, height - x)][quarters], axis=-1)

    corners = back(boxes.reshape(-1, 2, 2))
    return np.hstack([corners.min(axis=1), corners.max(axis=1)]), back(points), scores
