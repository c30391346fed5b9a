"""Knowledge distillation: what finished models predict for the training faces, as targets beside the labels."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from agegender_core.files import replacing
from agegender_core.predict import Predictor, load_predictor
from agegender_train.batches.batches import TeacherTargets
from agegender_train.batches.face_set import FaceSet
from agegender_train.files import no_progress
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
    predictions: TeacherPredictions | None = None,
) -> TeacherTargets:
    """The mean of the teachers' predictions for faces without augmentation.

    Args:
        teachers: see `load_teachers`.
        faces: where the chips come from.
        rows: of `faces`.
        share: see `TeacherTargets`.
        predictions: where they are kept; nowhere by default.
    """
    age = "age_probs" if all(teacher.has_distribution for teacher in teachers) else "age"
    each = (predictions or TeacherPredictions(None)).of(teachers, faces, rows)
    ages, p_male = zip(*((one[age].reshape(len(rows), -1), one["p_male"][:, None]) for one in each), strict=True)
    return TeacherTargets(np.mean(ages, axis=0), np.mean(p_male, axis=0), share)


class TeacherPredictions:
    """What teachers predict for the faces of stores, in files of some thousand faces each: a training that was killed
    goes on from the last one, and another training with the same teacher and stores starts at once.

    A file is found by what is in it: the teacher's and the stores' hashes. It is looked for in `folder`, then in the
    folders of the same name in the runs beside this one.

    Args:
        folder: RUN/teacher-predictions; ``None``: nothing is kept.
        writes: whether this process writes it; in data-parallel training only one does.
        progress: called with the number of predictions that are there, and that of all of them.
    """

    def __init__(
        self, folder: Path | None, writes: bool = True, progress: Callable[[int, int], None] = no_progress
    ) -> None:
        self._folder, self._writes, self._progress = folder, writes, progress

    def of(
        self, teachers: Sequence[Predictor], faces: FaceSet, rows: npt.NDArray[np.int64]
    ) -> Iterator[dict[str, npt.NDArray[np.float32]]]:
        """Each teacher's for `rows` of `faces`: age (n,), p_male (n,), and age_probs (n, 101) if it has them."""
        blocks = np.unique(rows // _KEPT_TOGETHER)
        places = np.searchsorted(blocks, rows // _KEPT_TOGETHER) * _KEPT_TOGETHER + rows % _KEPT_TOGETHER
        total = len(teachers) * len(blocks)
        for number, teacher in enumerate(teachers):
            folders, found = self._folders(_key(teacher, faces)), []
            for done, start in enumerate((blocks * _KEPT_TOGETHER).tolist(), number * len(blocks) + 1):
                block = np.arange(start, min(start + _KEPT_TOGETHER, len(faces)))
                found.append(self._block(teacher, faces, block, folders))
                self._progress(round(done / total * len(teachers) * len(rows)), len(teachers) * len(rows))
            yield {name: np.concatenate([one[name] for one in found])[places] for name in found[0]}

    def _folders(self, key: str) -> list[Path]:
        """Where predictions may be kept, the own folder first."""
        if self._folder is None:
            return []
        beside = sorted(self._folder.parent.parent.glob(f"*/{self._folder.name}"))
        return [folder / key for folder in (self._folder, *beside)]

    def _block(
        self, teacher: Predictor, faces: FaceSet, rows: npt.NDArray[np.int64], folders: Sequence[Path]
    ) -> dict[str, npt.NDArray[np.float32]]:
        name = f"{rows[0]}.npz"
        for folder in folders:
            if (folder / name).is_file():
                with np.load(folder / name) as kept:
                    return dict(kept)
        parts = [teacher.predict_chips(faces.chips(part)) for part in np.split(rows, range(_BATCH, len(rows), _BATCH))]
        columns = ("age", "p_male", *(("age_probs",) if teacher.has_distribution else ()))
        made: dict[str, Any] = {column: np.concatenate([getattr(part, column) for part in parts]) for column in columns}
        if folders and self._writes:
            folders[0].mkdir(parents=True, exist_ok=True)
            with replacing(folders[0] / name) as unfinished, unfinished.open("wb") as file:
                np.savez(file, **made)
        return made


def _key(teacher: Predictor, faces: FaceSet) -> str:
    """The same for equal predictions: by the model's file, and by what is in the stores."""
    of = [digests([teacher]), teacher.flip, describe_data(faces.stores), _KEPT_TOGETHER]
    return blake2b(json.dumps(of).encode(), digest_size=16).hexdigest()
