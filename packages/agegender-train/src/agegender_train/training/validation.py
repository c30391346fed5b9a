"""How good a model is on faces that it doesn't learn from."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
from keras import ops

from agegender_core.preprocess import preprocess
from agegender_core.spec import PreprocessSpec
from agegender_train.batches import FaceSet
from agegender_train.metrics import Scores
from agegender_train.models import Network
from agegender_train.training.objective import Objective


@contextmanager
def averaged_weights(model: Any) -> Iterator[None]:
    """Within it, the model's weights are their running averages, where its optimizer keeps such."""
    optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)  # of 16-bit floats' scaled losses
    if not optimizer.use_ema:
        yield
        return
    variables = model.trainable_variables
    # Copies: JAX gives the memory of a model's variables away in a step, and it must not be that of the averages.
    own = [np.array(ops.convert_to_numpy(variable)) for variable in variables]
    for variable, average in zip(variables, optimizer._model_variables_moving_average, strict=True):
        variable.assign(np.array(ops.convert_to_numpy(average)))
    try:
        yield
    finally:
        for variable, value in zip(variables, own, strict=True):
            variable.assign(value)


def validate(
    model: Any,
    network: Network,
    objective: Objective,
    faces: FaceSet,
    rows: npt.NDArray[np.int64],
    spec: PreprocessSpec,
    batch_size: int,
) -> tuple[dict[str, Any], float]:
    """Figures (see `metrics.Scores.compute`) and loss of a model on faces as they are, without augmentation."""
    parts: dict[str, list[npt.NDArray[np.float32]]] = {name: [] for name in objective.outputs.values()}
    for start in range(0, len(rows), batch_size):
        outputs = model.predict_on_batch(preprocess(faces.chips(rows[start : start + batch_size]), spec))
        for name, values in parts.items():
            values.append(np.asarray(outputs[name], np.float32))
    predicted = {name: np.concatenate(values) for name, values in parts.items()}
    labels = faces.labels[rows]
    age, p_male = network.decode(predicted)
    return Scores.from_batch(age, np.clip(p_male, 0, 1), labels).compute(), objective.value(predicted, labels)
