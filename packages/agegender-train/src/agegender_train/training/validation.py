"""How good a model is on faces that it doesn't learn from."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from keras import ops

from agegender_core.decoding import Decoder
from agegender_core.preprocess import preprocess
from agegender_core.spec import PreprocessSpec
from agegender_train.batches.face_set import FaceSet
from agegender_train.metrics import Scores
from agegender_train.metrics.scores import judged
from agegender_train.training.objective import Objective


def exported_weights(model: Any, averaged: bool = True) -> list[npt.NDArray[Any]]:
    """Weights for `set_weights`: their running averages where `model`'s optimizer keeps such and unless not `averaged`.

    In new memory: JAX gives the memory of a model in training away with each step.
    """
    optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)  # of 16-bit floats' scaled losses
    averages: dict[int, Any] = {}
    if averaged and optimizer.use_ema:
        averages = {
            id(variable): average
            for variable, average in zip(
                model.trainable_variables, optimizer._model_variables_moving_average, strict=True
            )
        }
    return [np.array(ops.convert_to_numpy(averages.get(id(weight), weight))) for weight in model.weights]


def validate(
    model: Any,
    decoder: Decoder,
    objective: Objective,
    faces: FaceSet,
    rows: npt.NDArray[np.int64],
    spec: PreprocessSpec,
    batch_size: int,
) -> tuple[dict[str, Any], float]:
    """Figures (see `metrics.Scores.compute`) and loss of a model on faces as they are, without augmentation.

    The figures are of the ages and genders that users of its model file get; an untrained head counts in neither.

    Raises:
        FloatingPointError: an answer is not finite.
    """
    parts: dict[str, list[npt.NDArray[np.float32]]] = {name: [] for name in objective.outputs.values()}
    for start in range(0, len(rows), batch_size):
        outputs = model.predict_on_batch(preprocess(faces.chips(rows[start : start + batch_size]), spec))
        for name, values in parts.items():
            values.append(np.asarray(outputs[name], np.float32))
    predicted = {name: np.concatenate(values) for name, values in parts.items()}
    prediction, labels = decoder(predicted), faces.labels[rows]
    for column in (prediction.age, prediction.p_male):
        if column is not None and not np.isfinite(column).all():
            raise FloatingPointError("the network's answers are not finite")
    figures = Scores.from_batch(prediction.age, prediction.p_male, labels).compute()
    _, _, labels = judged(prediction, labels)
    return figures, objective.value(predicted, labels)
