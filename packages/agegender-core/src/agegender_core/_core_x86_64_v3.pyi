"""Parts of `_core`, compiled for x86-64-v3."""

import numpy as np
import numpy.typing as npt

ImageU8 = npt.NDArray[np.uint8]  # (H, W) grey or (H, W, 3) RGB, C-contiguous

def cpu_supports_x86_64_v3() -> bool: ...
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

class HogFaceDetector:
    def __init__(self) -> None: ...
    def detect(
        self, image: ImageU8, upsample: int = 0, threshold: float = 0.0
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]: ...
