"""ONNX Runtime, as all baselines use it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnxruntime as ort


def open_session(model: Path | bytes, threads: int, name: str) -> Any:
    """A session for a model file or its bytes.

    Args:
        model: ONNX.
        threads: within one call.
        name: what to call it in the error.

    Raises:
        ValueError: it is no ONNX model, or one that ONNX Runtime can't run.
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        return ort.InferenceSession(
            str(model) if isinstance(model, Path) else model, options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:
        # ONNX Runtime raises a dozen classes of its own, which share no base but Exception.
        raise ValueError(f"{name} is no ONNX model that can be run: {error}") from None
