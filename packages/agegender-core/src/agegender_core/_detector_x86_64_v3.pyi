"""The face detector of `_core`, compiled for x86-64-v3."""

import numpy as np
import numpy.typing as npt

ImageU8 = npt.NDArray[np.uint8]  # (H, W) grey or (H, W, 3) RGB, C-contiguous

def cpu_supports_x86_64_v3() -> bool: ...

class HogFaceDetector:
    def __init__(self) -> None: ...
    def detect(
        self, image: ImageU8, upsample: int = 0, threshold: float = 0.0
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]: ...
