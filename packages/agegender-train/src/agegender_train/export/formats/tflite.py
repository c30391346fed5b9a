"""TensorFlow Lite (LiteRT): the one format that needs TensorFlow, also as Keras's backend."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import keras

from agegender_train.export.archive import add_description
from agegender_train.export.formats._format import Batch, Format, Run, faces_for
from agegender_train.export.trained import Outputs, Trained


def _tensorflow() -> Any:
    try:
        return import_module("tensorflow")
    except ImportError:
        raise ValueError("the format tflite needs TensorFlow: pip install tensorflow") from None


def _write(trained: Trained, path: Path, precision: str, faces: Batch | None) -> None:
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


def _load(path: Path) -> Run:
    tf = _tensorflow()
    with _quietly():
        interpreter = tf.lite.Interpreter(str(path), num_threads=1)
        runner = interpreter.get_signature_runner()

    def run(batch: Batch) -> Outputs:
        found: Outputs = runner(input=batch)
        return found

    return run


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Within it TensorFlow says nothing of its plans for tf.lite, and Keras nothing of the model that it hands over."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.filterwarnings("ignore", message=r"\s*Warning: tf\.lite\.Interpreter is deprecated")
        # Said of int8 whose input and output stay float32, as they shall.
        warnings.filterwarnings("ignore", message="Statistics for quantized inputs were expected")
        yield


FORMAT = Format("tflite", ".tflite", ("fp32", "fp16", "int8"), _write, _load)
