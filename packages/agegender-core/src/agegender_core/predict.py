"""Ages and genders of aligned faces, by any model file."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import cached_property, partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from . import hub
from .align import Aligner
from .decoding import MAX_AGE, Floats
from .decoding import Prediction as Prediction
from .faces import Faces, Frame
from .frames import as_frame, contiguous
from .model_file import FLIPS, UNSURE, Flip, check_description, decoder_of, from_metadata, spec_of, wants_flip
from .onnx_runtime import ModelFileError as ModelFileError
from .preprocess import preprocess
from .runtimes import open_network
from .spelling import with_near_names
from .stages import BatchStage, looked_at, to_look_at

MODELS_PATH = Path(__file__).parent / "models"
# Faces at a time: of more than eight, what goes from layer to layer no longer fits a core's cache. A device that is no
# CPU gets up to 32; the memory for the faces of a crowd is never given back.
_BATCH_OF_THREAD, _BATCH = 8, 32
MODELS = MappingProxyType({"accurate": "efficientnetlite2", "fast": "mobilenetv2", "tiny": "ssrnet"})
"""The models that come with the package, by what they are: the names of their networks, which load them, too."""
PICTURE_MODEL = "accurate"
"""The default for pictures: it takes some 10 ms a face on a CPU, or 20 where it is unsure, little beside finding it."""
VIDEO_MODEL = "fast"
"""The default for videos."""

_PREDICTED = ("age", "age_std", "age_interval", "age_probs", "p_male")


def load_predictor(
    path: str | os.PathLike[str] | None = None,
    threads: int = 1,
    flip: Flip | None = None,
    device: str = "cpu",
    runtime: str = "onnxruntime",
) -> Predictor:
    """Load a model.

    Args:
        path: an ``.onnx`` file with the metadata of an agegender model, or one that comes with the package: "accurate",
            "fast" or "tiny", or the name of its network (`MODELS`). A file of that name comes first. ``None``:
            "accurate".
        threads: threads of the runtime within one call. One is the fastest for a few small faces.
        flip: whether the network looks at each face a second time, mirrored, and both answers are averaged: better, and
            twice the network's time. "unsure": only at faces to whose likelier gender it gives less than
            `decoding.SURE`, one in eight: as good for the gender. ``None``: as the model file asks: "accurate" for the
            latter, "fast" and "tiny" for all faces.
        device: where the network runs: "cpu", "auto" for the fastest device that ONNX Runtime can use here, or one of
            `agegender_core.onnx_runtime.DEVICES`.
        runtime: what runs the network: "onnxruntime", "openvino" (on the CPU; the extra ``agegender-core[openvino]``),
            or "auto" for the faster of those that are installed. "auto" measures both when OpenVINO is there, which
            takes a second or two, and keeps the result in `agegender_core.runtimes.cache_folder`.

    Raises:
        FileNotFoundError: there is no such file.
        ModelFileError: the file is no ONNX model, or lacks metadata; the message says which.
        DeviceError: no such device, or ONNX Runtime can't use it here.
        RuntimeChoiceError: no such runtime, it isn't installed, or it isn't for this device.
        ValueError: `flip` is none of these, or `threads` is below 1.
    """
    chosen = Path(PICTURE_MODEL if path is None else path)
    if path is None or (not chosen.exists() and str(chosen) in model_names()):
        chosen = MODELS_PATH / f"{MODELS.get(str(chosen), chosen)}.onnx"
    return Predictor(chosen, threads=threads, flip=flip, device=device, runtime=runtime)


def model_names() -> list[str]:
    """The names that load a model of the package: what they are, then their networks'."""
    return [*MODELS, *MODELS.values()]


class Predictor(BatchStage):
    """A model file as a stage: fills age, age_std, p_male and, where the model has them, age_probs and age_interval.

    What the model has not learned stays ``None``: a training on faces without genders makes no gender up.

    One object may be used from many threads at once.

    Attributes:
        name: the network's name, e.g. "ssrnet".
        spec: how it wants its faces.
        metadata: all of the file's metadata, text by key.
        flip: whether it looks at each face a second time, mirrored; "unsure": at those of whose gender it is unsure.
        provider: what runs the network: ONNX Runtime's provider, such as "CPUExecutionProvider", or "OpenVINO".
    """

    def __init__(
        self,
        path: Path,
        threads: int = 1,
        flip: Flip | None = None,
        device: str = "cpu",
        runtime: str = "onnxruntime",
    ) -> None:
        if not path.is_file():
            missing = FileNotFoundError(f"no model file at {path}; the package's own are called {', '.join(MODELS)}")
            raise with_near_names(missing, str(path), model_names())
        if flip not in (None, *FLIPS.values()):
            raise ValueError(f"flip must be True, False or {UNSURE!r}, got {flip!r}")
        if threads < 1:
            raise ValueError(f"threads must be at least 1, got {threads}")
        self.path = path
        self._made_of = path.absolute(), threads, flip, device, runtime
        self._network = open_network(path, threads, device, runtime)
        self.provider = self._network.provider
        on_cpu = self.provider == "CPUExecutionProvider"
        self._batch = min(_BATCH_OF_THREAD * threads, _BATCH) if on_cpu else _BATCH
        self.metadata = self._network.metadata
        description = from_metadata(self.metadata)
        check_description(description, path)
        try:
            self.spec = spec_of(description)
            self._decode = decoder_of(description)
            if unknown := set(self._decode.outputs) - set(self._network.output_names):
                raise ValueError(f"the network has no output named {', '.join(sorted(unknown))}")
        except ValueError as error:
            raise ModelFileError(f"{path}: {error}") from None
        self.name = description["name"]
        self.flip = wants_flip(description) if flip is None else flip

    @classmethod
    def from_pretrained(
        cls,
        name: str | os.PathLike[str],
        *,
        revision: str | None = None,
        token: str | bool | None = None,
        cache_dir: str | os.PathLike[str] | None = None,
        local_files_only: bool = False,
        **options: Any,
    ) -> Predictor:
        """The model of a folder, or of a repository of the Hugging Face Hub.

        Args:
            name: a folder that `save_pretrained` or a training wrote, with ``model.onnx``; else ``"owner/name"``, which
                needs the extra ``agegender-core[hub]``, and a network unless it is in the Hub's cache.
            revision: of a repository: a branch, tag or commit.
            token: see ``huggingface_hub.hf_hub_download``, like the next two.
            cache_dir: where downloads are kept.
            local_files_only: take a repository from the cache, without a network.
            **options: see `load_predictor`: threads, flip, device, runtime.

        Raises:
            OSError: there is no such folder or repository, it holds no model, or it can't be reached.
            ModelFileError: the file in it is no model of agegender.
            ModuleNotFoundError: a repository is asked for, and huggingface_hub isn't installed.
        """
        where = {"revision": revision, "token": token, "cache_dir": cache_dir, "local_files_only": local_files_only}
        return cls(hub.fetch(name, **where), **options)  # type: ignore[arg-type]

    def save_pretrained(self, folder: str | os.PathLike[str]) -> None:
        """Write the model as ``model.onnx``, and a card as ``README.md``, into a folder. A card that is there stays.

        Raises:
            OSError: the folder can't be written.
        """
        hub.save(self.path, from_metadata(self.metadata), folder)

    def push_to_hub(
        self,
        repository: str,
        *,
        private: bool | None = None,
        token: str | bool | None = None,
        commit_message: str = "Upload by agegender",
    ) -> str:
        """Upload the model and a card to a repository of the Hugging Face Hub; a card that is there stays.

        Args:
            repository: ``"owner/name"``; it is made if it isn't there.
            private: of a repository that is made.
            token: of the Hub; by default the one that ``hf auth login`` keeps.
            commit_message: of the upload.

        Returns:
            The address of the commit.

        Raises:
            OSError: the Hub can't be reached, or refuses.
            ModuleNotFoundError: huggingface_hub isn't installed: it is the extra ``agegender-core[hub]``.
        """
        description = from_metadata(self.metadata)
        return hub.push(self.path, description, repository, private=private, token=token, message=commit_message)

    def __repr__(self) -> str:
        return f"Predictor({self.name!r}, {self.spec.input_size} px, {self.path})"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), self._made_of

    def __call__(self, frame: Frame, faces: Faces, *, bgr: bool = False) -> Faces:
        """Fill age, age_std, p_male, and age_probs and age_interval where the model has them.

        Chips that an `Aligner` cut as the model's spec asks are used as they are. Others are cut again from the frame,
        by the same landmarks: a network that sees faces of another size or margin than in training gives wrong ages.
        `bgr`: see `Pipeline`.
        """
        part = self._fitting(frame, to_look_at(faces), bgr)
        assert part.chips is not None
        prediction = self.predict_chips(part.chips)
        part = part.with_columns(**{name: getattr(prediction, name) for name in _PREDICTED})
        return looked_at(faces, part, *_PREDICTED)

    def batch(self, frames: Sequence[Frame], faces: Sequence[Faces]) -> list[Faces]:
        """As the call, for the faces of several frames, which go through the network together."""
        cut = [self._fitting(frame, to_look_at(one)) for frame, one in zip(frames, faces, strict=True)]
        ends = np.cumsum([len(one) for one in cut])[:-1]
        prediction = self.predict_chips(np.concatenate([one.chips for one in cut if one.chips is not None]))
        parts: dict[str, list[Any]] = {
            name: [None] * len(cut) if column is None else np.split(column, ends)
            for name, column in ((name, getattr(prediction, name)) for name in _PREDICTED)
        }
        done = [one.with_columns(**{name: parts[name][place] for name in _PREDICTED}) for place, one in enumerate(cut)]
        return [looked_at(one, part, *_PREDICTED) for one, part in zip(faces, done, strict=True)]

    @cached_property
    def _aligner(self) -> Aligner:
        # Only when it is needed: loading the landmarks takes tens of milliseconds, and pipelines cut the chips before.
        return Aligner(self.spec.chip_size, self.spec.chip_padding)

    def _fitting(self, frame: Frame, faces: Faces, bgr: bool = False) -> Faces:
        fits = (
            faces.chips is not None
            and faces.chips.shape[1] == self.spec.chip_size
            and faces.chip_padding == self.spec.chip_padding
        )
        return faces if fits else self._aligner(as_frame(frame, bgr), faces)

    def predict_chips(self, chips: npt.NDArray[np.uint8]) -> Prediction:
        """Predict from chips that were cut with the spec's chip_size and chip_padding.

        Args:
            chips: uint8 RGB (n, chip_size, chip_size, 3).

        Raises:
            ValueError: another shape or dtype.
        """
        return self._decode(self.raw_outputs(chips))

    @property
    def untrained(self) -> tuple[str, ...]:
        """Those of "age" and "gender" that the model has not learned, and gives as ``None``."""
        return self._decode.untrained

    @property
    def has_distribution(self) -> bool:
        """Whether its predictions have `age_probs`."""
        return self._decode.has_distribution

    def raw_outputs(self, chips: npt.NDArray[np.uint8]) -> dict[str, Floats]:
        """What the network says of the chips, float32 (n, k) by the output's name, before anything is made of it.

        Of faces that `flip` asks for, the mean of what it says of the chip and of its mirror image.

        Args:
            chips: as for `predict_chips`.

        Raises:
            ValueError: another shape or dtype.
        """
        return self._outputs(chips, partial(preprocess, spec=self.spec), 2)

    def predict_inputs(self, inputs: Floats) -> Prediction:
        """Predict from what the network itself gets, such as `agegender_core.augment.augment` makes of changed chips.

        Args:
            inputs: float32 (n, s, s, 3), or (n, 3, s, s) for the layout "nchw", with s = ``spec.input_size``.

        Raises:
            ValueError: another shape.
        """
        size, width = self.spec.input_size, 2 if self.spec.layout == "nhwc" else 3
        shape = (size, size, 3) if self.spec.layout == "nhwc" else (3, size, size)
        if inputs.shape[1:] != shape:
            raise ValueError(f"inputs must have shape (n, {', '.join(map(str, shape))}), got {inputs.shape}")
        return self._decode(self._outputs(inputs, lambda part: part, width))

    def _outputs(
        self, faces: npt.NDArray[Any], to_inputs: Callable[[npt.NDArray[Any]], Floats], width: int
    ) -> dict[str, Floats]:
        """See `raw_outputs`; `width` is the axis that a mirror turns round."""
        if not self.flip:
            return self._run(faces, to_inputs)
        if self.flip == UNSURE:
            seen = self._run(faces, to_inputs)
            again = np.flatnonzero(self._decode.is_unsure(seen))
            if len(again):
                for name, values in self._run(_mirrored(faces[again], width), to_inputs).items():
                    seen[name][again] = (seen[name][again] + values) * np.float32(0.5)
            return seen
        number = len(faces)
        both = self._run(np.concatenate([faces, _mirrored(faces, width)]), to_inputs)
        return {name: (values[:number] + values[number:]) * np.float32(0.5) for name, values in both.items()}

    def _run(self, faces: npt.NDArray[Any], to_inputs: Callable[[npt.NDArray[Any]], Floats]) -> dict[str, Floats]:
        # No more inputs at a time than the network gets at a time.
        starts = range(0, max(len(faces), 1), self._batch)
        parts = [self._run_batch(to_inputs(faces[start : start + self._batch])) for start in starts]
        return parts[0] if len(parts) == 1 else {name: np.concatenate([p[name] for p in parts]) for name in parts[0]}

    def _run_batch(self, inputs: Floats) -> dict[str, Floats]:
        names = self._decode.outputs
        if len(inputs) == 0:
            # Networks need not stand an empty batch.
            widths = (MAX_AGE + 1 if self._decode.has_distribution else 1, 2)
            return {name: np.empty((0, width), np.float32) for name, width in zip(names, widths, strict=True)}
        return self._network.run(tuple(names), inputs)


def _mirrored(faces: npt.NDArray[Any], width: int) -> npt.NDArray[Any]:
    if faces.ndim != 4 or faces.dtype != np.uint8:
        return np.flip(faces, width)
    count, height, *pixels = faces.shape
    return contiguous(faces.reshape(count * height, *pixels)[:, ::-1]).reshape(faces.shape)
