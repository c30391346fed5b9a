"""The data of a training: the faces to learn from and the faces to validate on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from agegender_core.spec import PreprocessSpec
from agegender_train.batches.augment import Views
from agegender_train.batches.batches import Batches
from agegender_train.batches.face_set import FaceSet
from agegender_train.models import Network, model_to_start_from
from agegender_train.runs.faces import chosen_rows
from agegender_train.runs.settings import Settings
from agegender_train.store import Store
from agegender_train.store.labels import Labels
from agegender_train.training.devices import Replicas
from agegender_train.training.objective import Objective
from agegender_train.training.state import untrained_before
from agegender_train.training.teachers import TeacherPredictions, digests, load_teachers, teacher_targets
from agegender_train.training.validation import validate


@dataclass(frozen=True)
class TrainingData:
    """The faces of a training, and how its network takes them.

    Attributes:
        network: the network to train.
        objective: the losses to minimise.
        spec: the network's preprocessing.
        faces: of all stores.
        training: int64, rows of `faces` to learn from.
        validation: int64, rows of `faces` to validate on. By `validation_fraction`, they share no person with
            `training`, or no picture in a dataset that names no persons; see `batches.face_set.hold_out`. By a split,
            what the split says.
        batches: of the training faces.
        batch_size: faces in a batch.
        teachers: models to learn from beside the labels; see `teachers.digests`.
        untrained: those of the heads "age" and "gender" that learn nothing here, see `Objective.learns`, and have
            learned nothing in the training that this one starts from.
    """

    network: Network
    objective: Objective
    spec: PreprocessSpec
    faces: FaceSet
    training: npt.NDArray[np.int64]
    validation: npt.NDArray[np.int64]
    batches: Batches
    batch_size: int
    teachers: list[dict[str, Any]]
    untrained: tuple[str, ...] = ()

    def figures(self, model: Any, rows: npt.NDArray[np.int64]) -> tuple[dict[str, Any], float]:
        """Metrics and loss of `model` on `rows`; see `validate`."""
        decoder = self.network.decoder_without(self.untrained)
        return validate(model, decoder, self.objective, self.faces, rows, self.spec, self.batch_size)

    def figures_on_validation(self, model: Any) -> tuple[dict[str, Any], float]:
        """Metrics and loss of `model` on the validation faces."""
        return self.figures(model, self.validation)


def gather(
    stores: Sequence[Store],
    settings: Settings,
    network: Network,
    replicas: Replicas,
    predictions: TeacherPredictions | None = None,
) -> TrainingData:
    """The data of `stores` for a training with `settings`; `predictions` keeps those of its teachers.

    Raises:
        ValueError: stores that are cut differently or hold too few labelled faces, or a setting that doesn't fit them.
        FileNotFoundError: there are no such weights to start from.
    """
    objective = Objective(network, settings)
    start = model_to_start_from(settings.weights)
    if start is not None:
        unknown = set(start.untrained)
    elif settings.weights.endswith(".keras"):
        unknown = set(untrained_before(Path(settings.weights)))
    else:
        unknown = {"age", "gender"} - network.heads_in(settings.weights)
    faces = FaceSet(stores, settings.cache_bytes)
    spec = PreprocessSpec(
        input_size=settings.input_size or network.input_size,
        chip_size=faces.chip_size,
        chip_padding=faces.chip_padding,
        margin=settings.margin,
        mean=network.mean,
        scale=network.scale,
    )
    training, validation = chosen_rows(faces, settings)
    views = Views(settings.teacher_views, settings.augmentation, settings.seed)
    predictions = predictions or TeacherPredictions(None, threads=settings.workers)
    teachers = load_teachers(settings.teachers, faces, objective.wants_distribution, settings.workers)
    batches = Batches(
        faces,
        training,
        spec,
        settings.batch_size,
        settings.seed,
        settings.augmentation,
        settings.balance,
        outputs=objective.outputs,
        share=(replicas.process, replicas.processes),
        teacher=teacher_targets(teachers, faces, training, settings.teacher_share, predictions, views)
        if teachers
        else None,
        views=views,
    )
    if settings.batch_size % replicas.devices:
        raise ValueError(
            f"batch_size must be a multiple of {replicas.devices}, the number of devices, got {settings.batch_size}"
        )
    if settings.accumulate > batches.per_epoch:
        raise ValueError(f"accumulate must be in 1..{batches.per_epoch}, an epoch's batches, got {settings.accumulate}")
    if settings.tensorboard and find_spec("tensorflow") is None:
        raise ValueError("tensorboard needs TensorFlow, which is not installed here")
    learned = objective.learns(faces.labels[training])
    if not learned:
        raise ValueError(
            f"there is nothing to learn from in these {len(training)} faces: no age, and not both genders, whose loss "
            "has a weight above 0"
        )
    untrained = tuple(head for head in ("age", "gender") if head not in learned and head in unknown)
    _check_choice_of_best(settings, faces.labels[validation], learned)
    return TrainingData(
        network,
        objective,
        spec,
        faces,
        training,
        validation,
        batches,
        settings.batch_size,
        digests(teachers),
        untrained,
    )


def _check_choice_of_best(settings: Settings, labels: Labels, learned: Sequence[str]) -> None:
    if not len(labels):
        if settings.patience:
            raise ValueError("patience needs validation faces, and there are none")
        return
    known = {
        "val_loss": True,
        "middle_mae": "age" in learned and bool((~np.isnan(labels.age_low)).any()),
        "age_mae": "age" in learned and bool(labels.age_is_exact.any()),
        "gender_accuracy": "gender" in learned and bool((labels.gender >= 0).any()),
    }
    if not known[settings.best_by]:
        raise ValueError(
            f"best_by {settings.best_by} needs training and validation faces with a label for it, and there are none"
        )
