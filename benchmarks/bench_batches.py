"""A batch of faces for MobileNetV2: ours beside a plain `PyDataset` with OpenCV, and the training step it feeds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import keras
import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from agegender_core.augment import augment
from agegender_core.spec import PreprocessSpec
from agegender_train.batches.augment import changes_in_epoch
from agegender_train.batches.augmentation import Augmentation
from agegender_train.batches.batches import Batches
from agegender_train.batches.face_set import FaceSet
from agegender_train.models import build_model
from agegender_train.store import Store

FACES, SIZE = 128, 96
SPEC = PreprocessSpec(SIZE, chip_size=140, mean=(127.5,) * 3, scale=(1 / 127.5,) * 3)


@pytest.fixture(scope="module")
def store(make_store: Callable[[int], Store]) -> Store:
    """So many pieces of the portrait as faces."""
    return make_store(FACES)


class Plain(keras.utils.PyDataset):  # type: ignore[misc]
    """What one would write: decode, resize and scale with OpenCV and NumPy, a face at a time."""

    def __init__(self, jpegs: list[bytes]) -> None:
        super().__init__()
        self.jpegs = jpegs

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> Any:
        """The faces in the store's order."""
        faces = []
        for jpeg in self.jpegs:
            face = cv2.cvtColor(cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
            face = cv2.resize(face, (SIZE, SIZE), interpolation=cv2.INTER_AREA)
            faces.append(face.astype(np.float32) / 127.5 - 1)
        return np.stack(faces)


@pytest.mark.parametrize(
    "who",
    [
        "ours, as they are",
        "ours, half of them cached",
        "ours, none cached",
        "ours, augmented",
        "PyDataset, as they are",
        "training step",
    ],
)
def bench_batch(benchmark: BenchmarkFixture, store: Store, who: str) -> None:
    """Ours decodes each face once and keeps what fits; the plain way, which keeps nothing, decodes it in each epoch."""
    benchmark.group = "a batch of 128 faces at 96 px"
    rows = np.arange(FACES)
    augmentation = Augmentation() if "augmented" in who else None
    kept = {"ours, half of them cached": FACES // 2, "ours, none cached": 0}.get(who, FACES)
    faces = FaceSet([store], cache_bytes=kept * store.chip_size**2 * 3)
    batches = Batches(faces, rows, SPEC, FACES, seed=0, augmentation=augmentation)
    batch = batches[0]
    if who == "training step":
        keras.utils.set_random_seed(0)
        model = build_model("mobilenetv2")
        loss = {"age": lambda _, p: -keras.ops.log(p[:, 20]), "gender": "mse"}
        model.compile(optimizer="adam", loss=loss, jit_compile=False)  # as our trainings on TensorFlow do
        few = slice(16 if benchmark.disabled else FACES)  # enough for the assertion
        inputs, genders = batch.inputs[few], np.eye(2, dtype=np.float32)[rows % 2]
        targets = {"age": batch.targets["age"][few], "gender": genders[few]}
        losses = [float(np.ravel(model.train_on_batch(inputs, targets))[0]) for _ in range(2)]
        last = benchmark.pedantic(model.train_on_batch, (inputs, targets), rounds=5, warmup_rounds=1)
        assert float(np.ravel(last)[0]) < losses[0]
        return
    plain = Plain(list(store.encoded()))
    calls: dict[str, Callable[[], Any]] = {"PyDataset, as they are": lambda: plain[0]}
    made = benchmark(calls.get(who, lambda: batches[0].inputs))
    order = np.random.default_rng([0, 0]).permutation(FACES)
    if augmentation is not None:
        chips = store.decode(rows)
        changes, others = changes_in_epoch(augmentation, 0, 0, rows, rows)
        around = [None if other < 0 else chips[other] for other in others]
        np.testing.assert_array_equal(made, augment(chips, changes, SPEC, around)[order])
        return
    got = made if "PyDataset" in who else made[np.argsort(order)]
    # OpenCV rounds to whole grey levels after the resizing, we don't.
    np.testing.assert_allclose(got, plain[0], atol=1.01 / 127.5)
