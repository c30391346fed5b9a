"""Whether two aligned faces are the same picture: at another size, in other colours, compressed or cut anew."""

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
"""From here on it is the same picture.

Seen by eye on all such pairs of UTKFace and FairFace: they are one picture, or shots of the same second. The most
similar faces of two people, babies, come to 0.89.
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
        raise ValueError("a picture of the store can't be decoded")
    return cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)


def is_same_picture(first: Grey, second: Grey) -> bool:
    """Whether two faces of `face_of` are the same picture: whether they have at least `SAME` in common."""
    return in_common(first, second) >= SAME


def in_common(first: Grey, second: Grey) -> float:
    """How much of their fine detail two faces of `face_of` have in common: a correlation, 1 for the same picture.

    The inner part of the first is laid on the second by the affine map that makes them correlate most (Evangelidis and
    Psarakis, Parametric Image Alignment Using Enhanced Correlation Coefficient Maximization, 2008), and then what is
    fine in both is compared: two people can have the same light and pose, but not the same wrinkles, lashes and strands
    of hair. Nothing of the background counts. 0 where they can't be laid on each other.
    """
    inner = first[_MARGIN : _MARGIN + _INNER, _MARGIN : _MARGIN + _INNER].astype(np.float32)
    other = second.astype(np.float32)
    warp = np.array([[1, 0, _MARGIN], [0, 1, _MARGIN]], np.float32)
    try:
        _, warp = cv2.findTransformECC(inner, other, warp, cv2.MOTION_AFFINE, _STEPS, None, 3)  # type: ignore[call-overload]
    except cv2.error:  # it doesn't converge
        return 0.0
    laid = cv2.warpAffine(other, warp, (_INNER, _INNER), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    a, b = _detail(inner), _detail(laid)
    size = float(np.sqrt((a * a).sum() * (b * b).sum()))
    return float((a * b).sum()) / size if size > 0 else 0.0


def _detail(face: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """What is between 1 and 4 pixels fine, the mean taken off."""
    smooth: npt.NDArray[Any] = cv2.GaussianBlur(face, (0, 0), 1)
    detail: npt.NDArray[Any] = smooth - cv2.GaussianBlur(smooth, (0, 0), 4)
    return detail - detail.mean()  # type: ignore[no-any-return]
