"""One review of one store: its faces, the decisions on them, and what the page shows of them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from agegender_core.predict import Predictor
from agegender_train.files import folder_lock
from agegender_train.metrics.errors import age_error, gender_error
from agegender_train.review.other_faces import Box, OtherFaces
from agegender_train.review.predictions import Predictions
from agegender_train.review.selection import STATES, Selection
from agegender_train.store import Store
from agegender_train.store.changes import find_rows
from agegender_train.store.chips import images_of
from agegender_train.store.decisions import REVIEW_FILE, Decision, DecisionLog
from agegender_train.store.faces import read_face

_STATE_OF = {"accept": 1, "reject": 2, "correct": 3}


class ReviewSession:
    """The state and the actions behind the page's requests. Safe to use from many threads.

    Args:
        store: opened without its review.
        log: the store's decisions, open for appending.
        predictor: whose predictions the faces can be sorted by.
        others: finds other faces in the pictures that the store was made of; ``None`` where these are not at hand.
        now: gives the time that decisions get.

    Attributes:
        store: as above.
        chips: the faces' JPEGs by row.
        predictions: the model's.
        repaired: whether the file ended in an incomplete line, which was removed.
    """

    def __init__(
        self,
        store: Store,
        log: DecisionLog,
        predictor: Predictor,
        others: OtherFaces | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.store, self._log, self._others, self._now = store, log, others, now
        self.repaired = log.repaired
        self.chips = store.encoded()
        self.predictions = Predictions(store, predictor)
        self._names = store.columns("dataset", "key", "face")
        self._boxes = store.columns("box")["box"]
        self._labels = store.labels()
        self._datasets = self._names["dataset"].to_numpy()
        self._states = np.zeros(len(store), np.uint8)
        self._standing: dict[int, list[Decision]] = {}
        self._undoable: list[int] = []  # rows of the decisions that stand, oldest first
        self._log_rows: list[int | None] = []  # row of each decision in the file
        self._lock = threading.Lock()
        rows = find_rows(self._names, {(decision.key, decision.face) for decision in log.decisions})
        for decision in log.decisions:
            self._apply(rows.get((decision.key, decision.face)), decision)

    def about(self) -> dict[str, Any]:
        """What doesn't change while the page is open, and the values that can be asked for."""
        return {
            "name": self.store.name,
            "path": str(self.store.path),
            "faces": len(self.store),
            "chip_size": self.store.chip_size,
            "datasets": sorted(set(self._datasets.tolist()) - {None}),
            "groups": sorted(set(self._labels.group.tolist()) - {None}),
            "states": STATES,
            "detector": None if self._others is None else self._others.detector,
            **self.changes(len(self._log_rows)),
        }

    def select(self, selection: Selection) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.uint8]]:
        """The rows of a selection in their order, and the state of each as its place in `STATES`."""
        with self._lock:
            rows = selection.rows(self._labels, self._datasets, self._states, self._errors())
            return rows, self._states[rows]

    def faces(self, rows: Sequence[int]) -> list[dict[str, Any]]:
        """What is known of some faces.

        Raises:
            IndexError: a row is out of range.
        """
        for row in rows:
            self._check(row)
        with self._lock:
            return [self._describe(row) for row in rows]

    def chip(self, row: int, box: Box | None = None) -> bytes:
        """The JPEG of a face: the store's, or the one in that box that replaces it.

        Raises:
            IndexError: the row is out of range.
            OSError: it can't be read, or there is none with that box.
        """
        self._check(row)
        if box is None:
            return self.chips[row]
        decision = self._decision(row, "correct", box=box)
        face = read_face(self.store.path, decision, self.store.chip_size, self.store.chip_padding)
        return images_of(face)[0]

    def other_faces(self, row: int) -> dict[str, Any]:
        """The size of a face's picture, the boxes of all faces found in it, and where the store has this one.

        Raises:
            IndexError: the row is out of range.
            LookupError: the session was begun without the store's source.
            OSError: the picture can't be read.
            ValueError: it can't be decoded.
        """
        picture = self._source.picture(self._key(row))
        height, width = picture.frame.shape[:2]
        with self._lock:
            last = self._last_correction(row)
        box = self._boxes[row].as_py() if last is None or last.box is None else last.box
        return {"width": width, "height": height, "boxes": picture.boxes, "box": box}

    def picture(self, row: int) -> bytes:
        """A JPEG of the picture that a face is from; raises as `other_faces`."""
        return self._source.jpeg(self._key(row))

    def decide(
        self,
        row: int,
        action: str,
        age: tuple[float, float] | None = None,
        gender: int | None = None,
        box: Box | None = None,
    ) -> None:
        """Decides on a face, and saves it.

        A correction adds to the one in force; one that equals the store's label counts as "accept". Accepting a
        corrected face changes nothing: the correction is accepted.

        Args:
            row: the face.
            action: "accept", "reject" or "correct".
            age: corrected youngest and oldest age in years; ``None`` leaves it.
            gender: corrected gender, 1 male, 0 female; ``None`` leaves it.
            box: another face of the picture, one of `other_faces`; ``None`` leaves it.

        Raises:
            IndexError: the row is out of range.
            LookupError: a box was given, and the session was begun without the store's source.
            ValueError: a value is out of range or doesn't go with the action.
            OSError: it can't be written.
        """
        self._check(row)
        low, high = age or (None, None)
        decision = self._decision(row, action, age_low=low, age_high=high, gender=gender, box=box)
        if box is not None:
            self._source.keep(decision)
        with self._lock:
            corrected = self._last_correction(row)
            if action == "accept" and corrected is not None:
                return
            if action == "correct":
                decision = self._settled(row, decision, corrected)
            standing = self._standing.get(row)
            if not standing or replace(standing[-1], time=decision.time) != decision:
                self._log.append([decision])
                self._apply(row, decision)

    def undo(self) -> int | None:
        """Withdraws the last decision in force, on whichever face: its row, or ``None`` if there is none.

        Raises:
            OSError: it can't be written.
        """
        with self._lock:
            if not self._undoable:
                return None
            row = self._undoable[-1]
            decision = self._decision(row, "undo")
            self._log.append([decision])
            self._apply(row, decision)
            return row

    def changes(self, since: int) -> dict[str, Any]:
        """What has happened since the file had so many decisions: the changed faces' states, and the model's progress.

        Args:
            since: "version" of an earlier answer.
        """
        with self._lock:
            rows = {row for row in self._log_rows[max(since, 0) :] if row is not None}
            known = self.predictions
            return {
                "version": len(self._log_rows),
                "changed": [[row, int(self._states[row])] for row in sorted(rows)],
                "can_undo": bool(self._undoable),
                "model": {
                    "name": known.model,
                    "ready": known.age is not None,
                    "running": known.running,
                    "done": known.done,
                    "problem": known.problem,
                },
            }

    def summary(self) -> str:
        """How many faces are in which state, in words."""
        with self._lock:
            counts = np.bincount(self._states, minlength=len(STATES))
        return ", ".join(f"{count} {state}" for count, state in zip(counts[1:].tolist(), STATES[1:], strict=True))

    def _check(self, row: int) -> None:
        if not 0 <= row < len(self._states):
            raise IndexError(f"row must be in 0..{len(self._states) - 1}, got {row}")

    @property
    def _source(self) -> OtherFaces:
        if self._others is None:
            raise LookupError(
                "the pictures that the store was made of are needed: agegender review STORE --source PATH"
            )
        return self._others

    def _key(self, row: int) -> str:
        self._check(row)
        return str(self._names["key"][row].as_py())

    def _last_correction(self, row: int) -> Decision | None:
        standing = self._standing.get(row)
        return standing[-1] if standing and standing[-1].action == "correct" else None

    def _decision(self, row: int, action: str, **correction: Any) -> Decision:
        key, face = self._names["key"][row].as_py(), self._names["face"][row].as_py() or 0
        return Decision(key, face, action, time=self._now().strftime("%Y-%m-%dT%H:%M:%SZ"), **correction)

    def _settled(self, row: int, asked: Decision, last: Decision | None) -> Decision:
        """A correction on top of the last one, without what the store says already: "accept" if that leaves nothing."""
        values = {name: getattr(asked, name) for name in ("age_low", "age_high", "gender", "box")}
        if last is not None:
            values = {name: getattr(last, name) if value is None else value for name, value in values.items()}
        if (values["age_low"], values["age_high"]) == (self._labels.age_low[row], self._labels.age_high[row]):
            values["age_low"] = values["age_high"] = None
        if values["gender"] == self._labels.gender[row]:
            values["gender"] = None
        nothing = all(value is None for value in values.values())
        return replace(asked, action="accept" if nothing else "correct", **values)

    def _apply(self, row: int | None, decision: Decision) -> None:
        self._log_rows.append(row)
        if row is None:
            return
        standing = self._standing.setdefault(row, [])
        if decision.action != "undo":
            standing.append(decision)
            self._undoable.append(row)
        elif standing:
            standing.pop()
            last = len(self._undoable) - 1 - self._undoable[::-1].index(row)
            del self._undoable[last]
        self._states[row] = _STATE_OF[standing[-1].action] if standing else 0

    def _errors(self) -> Mapping[str, npt.NDArray[np.float64]]:
        age, p_male = self.predictions.age, self.predictions.p_male
        if age is None or p_male is None:
            return {}
        if replaced := [row for row in self._standing if self._is_replaced(row)]:
            age, p_male = age.copy(), p_male.copy()
            age[replaced] = p_male[replaced] = np.nan  # they were predicted from the store's faces
        return {"age-error": age_error(self._labels, age), "gender-error": gender_error(self._labels, p_male)}

    def _is_replaced(self, row: int) -> bool:
        last = self._last_correction(row)
        return last is not None and last.box is not None

    def _describe(self, row: int) -> dict[str, Any]:
        labels, last = self._labels, self._last_correction(row)
        low, gender = labels.age_low[row], int(labels.gender[row])
        known = self.predictions
        age, p_male = (None, None) if self._is_replaced(row) else (known.age, known.p_male)
        return {
            "row": row,
            "key": labels.key[row],
            "dataset": self._datasets[row],
            "group": labels.group[row],
            "subject": labels.subject[row],
            "age": None if np.isnan(low) else [float(low), float(labels.age_high[row])],
            "gender": gender if gender >= 0 else None,
            "state": int(self._states[row]),
            "corrected_age": None if last is None or last.age_low is None else [last.age_low, last.age_high],
            "corrected_gender": None if last is None else last.gender,
            "box": None if last is None else last.box,
            "predicted_age": None if age is None or np.isnan(age[row]) else round(float(age[row]), 1),
            "predicted_p_male": None if p_male is None or np.isnan(p_male[row]) else round(float(p_male[row]), 3),
        }


@contextmanager
def open_session(
    path: Path, predictor: Predictor, find_others: Callable[[Store], OtherFaces] | None = None
) -> Iterator[ReviewSession]:
    """A session on the store in the folder `path`, with other sessions kept out while it lasts.

    Args:
        path: the store's folder.
        predictor: see `ReviewSession`.
        find_others: gives what finds other faces, such as `OtherFaces.of`; ``None`` for a session without.

    Raises:
        OSError: there is no such store, another process is working on it, or a file of it can't be read.
        ValueError: the folder is no finished store, or a line of its ``review.csv`` is no decision.
    """
    store = Store.open(path, review=False)
    others = None if find_others is None else find_others(store)
    with folder_lock(store.path):
        session = ReviewSession(store, DecisionLog(store.path / REVIEW_FILE), predictor, others)
        try:
            yield session
        finally:
            session.predictions.stop()
