"""What a training can be asked; imports no framework, so that the command line can show the defaults."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from agegender_train.batches.augment import Augmentation

CHOICES = {
    "schedule": ("cosine", "step", "constant"),
    "precision": ("float32", "mixed_bfloat16", "mixed_float16"),
    "best_by": ("val_loss", "middle_mae", "age_mae", "gender_accuracy"),
}
"""What the settings that are names may be."""

_NOT_NEGATIVE = (
    "weight_decay",
    "age_weight",
    "gender_weight",
    "margin",
    "cache_bytes",
    "frozen_epochs",
    "patience",
    "checkpoint_minutes",
)


@dataclass(frozen=True)
class Settings:
    """One training, but for its data and its folder.

    Attributes:
        model: name of the network; see `models.network_names`.
        model_options: the network's own arguments, such as ``{"width": 2}``.
        input_size: side of the input in pixels; ``None`` for the network's own.
        margin: margin that the network sees, as a part of the face's side; at most the stores' chip_padding.
        epochs: walks over the training faces.
        batch_size: faces a step.
        learning_rate: of AdamW, at its highest.
        schedule: "cosine" down to a hundredth after a short warm-up; "step", a tenth from each of `step_epochs` on;
            "constant".
        step_epochs: after how many epochs "step" falls; the SSR-Net authors' 30 and 60 unless asked otherwise.
        weight_decay: of AdamW; 0 makes it Adam.
        ema: momentum of the running average of weights that is validated and exported; 0 for the weights themselves.
        seed: of the split, the first weights, the order of faces and the augmentation.
        validation_fraction: part of the people that is kept out of training, in [0, 1).
        split: name of a split of the stores to train and validate by, instead of `validation_fraction`.
        fold: the fold of it to validate on; not given for a split with sides "train" and "val".
        weights: where the weights of a network's trunk start: "imagenet" for Keras's own download, a file like it, or
            "none" for chance; or where all weights start: a checkpoint of another training, ``.keras``.
        frozen_epochs: so many epochs at first the trunk stays as it is and the heads alone learn, at the highest
            learning rate.
        train_from: name of the first layer that learns after that; "" for all.
        age_loss: one of `losses.AGE_LOSSES`.
        age_loss_options: its arguments, such as ``{"smoothness": 10}``.
        age_weight: weight of the age loss; "expected" is in years, the others in nats.
        gender_weight: weight of the gender loss, per nat.
        gender_smoothing: see `losses.GenderLoss`.
        teachers: model files, or names of built-in ones, whose mean opinion of each training face the network learns
            beside its label. They look at it mirrored, too.
        teacher_share: how much of that it learns, in [0, 1]; the labels have the rest.
        balance: see `batches.age_weights`.
        augmentation: how far chips are changed.
        accumulate: batches whose gradients make one step of the optimizer; schedule and `ema` count such steps.
        precision: "float32"; or "mixed_bfloat16" or "mixed_float16" for layers that compute in 16 bits, with weights of
            32 all the same.
        best_by: what makes an epoch the best, on the validation faces: "val_loss", "middle_mae", "age_mae" (of known
            ages) or "gender_accuracy"; the weights of the best are exported.
        patience: training ends after so many epochs without a better one; 0: never. The epochs of `frozen_epochs`
            don't count.
        checkpoint_minutes: within an epoch, the state to go on from is kept every so many minutes; 0: after each batch.
            At an epoch's end it always is.
        deterministic: equal settings give equal weights to the last bit on equal machines; slower on a GPU.
        tensorboard: also writes the history as TensorBoard's events; needs TensorFlow.
        device: "auto", "cpu" or "gpu:N".
        data_parallel: each batch is shared out to all devices, those of other processes too; see docs/training.md.
        workers: threads that make batches.
        cache_bytes: memory for decoded chips.
        licence: licence of the trained model, written into its file.
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
        for name in ("learning_rate",):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be above 0, got {getattr(self, name)}")
        for name in _NOT_NEGATIVE:
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)}")
        for name in ("ema", "validation_fraction"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must be in [0, 1), got {getattr(self, name)}")
        if not 0 <= self.teacher_share <= 1:
            raise ValueError(f"teacher_share must be in [0, 1], got {self.teacher_share}")
        if self.frozen_epochs >= self.epochs:
            raise ValueError(f"frozen_epochs must be below epochs, {self.epochs}, got {self.frozen_epochs}")
        if list(self.step_epochs) != sorted({epoch for epoch in self.step_epochs if epoch > 0}):
            raise ValueError(f"step_epochs must rise from 1 on, got {tuple(self.step_epochs)}")
        if self.fold is not None and self.split is None:
            raise ValueError(f"fold is one of a split's: give split, too, got fold {self.fold} alone")
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                listed = f"{', '.join(choices[:-1])} or {choices[-1]}"
                raise ValueError(f"{name} must be {listed}, got {getattr(self, name)!r}")
        if self.data_parallel and self.device != "auto":
            raise ValueError(f"data_parallel takes all devices: device must be auto, got {self.device!r}")
