"""Knowledge distillation: what finished models predict for the training faces, as targets beside the labels."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from agegender_core.files import replacing
from agegender_core.predict import Predictor, load_predictor
from agegender_train.batches.batches import TeacherTargets
from agegender_train.batches.face_set import FaceSet
from agegender_train.runs.folder import describe_data

_BATCH = 256
_KEPT_TOGETHER = 2048


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
    teachers: Sequence[Predictor],
    faces: FaceSet,
    rows: npt.NDArray[np.int64],
    share: float,
    answers: Answers | None = None,
) -> TeacherTargets:
    """The mean of the teachers' predictions for faces without augmentation.

    Args:
        teachers: at least one. The ages are distributions if all teachers have one, years otherwise.
        faces: where the chips come from.
        rows: of `faces`.
        share: see `TeacherTargets`.
        answers: where what a teacher says is kept; nowhere by default.
    """
    distribution = all(teacher.has_distribution for teacher in teachers)
    answers = answers or Answers(None)
    said = [answers.of(teacher, faces, rows, place, len(teachers)) for place, teacher in enumerate(teachers)]
    ages = np.mean(np.stack([one["age_probs"] if distribution else one["age"][:, None] for one in said]), axis=0)
    p_male = np.mean(np.stack([one["p_male"] for one in said]), axis=0)
    return TeacherTargets(ages, p_male[:, None], share)


class Answers:
    """What teachers say of the faces of stores, in files of some thousand faces each: a training that was killed goes
    on from the last one, and another training with the same teacher and stores starts at once.

    A file is found by what is in it: the teacher's and the stores' hashes. It is looked for in `folder`, then in the
    folders of the same name in the runs beside this one.

    Args:
        folder: RUN/teacher-answers; ``None``: nothing is kept.
        writes: whether this process writes it; in data-parallel training only one does.
        progress: called with the number of answers that are there, and that of all of them.
    """

    def __init__(
        self, folder: Path | None, writes: bool = True, progress: Callable[[int, int], None] | None = None
    ) -> None:
        self._folder, self._writes = folder, writes
        self._progress = progress or (lambda done, total: None)

    def of(
        self, teacher: Predictor, faces: FaceSet, rows: npt.NDArray[np.int64], place: int, teachers: int
    ) -> dict[str, npt.NDArray[np.float32]]:
        """Its answers for `rows` of `faces`: age_probs (n, 101) if it has them, age (n,) and p_male (n,).

        Args:
            teacher: a model.
            faces: where the chips come from.
            rows: of `faces`.
            place: number of the teacher, from 0, for the progress.
            teachers: how many there are.
        """
        key = _key(teacher, faces)
        needed = np.unique(rows // _KEPT_TOGETHER)
        blocks = {}
        for done, block in enumerate(needed.tolist(), 1):
            start = block * _KEPT_TOGETHER
            blocks[block] = self._block(teacher, faces, np.arange(start, min(start + _KEPT_TOGETHER, len(faces))), key)
            self._progress(place * len(rows) + round(done / len(needed) * len(rows)), teachers * len(rows))
        places = list(zip((rows // _KEPT_TOGETHER).tolist(), (rows % _KEPT_TOGETHER).tolist(), strict=True))
        columns = next(iter(blocks.values()), {})
        return {name: np.stack([blocks[block][name][row] for block, row in places]) for name in columns}

    def _block(
        self, teacher: Predictor, faces: FaceSet, rows: npt.NDArray[np.int64], key: str
    ) -> dict[str, npt.NDArray[np.float32]]:
        name = Path(key) / f"{rows[0]}.npz"
        if self._folder is not None:
            for folder in (self._folder, *sorted(self._folder.parent.parent.glob(f"*/{self._folder.name}"))):
                if (folder / name).is_file():
                    with np.load(folder / name) as kept:
                        return dict(kept)
        parts = [teacher.predict_chips(faces.chips(part)) for part in np.split(rows, range(_BATCH, len(rows), _BATCH))]
        columns = ("age", "p_male", *(("age_probs",) if teacher.has_distribution else ()))
        said: dict[str, Any] = {column: np.concatenate([getattr(part, column) for part in parts]) for column in columns}
        if self._folder is not None and self._writes:
            path = self._folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(path) as unfinished, unfinished.open("wb") as file:
                np.savez(file, **said)
        return said


def _key(teacher: Predictor, faces: FaceSet) -> str:
    """The same for equal answers: by the model's file, and by what is in the stores."""
    of = [digests([teacher]), teacher.flip, describe_data(faces.stores), _KEPT_TOGETHER]
    return blake2b(json.dumps(of).encode(), digest_size=16).hexdigest()
