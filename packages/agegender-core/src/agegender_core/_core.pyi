"""The C++ core's Python face. Private: `agegender_core` re-exports what is for users."""

import os

import numpy as np
import numpy.typing as npt

ImageU8 = npt.NDArray[np.uint8]  # (H, W) grey or (H, W, 3) RGB, C-contiguous
Boxes = npt.NDArray[np.float64]  # (n, 4) or (n, 5), C-contiguous

def cpu_supports_x86_64_v3() -> bool: ...

class HogFaceDetector:
    def __init__(self) -> None: ...
    def detect(
        self,
        image: ImageU8,
        upsample: int = 0,
        threshold: float = 0.0,
        exact: bool = True,
        threads: int = 1,
        min_face: float = 0.0,
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]: ...

def hog_model() -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float64]]: ...  # (5, 31, 10, 10), (5,)
def hog_features(image: ImageU8) -> npt.NDArray[np.float32]: ...  # (31, rows, columns)

class LandmarkModel:
    def __init__(self, path: str | bytes | os.PathLike[str]) -> None: ...
    def predict(self, image: ImageU8, xyxy: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]: ...

def extract_chips(
    image: ImageU8, landmarks: npt.NDArray[np.float32], size: int, padding: float
) -> npt.NDArray[np.uint8]: ...
def augment(
    chips: list[npt.NDArray[np.uint8]],  # each (S, S, 3), C-contiguous
    changes: npt.NDArray[np.float32],  # (n, 33): agegender_core.augment.CHANGE
    others: list[npt.NDArray[np.uint8] | None],
    out: npt.NDArray[np.float32],
    chip_size: int,
    crop: tuple[float, float, float, float],
    mean: tuple[float, float, float],
    scale: tuple[float, float, float],
    bgr: bool = False,
    channels_first: bool = False,
    threads: int = 1,
) -> None: ...
def blend(
    frame: ImageU8,  # (H, W, 3), written to
    mask: npt.NDArray[np.uint8],  # (h, w)
    corner: tuple[int, int],
    color: tuple[float, float, float],
    opacity: float = 1.0,
) -> None: ...
def preprocess(
    chips: npt.NDArray[np.uint8],
    out: npt.NDArray[np.float32],
    crop: tuple[float, float, float, float],
    mean: tuple[float, float, float],
    scale: tuple[float, float, float],
    bgr: bool = False,
    channels_first: bool = False,
) -> None: ...
def shrink(
    image: npt.NDArray[np.uint8],  # (H, W, 3)
    part: tuple[int, int, int, int],
    out: npt.NDArray[np.uint8],  # (h, w, 3), no larger than the part
) -> None: ...

class YuNet:
    def __init__(self, layers: list[tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]]) -> None: ...
    def find(
        self, image: npt.NDArray[np.uint8], threshold: float, overlap: float, most: int, threads: int = 1
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32], npt.NDArray[np.float32]]: ...  # as yunet_faces

def yunet_input(image: npt.NDArray[np.uint8], out: npt.NDArray[np.float32]) -> None: ...  # out: (1, 3, H, W)
def yunet_faces(
    outputs: list[npt.NDArray[np.float32]],  # cls, obj, bbox and kps, each of all strides: (1, cells, k)
    width: int,  # of the input, pixels
    strides: tuple[int, ...],
    threshold: float,
    overlap: float,
    most: int,
) -> tuple[
    npt.NDArray[np.float32], npt.NDArray[np.float32], npt.NDArray[np.float32]
]: ...  # boxes (n, 4), points (n, 5, 2), scores (n,), best first
def iou(a: Boxes, b: Boxes) -> npt.NDArray[np.float64]: ...  # (len(a), len(b)), in [0, 1]
def match_overlaps(
    a: Boxes, b: Boxes
) -> npt.NDArray[np.int64]: ...  # for each of a its one of b, -1 for none: the greatest total IoU

class KalmanBoxFilter:
    def __init__(self, box: npt.NDArray[np.float64]) -> None: ...  # (4,), as everywhere below
    def predict(self) -> npt.NDArray[np.float64]: ...
    def update(self, box: npt.NDArray[np.float64]) -> None: ...
    @property
    def box(self) -> npt.NDArray[np.float64]: ...
    @property
    def state(self) -> npt.NDArray[np.float64]: ...  # (7,): x, y, area, ratio, velocities of x, y, area
    @property
    def covariance(self) -> npt.NDArray[np.float64]: ...  # (7, 7)

class SortTracker:
    def __init__(
        self, max_age: int = 1, min_hits: int = 3, iou_threshold: float = 0.3, keep_confirmed: bool = False
    ) -> None: ...
    def update(self, boxes: Boxes) -> npt.NDArray[np.float64]: ...  # (m, 5): x1, y1, x2, y2, id
    def update_with_rows(
        self, boxes: Boxes
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]: ...  # and the row of `boxes` of each track
    def coast(self) -> npt.NDArray[np.float64]:
        """The boxes that the last update gave, moved on by one frame: float64 (m, 5), as `update`. Counts of hits and
        misses stay as they are.
        """

    def reset(self) -> None:
        """Forget all tracks; ids start from 1 again."""

    @property
    def max_age(self) -> int:
        """As given; may be set, and counts from the next update on."""

    @max_age.setter
    def max_age(self, max_age: int) -> None: ...
    @property
    def min_hits(self) -> int:
        """As given."""

    @property
    def iou_threshold(self) -> float:
        """As given."""

    @property
    def keep_confirmed(self) -> bool:
        """As given."""

class FaceTracker:
    def __init__(
        self, threshold: float = 0.6, evidence: float = 0.4, max_age: float = 1.0, iou_threshold: float = 0.25
    ) -> None: ...
    def update(self, boxes: Boxes, scores: npt.NDArray[np.float64], time: float) -> npt.NDArray[np.int64]: ...
    def coast(self, time: float) -> npt.NDArray[np.float64]: ...  # (m, 5): x1, y1, x2, y2, id
    def expected(self, time: float) -> npt.NDArray[np.float64]: ...  # (m, 5), id 0 before it is confirmed
    def reset(self) -> None:
        """Forget all tracks and the time; ids start from 1 again."""

    @property
    def threshold(self) -> float:
        """As given."""

    @property
    def evidence(self) -> float:
        """As given."""

    @property
    def max_age(self) -> float:
        """As given."""

    @property
    def iou_threshold(self) -> float:
        """As given."""
