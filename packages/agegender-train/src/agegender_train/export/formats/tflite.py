"""TensorFlow Lite (LiteRT): the one format that needs TensorFlow, also as Keras's backend."""

from __future__ import annotations

import contextlib
import io
import os
import sys
import warnings
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import keras

from agegender_train.export.archive import add_description
from agegender_train.export.formats._format import Format, Inference, Inputs, faces_for
from agegender_train.export.trained import Outputs, Trained


def _tensorflow() -> Any:
    try:
        return import_module("tensorflow")
    except ImportError:
        raise ValueError("the format tflite needs TensorFlow: pip install tensorflow") from None


def _write(trained: Trained, path: Path, precision: str, faces: Inputs | None) -> None:
    tf = _tensorflow()
    if keras.backend.backend() != "tensorflow":
        raise ValueError(
            f"the format tflite needs TensorFlow as Keras's backend, got {keras.backend.backend()}: "
            "set KERAS_BACKEND=tensorflow"
        )
    with _quietly():
        converter = tf.lite.TFLiteConverter.from_keras_model(trained.model)
        if precision != "fp32":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if precision == "fp16":
            converter.target_spec.supported_types = [tf.float16]
        if precision == "int8":
            given = faces_for(precision, faces)
            converter.representative_dataset = lambda: ([face[None]] for face in given)
        content = converter.convert()
    path.write_bytes(content)
    add_description(path, trained.description)


def _load(path: Path) -> Inference:
    tf = _tensorflow()
    with _quietly():
        interpreter = tf.lite.Interpreter(str(path), num_threads=1)
        interpreter.allocate_tensors()  # else the first face would do it, and say so
        runner = interpreter.get_signature_runner()

    def run(batch: Inputs) -> Outputs:
        found: Outputs = runner(input=batch)
        return found

    return run


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Silences TensorFlow's notice about the future of tf.lite, Keras's printed summary, and the converter's log."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()), _no_stderr():
        warnings.filterwarnings("ignore", message=r"\s*Warning: tf\.lite\.Interpreter is deprecated")
        # int8 models keep float32 inputs and outputs on purpose.
        warnings.filterwarnings("ignore", message="Statistics for quantized inputs were expected")
        yield


@contextlib.contextmanager
def _no_stderr() -> Iterator[None]:
    """Drops what is written to stderr, by C++ as well: the converter heeds no level of its log."""
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


FORMAT = Format("tflite", ".tflite", ("fp32", "fp16", "int8"), _write, _load)
