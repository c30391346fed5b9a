"""Whether two aligned faces are the same picture, be it resized, recoloured, recompressed or cropped differently."""

from __future__ import annotations

from typing import Any, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from agegender_core.picture_headers import read_header

Grey: TypeAlias = npt.NDArray[np.uint8]

THUMB_SIDE = 32
FACE_SIDE = 106
"""A chip with its margin, such that the middle 60 % are 64 pixels wide."""

_MARGIN, _INNER = 21, 64
_STEPS = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 30, 1e-4)

SAME = 0.92
"""From this correlation on, two faces are the same picture.

All such pairs of UTKFace and FairFace were looked at: they are one picture, or shots of the same second. The most
similar faces of two different people, babies, reach 0.89.
"""


def thumb_of(chip: bytes) -> Grey:
    """A chip's JPEG as uint8 (32, 32), grey."""
    # libjpeg decodes at a half or a quarter for less.
    side = min(read_header(chip).size or (0, 0))
    reduced = {4: cv2.IMREAD_REDUCED_GRAYSCALE_4, 2: cv2.IMREAD_REDUCED_GRAYSCALE_2}
    flag = next((flag for scale, flag in reduced.items() if side >= scale * THUMB_SIDE), cv2.IMREAD_GRAYSCALE)
    return _grey(chip, flag, THUMB_SIDE)


def face_of(chip: bytes) -> Grey:
    """A chip's JPEG as uint8 (106, 106), grey, for `is_same_picture`."""
    return _grey(chip, cv2.IMREAD_GRAYSCALE, FACE_SIDE)


def _grey(chip: bytes, flag: int, side: int) -> Grey:
    picture = cv2.imdecode(np.frombuffer(chip, np.uint8), flag)
    if picture is None:
        raise ValueError("a picture of the store: can't be decoded")
    return cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)


def is_same_picture(first: Grey, second: Grey) -> bool:
    """Whether two faces of `face_of` are the same picture: whether their `detail_correlation` is at least `SAME`."""
    return detail_correlation(first, second) >= SAME


def detail_correlation(first: Grey, second: Grey) -> float:
    """The correlation of the fine detail of two faces of `face_of`: 1 for the same picture.

    The inner part of the first is aligned to the second by the affine map that makes them correlate most (Evangelidis
    and Psarakis, Parametric Image Alignment Using Enhanced Correlation Coefficient Maximization, 2008), and then the
    fine detail of both is compared: two people can have the same light and pose, but not the same wrinkles, lashes and
    strands of hair. The background doesn't count. 0 where they can't be aligned.
    """
    inner = first[_MARGIN : _MARGIN + _INNER, _MARGIN : _MARGIN + _INNER].astype(np.float32)
    other = second.astype(np.float32)
    warp = np.array([[1, 0, _MARGIN], [0, 1, _MARGIN]], np.float32)
    try:
        _, warp = cv2.findTransformECC(inner, other, warp, cv2.MOTION_AFFINE, _STEPS, None, 3)  # type: ignore[call-overload]
    except cv2.error:  # no convergence
        return 0.0
    laid = cv2.warpAffine(other, warp, (_INNER, _INNER), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    a, b = _detail(inner), _detail(laid)
    size = float(np.sqrt((a * a).sum() * (b * b).sum()))
    return float((a * b).sum()) / size if size > 0 else 0.0


def _detail(face: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Structures of 1 to 4 pixels, with a mean of 0."""
    smooth: npt.NDArray[Any] = cv2.GaussianBlur(face, (0, 0), 1)
    detail: npt.NDArray[Any] = smooth - cv2.GaussianBlur(smooth, (0, 0), 4)
    return detail - detail.mean()  # type: ignore[no-any-return]
