from __future__ import annotations

import os
import platform
import subprocess
import sys

import keras
import pytest

from agegender_train.training.devices import device_scope, precision, prepare_backend


def test_a_policy_holds_within_and_not_after() -> None:
    before = keras.config.dtype_policy()

    def build() -> None:
        with precision("mixed_bfloat16"):
            layer = keras.layers.Dense(2)
            assert (layer.compute_dtype, layer.variable_dtype) == ("bfloat16", "float32")
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        build()
    assert keras.config.dtype_policy() == before


@pytest.mark.parametrize("name", ["tpu", "gpu:x", "gpu:-1", ""])
def test_a_device_is_cpu_or_a_numbered_gpu(name: str) -> None:
    with pytest.raises(ValueError, match='device must be "auto", "cpu" or "gpu:N"'):
        device_scope(name)


def test_a_device_that_is_not_there_is_named() -> None:
    with pytest.raises(ValueError, match=r"device 'gpu:99' is not there: .* sees \d+ of kind gpu"):
        device_scope("gpu:99")


def test_tensorflow_takes_the_memory_of_a_gpu_as_it_needs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    import tensorflow

    asked = []
    monkeypatch.setattr(tensorflow.config, "list_physical_devices", lambda kind: [f"{kind} 0", f"{kind} 1"])

    def grow(gpu: str, enable: bool) -> None:
        asked.append((gpu, enable))
        raise RuntimeError("Physical devices cannot be modified after being initialized")

    monkeypatch.setattr(tensorflow.config.experimental, "set_memory_growth", grow)
    prepare_backend(deterministic=False)
    assert asked == [("GPU 0", True), ("GPU 1", True)]


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="only there TensorFlow has both")
def test_tensorflow_takes_onednn_unless_it_is_told_not_to() -> None:
    ask = "import os, agegender_train; print(os.environ['TF_ENABLE_ONEDNN_OPTS'])"
    free = {name: value for name, value in os.environ.items() if name != "TF_ENABLE_ONEDNN_OPTS"}
    for given, taken in (({}, "1"), ({"TF_ENABLE_ONEDNN_OPTS": "0"}, "0")):
        run = subprocess.run([sys.executable, "-c", ask], env=free | given, capture_output=True, text=True, check=True)
        assert run.stdout.strip() == taken
