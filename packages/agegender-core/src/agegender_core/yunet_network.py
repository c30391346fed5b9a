"""The network YuNet, run by our own C++, or by ONNX Runtime where the file is somebody else's."""

from __future__ import annotations

import hashlib
import math
import os
import threading
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from .faces import Frame
from .native import native
from .onnx_runtime import ModelFileError, open_session
from .onnx_weights import convolutions

Floats = npt.NDArray[np.float32]
Found = tuple[Floats, Floats, Floats]

YUNET_PATH = Path(__file__).parent / "models" / "detectors" / "yunet.onnx"
"""YuNet, as it comes with the package: OpenCV Zoo's of March 2023, whose input may have any size."""

# As OpenCV's FaceDetectorYN has them: cells of so many pixels, sides that the coarsest divides, and its own defaults.
_STRIDES = (8, 16, 32)
_OVERLAP, _MOST = 0.3, 5000
_PARTS = ("cls", "obj", "bbox", "kps")
# A thread keeps the memory of inputs of up to so many numbers, those of a frame of 1080p.
_KEPT = 3 * 1920 * 1088
# Of the package's file, and of OpenCV Zoo's own, which is the same network with a fixed input.
_OURS_SHA256 = "d5fd8c58755fd0db4bc41b8baa4c3c9f255c013987aad5e4914b8c65838bec47"
_ZOO_SHA256 = "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4"


class YuNetNetwork(Protocol):
    """What both of them do. One object may be used from many threads at once."""

    def find(self, frame: Frame, threshold: float) -> Found:
        """The faces in `frame`, uint8 RGB, as large as it is, or a rectangle of a larger one; best score first.

        Returns:
            float32 (n, 4) xyxy, float32 (n, 5, 2) points, float32 (n,) scores above the threshold: pixels of `frame`.
        """
        ...


def open_yunet(path: Path, threads: int) -> tuple[YuNetNetwork, str]:
    """The network of a model file, and the file's SHA-256.

    Raises:
        ValueError: the file is no YuNet model.
        OSError: it can't be read.
    """
    content = path.read_bytes()
    sha256 = hashlib.sha256(content).hexdigest()
    if sha256 in (_OURS_SHA256, _ZOO_SHA256):
        return NativeYuNet(content, threads), sha256
    return OnnxYuNet(content, path, threads), sha256


class NativeYuNet:
    """The file that comes with the package, or OpenCV Zoo's, whose weights are the same, by our own C++.

    Args:
        content: of the file.
        threads: within one call.
    """

    def __init__(self, content: bytes, threads: int = 1) -> None:
        self._network = native().YuNet(convolutions(content))
        self._threads = threads

    def find(self, frame: Frame, threshold: float) -> Found:
        """See `YuNetNetwork`."""
        found: Found = self._network.find(frame, threshold, _OVERLAP, _MOST, self._threads)
        return found


class OnnxYuNet:
    """Any file with YuNet's outputs, by ONNX Runtime.

    Args:
        content: of the file.
        path: what errors call it.
        threads: of ONNX Runtime within one call.

    Raises:
        ValueError: the file is no YuNet model, or one whose input has a fixed size.
    """

    def __init__(self, content: bytes, path: str | os.PathLike[str], threads: int = 1) -> None:
        refusal = f"{path} is no YuNet model: take face_detection_yunet_2023mar.onnx of OpenCV Zoo"
        try:
            self._session = open_session(content, threads)
        except ModelFileError:
            raise ValueError(refusal) from None
        self._outputs = [f"{part}_{stride}" for part in _PARTS for stride in _STRIDES]
        inputs = self._session.get_inputs()
        if {output.name for output in self._session.get_outputs()} != set(self._outputs) or len(inputs) != 1:
            raise ValueError(refusal)
        if any(isinstance(side, int) for side in inputs[0].shape[2:]):
            raise ValueError(f"{path} takes pictures of one size only, {inputs[0].shape}: give no model file")
        self._input = inputs[0].name
        self._memory = threading.local()

    def find(self, frame: Frame, threshold: float) -> Found:
        """See `YuNetNetwork`."""
        rows, columns = (math.ceil(side / _STRIDES[-1]) * _STRIDES[-1] for side in frame.shape[:2])
        inputs = self._inputs(rows, columns)
        native().yunet_input(np.ascontiguousarray(frame), inputs)
        outputs = self._session.run(self._outputs, {self._input: inputs})
        found: Found = native().yunet_faces(outputs, columns, _STRIDES, threshold, _OVERLAP, _MOST)
        return found

    def _inputs(self, rows: int, columns: int) -> Floats:
        """Memory for the network's input, the same for all frames of a thread: fresh pages take longer to get than to
        fill."""
        size = 3 * rows * columns
        if size > _KEPT:
            return np.empty((1, 3, rows, columns), np.float32)
        memory: Floats | None = getattr(self._memory, "inputs", None)
        if memory is None or memory.size < size:
            memory = self._memory.inputs = np.empty(size, np.float32)
        return memory[:size].reshape(1, 3, rows, columns)
