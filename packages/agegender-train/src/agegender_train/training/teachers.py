"""Knowledge distillation: what finished models predict for the training faces, as targets beside the labels."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from agegender_core.augment import augment
from agegender_core.files import replacing
from agegender_core.predict import Predictor, load_predictor
from agegender_train.batches.augment import Views
from agegender_train.batches.batches import TeacherTargets
from agegender_train.batches.face_set import FaceSet
from agegender_train.files import no_progress
from agegender_train.runs.folder import describe_data

_BATCH = 256
_KEPT_TOGETHER = 2048
_ONLY_AS_THEY_ARE = Views()


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
    views: Views = _ONLY_AS_THEY_ARE,
) -> TeacherTargets:
    """The mean of the teachers' predictions for faces as they are, and for views of them.

    Args:
        teachers: see `load_teachers`.
        faces: where the chips come from.
        rows: of `faces`.
        share: see `TeacherTargets`.
        predictions: where they are kept; nowhere by default.
        views: of each face, beside the face as it is.
    """
    age = "age_probs" if all(teacher.has_distribution for teacher in teachers) else "age"
    each = (predictions or TeacherPredictions(None)).of(teachers, faces, rows, views)
    shape = views.count + 1, len(rows), -1
    ages, p_male = zip(*((one[age].reshape(shape), one["p_male"].reshape(shape)) for one in each), strict=True)
    return TeacherTargets(np.mean(ages, axis=0), np.mean(p_male, axis=0), share)


class TeacherPredictions:
    """What teachers predict for the faces of stores, in files of some thousand faces each: a training that was killed
    goes on from the last one, and another training with the same teacher and stores starts at once.

    A file is found by what is in it: the teacher's and the stores' hashes, and for a view of the faces how it is drawn,
    of which faces. It is looked for in `folder`, then in the folders of the same name in the runs beside this one.

    Args:
        folder: RUN/teacher-predictions; ``None``: nothing is kept.
        writes: whether this process writes it; in data-parallel training only one does.
        progress: called with the number of predictions that are there, and that of all of them.
        threads: that make the views.
    """

    def __init__(
        self,
        folder: Path | None,
        writes: bool = True,
        progress: Callable[[int, int], None] = no_progress,
        threads: int = 1,
    ) -> None:
        self._folder, self._writes, self._progress, self._threads = folder, writes, progress, threads

    def of(
        self,
        teachers: Sequence[Predictor],
        faces: FaceSet,
        rows: npt.NDArray[np.int64],
        views: Views = _ONLY_AS_THEY_ARE,
    ) -> Iterator[dict[str, npt.NDArray[np.float32]]]:
        """Each teacher's for v views of `rows` of `faces`, from view 0 on: age (v, n), p_male (v, n), and age_probs
        (v, n, 101) if it has them.
        """
        # As they are, faces are the same for every training on these stores; a view of them is of this one's.
        starts = np.unique(rows // _KEPT_TOGETHER) * _KEPT_TOGETHER
        whole = [np.arange(start, min(start + _KEPT_TOGETHER, len(faces))) for start in starts.tolist()]
        places = np.searchsorted(np.concatenate([rows[:0], *whole]), rows)
        own = np.split(rows, range(_KEPT_TOGETHER, len(rows), _KEPT_TOGETHER))
        done, total = 0, len(teachers) * (len(whole) + views.count * len(own))
        looks = len(teachers) * (views.count + 1) * len(rows)
        for teacher in teachers:
            seen = []
            for view in range(views.count + 1):
                folders = self._folders(_key(teacher, faces, rows, views, view))
                found = []
                for number, block in enumerate(own if view else whole):
                    name = f"{number * _KEPT_TOGETHER if view else block[0]}.npz"
                    look = partial(self._look, teacher, faces, block, rows, views, view)
                    found.append(self._kept(folders, name, look))
                    done += 1
                    self._progress(round(done / total * looks), looks)
                joined = {name: np.concatenate([one[name] for one in found]) for name in found[0]}
                seen.append(joined if view else {name: column[places] for name, column in joined.items()})
            yield {name: np.stack([one[name] for one in seen]) for name in seen[0]}

    def _folders(self, key: str) -> list[Path]:
        """Where predictions may be kept, the own folder first."""
        if self._folder is None:
            return []
        beside = sorted(self._folder.parent.parent.glob(f"*/{self._folder.name}"))
        return [folder / key for folder in (self._folder, *beside)]

    def _kept(
        self, folders: Sequence[Path], name: str, look: Callable[[], dict[str, Any]]
    ) -> dict[str, npt.NDArray[np.float32]]:
        """What is kept in one of `folders`; else what `look` gives, which is kept then."""
        for folder in folders:
            if (folder / name).is_file():
                with np.load(folder / name) as kept:
                    return dict(kept)
        made = look()
        if folders and self._writes:
            folders[0].mkdir(parents=True, exist_ok=True)
            with replacing(folders[0] / name) as unfinished, unfinished.open("wb") as file:
                np.savez(file, **made)
        return made

    def _look(
        self,
        teacher: Predictor,
        faces: FaceSet,
        block: npt.NDArray[np.int64],
        others: npt.NDArray[np.int64],
        views: Views,
        view: int,
    ) -> dict[str, Any]:
        """What `teacher` predicts for a view of the faces `block`, which may have any of `others` around them."""
        parts = []
        for rows in np.split(block, range(_BATCH, len(block), _BATCH)):
            if view == 0:
                parts.append(teacher.predict_chips(faces.chips(rows)))
                continue
            changes, around = views.changes(np.full(len(rows), view), rows, others)
            chips, beside = faces.in_place(rows), faces.in_place_or_none(around)
            parts.append(teacher.predict_inputs(augment(chips, changes, teacher.spec, beside, self._threads)))
        columns = ("age", "p_male", *(("age_probs",) if teacher.has_distribution else ()))
        return {column: np.concatenate([getattr(part, column) for part in parts]) for column in columns}


def _key(teacher: Predictor, faces: FaceSet, rows: npt.NDArray[np.int64], views: Views, view: int) -> str:
    """The same for equal predictions: by the model's file, by what is in the stores, and by what a view is made of."""
    of: list[Any] = [digests([teacher]), teacher.flip, describe_data(faces.stores), _KEPT_TOGETHER]
    if view:
        of += [view, views.seed, asdict(views.augmentation), blake2b(rows.tobytes(), digest_size=16).hexdigest()]
    return blake2b(json.dumps(of).encode(), digest_size=16).hexdigest()
