"""A model's predictions for all faces of a store: made once, in the background, and kept on disk."""

from __future__ import annotations

import hashlib
import io
import threading
from pathlib import Path

import numpy as np
import numpy.typing as npt

from agegender_core.predict import Predictor
from agegender_train.files import write_atomically
from agegender_train.store import Store

_BATCH = 128


class Predictions:
    """A model's ages and genders for the faces of a store, once they are made.

    They are kept in ``review/`` in the store's folder, under the hashes of model and store.

    Args:
        store: opened without its review.
        predictor: the model.

    Attributes:
        model: what the model is called.
        problem: why there are none, in a sentence; empty without a problem.
        done: faces that are predicted.
        total: faces of the store.
        age: float32 (n,), years; ``None`` until all are there; NaN from a model that has not learned ages.
        p_male: float32 (n,), in [0, 1]; ``None`` until all are there; NaN from a model that has not learned genders.
    """

    def __init__(self, store: Store, predictor: Predictor) -> None:
        self._store, self._predictor = store, predictor
        self.model = predictor.path.name
        self.done, self.total = 0, len(store)
        self.age: npt.NDArray[np.float32] | None = None
        self.p_male: npt.NDArray[np.float32] | None = None
        self.problem = ""
        spec = predictor.spec
        if (spec.chip_size, spec.chip_padding) != (store.chip_size, store.chip_padding):
            self.problem = (
                f"{self.model} wants chips of {spec.chip_size} px with padding {spec.chip_padding}, the store has "
                f"{store.chip_size} px with padding {store.chip_padding}"
            )
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._file = _cache_file(store, predictor.path)
        self._load()

    @property
    def running(self) -> bool:
        """Whether they are being made."""
        return self._thread is not None and self._thread.is_alive()

    def start(self) -> None:
        """Begins to predict, unless it is done, has begun, or is impossible."""
        with self._lock:
            if self._thread is None and self.age is None and not self.problem:
                self._thread = threading.Thread(target=self._run, name="predictions", daemon=True)
                self._thread.start()

    def stop(self) -> None:
        """Stops unfinished work, and returns when nothing is running any more."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        try:
            parts = []
            while self.done < self.total:
                rows = np.arange(self.done, min(self.done + _BATCH, self.total))
                prediction = self._predictor.predict_chips(self._store.decode(rows))
                columns = (prediction.age, prediction.p_male)
                unknown = np.full(len(rows), np.nan, np.float32)
                parts.append(np.stack([unknown if column is None else column for column in columns]))
                self.done += len(rows)
                if self._stop.is_set():
                    return
            found = np.concatenate(parts, axis=1) if parts else np.empty((2, 0), np.float32)
            self.p_male, self.age = found[1], found[0]
            self._keep(found)
        except Exception as error:  # a thread's error would be lost: it belongs on the page
            self.problem = f"{self.model} could not predict the faces: {error}"

    def _keep(self, found: npt.NDArray[np.float32]) -> None:
        content = io.BytesIO()
        np.save(content, found)
        self._file.parent.mkdir(exist_ok=True)
        write_atomically(self._file, content.getvalue())

    def _load(self) -> None:
        if self.problem or not self._file.exists():
            return
        try:
            found = np.load(self._file, allow_pickle=False)
        except (ValueError, OSError, EOFError):
            return  # a damaged cache is rebuilt
        if found.dtype == np.float32 and found.shape == (2, self.total):
            self.age, self.p_male, self.done = found[0], found[1], self.total


def _cache_file(store: Store, model: Path) -> Path:
    with model.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return store.path / "review" / f"{digest[:16]}-{store.fingerprint[:16]}.npy"
