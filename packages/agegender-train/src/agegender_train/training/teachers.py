"""Knowledge distillation: what finished models predict for the training faces, as targets beside the labels."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from agegender_core.predict import Predictor, load_predictor
from agegender_train.batches.batches import TeacherTargets
from agegender_train.batches.face_set import FaceSet

_BATCH = 256


def load_teachers(paths: Sequence[str], faces: FaceSet, distribution: bool, threads: int) -> list[Predictor]:
    """The models at `paths`. Each averages its predictions for a face and its mirror image.

    Args:
        paths: model files, or names of built-in models.
        faces: the faces that they will predict.
        distribution: whether they must give a probability for each age.
        threads: of each model.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no model file, has an untrained head, wants chips of another size or padding, or gives no
            probability for each age.
    """
    teachers = [load_predictor(path, threads=threads, flip=True) for path in paths]
    cut = faces.chip_size, faces.chip_padding
    for path, teacher in zip(paths, teachers, strict=True):
        wants = teacher.spec.chip_size, teacher.spec.chip_padding
        if wants != cut:
            raise ValueError(
                f"the teacher {path} wants chips of {wants[0]} px with padding {wants[1]}, the stores have chips of "
                f"{cut[0]} px with padding {cut[1]}"
            )
        if teacher.untrained:
            raise ValueError(f"the teacher {path} has not learned the {' and the '.join(teacher.untrained)}")
        if distribution and not teacher.has_distribution:
            raise ValueError(f"the teacher {path} gives years only; this network needs a probability for each age")
    return teachers


def digests(teachers: Sequence[Predictor]) -> list[dict[str, Any]]:
    """The teachers as config.json lists them: name and BLAKE2b hash of each file."""
    return [
        {"name": teacher.name, "blake2b": blake2b(Path(teacher.path).read_bytes(), digest_size=16).hexdigest()}
        for teacher in teachers
    ]


def teacher_targets(
    teachers: Sequence[Predictor], faces: FaceSet, rows: npt.NDArray[np.int64], share: float
) -> TeacherTargets:
    """The mean of the teachers' predictions for faces without augmentation.

    Args:
        teachers: at least one. The ages are distributions if all teachers have one, years otherwise.
        faces: where the chips come from.
        rows: of `faces`.
        share: see `TeacherTargets`.
    """
    distribution = all(teacher.has_distribution for teacher in teachers)
    ages: list[npt.NDArray[np.float32]] = []
    p_male: list[npt.NDArray[np.float32]] = []
    for start in range(0, len(rows), _BATCH):
        chips = faces.chips(rows[start : start + _BATCH])
        predictions = [teacher.predict_chips(chips) for teacher in teachers]
        columns = [one.age_probs if distribution else one.age for one in predictions]
        mean = np.mean(np.stack([column for column in columns if column is not None]), axis=0)
        ages.append(mean if distribution else mean[:, None])
        p_male.append(np.mean(np.stack([one.p_male for one in predictions if one.p_male is not None]), axis=0))
    return TeacherTargets(np.concatenate(ages), np.concatenate(p_male)[:, None], share)
