"""Third-party networks to compare with: `open_model` opens whatever one text names as a predictor on chips."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from agegender_core.predict import ModelFileError, load_predictor, model_names
from agegender_core.spelling import with_near_names
from agegender_train.baselines.adapter import AdaptedModel

if TYPE_CHECKING:
    from agegender_train.baselines.insightface import PointFinder
    from agegender_train.evaluation import ChipPredictor

__all__ = ["ACCEPTED", "AdaptedModel", "open_model"]

ACCEPTED = (
    "a name of the package's own, a model file, a third-party .onnx with its adapter .json beside it, "
    "insightface:FOLDER[,yunet=FILE|,mtcnn=FOLDER|,points=fixed] or ssrnet:AGE.h5,GENDER.h5"
)
"""What `open_model` takes, for messages."""


def open_model(text: str, threads: int = 1, flip: bool | None = None, runtime: str = "onnxruntime") -> ChipPredictor:
    """Opens the model that `text` names.

    Args:
        text: one of `ACCEPTED`. InsightFace's faces are aligned by YuNet's landmarks, of another file where
            one is given; by those of MTCNN, whose ``det3`` files are in FOLDER; or by mean landmarks ("fixed").
        threads: of ONNX Runtime within one call.
        flip: whether each face is predicted a second time, mirrored, and both predictions are averaged. ``None``: as
            the model file asks; third-party networks don't.

    Raises:
        OSError: a file is missing or can't be read.
        ValueError: a file is of another kind or incomplete; the message names it and what is missing.
    """
    kind, colon, rest = text.partition(":")
    if runtime != "onnxruntime" and ((colon and kind in {"insightface", "ssrnet"}) or text.endswith(".json")):
        raise ValueError(f"the runtime {runtime} is for agegender's own model files, not for {text}")
    if colon and kind == "insightface":
        return _flipped(_insightface(rest, threads), flip)
    # "ssrnet" alone is the package's own.
    if colon and kind == "ssrnet":
        from agegender_train.baselines.ssrnet import SSRNetAuthors

        files = rest.split(",")
        if len(files) != 2 or not all(files):
            raise ValueError(f"ssrnet: must be followed by two files, AGE.h5,GENDER.h5, got {rest!r}")
        return _flipped(SSRNetAuthors(*files), flip)
    if text.endswith(".json"):
        return _flipped(AdaptedModel(text, threads), flip)
    try:
        return load_predictor(text, threads=threads, flip=flip, runtime=runtime)
    except FileNotFoundError as error:
        raise with_near_names(FileNotFoundError(f"{error}; a model is {ACCEPTED}"), text, model_names()) from None
    except ModelFileError as error:
        adapter = Path(text).with_suffix(".json")
        if adapter.is_file():
            return _flipped(AdaptedModel(adapter, threads), flip)
        raise ModelFileError(f"{error}; a third-party model needs an adapter file beside it, {adapter}") from None


def _flipped(predictor: ChipPredictor, flip: bool | None) -> ChipPredictor:
    if not flip:
        return predictor
    from agegender_train.baselines.mirrored import Mirrored

    return Mirrored(predictor)


def _insightface(text: str, threads: int) -> ChipPredictor:
    from agegender_train.baselines.insightface import InsightFace

    folder, *options = text.split(",")
    if not folder or len(options) > 1:
        raise ValueError(f"insightface: must be followed by FOLDER and at most one source of landmarks, got {text!r}")
    return InsightFace(folder, _points(options[0] if options else "", threads), threads)


def _points(option: str, threads: int) -> PointFinder:
    from agegender_train.baselines.insightface import FixedPoints, MTCNNPoints, YuNetPoints

    key, _, value = option.partition("=")
    if key == "mtcnn" and value:
        return MTCNNPoints(value, threads)
    if key == "yunet" and value:
        return YuNetPoints(value)
    if option == "points=fixed":
        return FixedPoints()
    if option:
        raise ValueError(f"the landmarks must come from yunet=FILE, mtcnn=FOLDER or points=fixed, got {option!r}")
    return YuNetPoints()
