"""Some hundred pictures become a part of the table: on this machine, or on a worker of a cluster."""

from __future__ import annotations

import hashlib
import tempfile
import threading
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from agegender_core.faces import Frame
from agegender_core.pipeline import Pipeline
from agegender_core.predict import MODELS, MODELS_PATH, PICTURE_MODEL, model_names
from agegender_core.records import face_records

from .listing import Item, Listing
from .rows import look_at_all
from .table import IMAGE, encode_face, encode_rows

FEWEST, MOST, MOST_WITH_IMAGES = 16, 1000, 250
_SHARDS = 200


def shard_size(pictures: int, images: bool) -> int:
    """How many pictures a shard has, by their number alone, so that a run that goes on finds the same shards.

    About 200 shards, of 16 pictures at least, so that work can be shared out and little is lost; and 1000 at most
    (250 with pictures of the faces), which bounds what a worker holds: the rows of one shard and, for each of its
    threads, the pixels of one picture.
    """
    return min(max(FEWEST, -(-pictures // _SHARDS)), MOST_WITH_IMAGES if images else MOST)


@dataclass(frozen=True)
class Recipe:
    """All that decides about the rows, besides the pictures.

    Attributes:
        options: of `Pipeline.for_pictures`, without the model, as pairs in order of their names.
        model: the name of a model of the package, or ``None`` for a file.
        model_sha256: of the model file, in hex.
        images: whether the table has pictures of the faces.
        versions: of the packages that have a say, as pairs; ``None`` for what isn't installed.
    """

    options: tuple[tuple[str, Any], ...]
    model: str | None
    model_sha256: str
    images: bool
    versions: tuple[tuple[str, str | None], ...]

    @classmethod
    def of(cls, model: str | Path | None, options: dict[str, Any], images: bool) -> tuple[Recipe, Path]:
        """The recipe for a model, as `load_predictor` takes it, and the options of a pipeline; and the model's file.

        Raises:
            OSError: there is no such file.
        """
        path = Path(PICTURE_MODEL if model is None else model)
        name = str(path) if model is None or (not path.exists() and str(path) in model_names()) else None
        if name is not None:
            path = MODELS_PATH / f"{MODELS.get(name, name)}.onnx"
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        return cls(tuple(sorted(options.items())), name, digest, images, versions()), path


def versions() -> tuple[tuple[str, str | None], ...]:
    """Of the packages that decide what is in a row, here."""
    import cv2

    found: dict[str, str | None] = {"OpenCV": cv2.__version__}
    for name, packages in {
        "agegender-core": ("agegender-core",),
        "onnxruntime": ("onnxruntime", "onnxruntime-gpu"),
        "openvino": ("openvino",),
        "pillow-heif": ("pillow-heif",),
    }.items():
        found[name] = next((one for one in map(_version, packages) if one), None)
    return tuple(sorted(found.items()))


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


@dataclass(frozen=True)
class ShardTask:
    """One shard to make.

    Attributes:
        index: from 0.
        pictures: what is in it.
        key: of the whole run; stands in the part.
    """

    index: int
    pictures: Listing
    key: str


@dataclass(frozen=True)
class Tally:
    """What was done.

    Attributes:
        pictures: all, those that failed included.
        faces: found.
        failed: could not be read.
        without: were read and have no face.
    """

    pictures: int = 0
    faces: int = 0
    failed: int = 0
    without: int = 0

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            self.pictures + other.pictures,
            self.faces + other.faces,
            self.failed + other.failed,
            self.without + other.without,
        )

    def with_row(self, row: dict[str, Any]) -> Tally:
        """With one picture more."""
        return Tally(
            self.pictures + 1,
            self.faces + len(row["faces"]),
            self.failed + (row["error"] is not None),
            self.without + (row["error"] is None and not row["faces"]),
        )


@dataclass(frozen=True)
class MadeShard:
    """A part of the table.

    Attributes:
        index: of its task.
        content: a Parquet file.
        tally: what is in it.
        missing: the first picture that is not there, or may not be read, by its number in the shard.
    """

    index: int
    content: bytes
    tally: Tally
    missing: int | None


def make_shard(
    task: ShardTask,
    recipe: Recipe,
    pipeline: Pipeline,
    workers: int = 1,
    on_picture: Callable[[], None] = lambda: None,
) -> MadeShard:
    """Looks at the pictures of a shard. Equal pictures and recipes give equal bytes.

    Args:
        task: which.
        recipe: how.
        pipeline: of the recipe.
        workers: so many pictures are in work at a time.
        on_picture: called after each.

    Raises:
        ModuleNotFoundError: a source needs a package that isn't installed.
    """

    def look(_: Item, image: Frame, row: dict[str, Any]) -> None:
        faces = pipeline(image)
        row["faces"] = face_records(faces)
        if recipe.images and faces.chips is not None:
            for record, chip in zip(row["faces"], faces.chips, strict=True):
                record[IMAGE] = encode_face(chip)

    rows, tally, missing = [], Tally(), None
    with closing(look_at_all(task.pictures, look, workers)) as seen:
        for number, one in enumerate(seen):
            rows.append(one.row)
            tally = tally.with_row(one.row)
            if one.missing and missing is None:
                missing = number
            on_picture()
    about = {"key": task.key, "index": task.index, **vars(tally)}
    return MadeShard(task.index, encode_rows(rows, recipe.images, about), tally, missing)


_loading = threading.Lock()  # several threads of a worker start at once
_loaded: dict[Recipe, Pipeline] = {}


def pipeline_of(recipe: Recipe, model: bytes | None) -> Pipeline:
    """The pipeline of a recipe, loaded once in a process, and kept until there is another one.

    Args:
        recipe: whose.
        model: the content of the model file, unless it is one of the package.

    Raises:
        OSError: the model of that name is another one here.
    """
    with _loading:
        if recipe not in _loaded:
            _loaded.clear()
            _loaded[recipe] = _load(recipe, model)
        return _loaded[recipe]


def _load(recipe: Recipe, model: bytes | None) -> Pipeline:
    options = dict(recipe.options)
    if recipe.model is not None:
        here, _ = Recipe.of(recipe.model, options, recipe.images)
        if here.model_sha256 != recipe.model_sha256:
            raise OSError(f"the model {recipe.model} is another one here")
        return Pipeline.for_pictures(recipe.model, **options)
    assert model is not None
    with tempfile.TemporaryDirectory(prefix="agegender-") as folder:
        path = Path(folder) / "model.onnx"
        path.write_bytes(model)
        return Pipeline.for_pictures(path, **options)
