"""`preprocess`: the call that makes an aligned store: in parallel, resumable, the same bytes every time."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

from agegender_core._opencv import quiet_opencv
from agegender_core.cpus import usable_cpus
from agegender_train import __version__
from agegender_train.audit import write_audit
from agegender_train.datasets import Dataset, get_dataset
from agegender_train.datasets.archives import FileTree
from agegender_train.files import Progress, folder_lock, keep_apart, no_progress
from agegender_train.preprocessing.cluster import Recipe
from agegender_train.preprocessing.making import Making
from agegender_train.preprocessing.pictures import Boxes, Detector, PreprocessSettings, Tools, default_tools
from agegender_train.preprocessing.search import Policy
from agegender_train.preprocessing.workspace import Workspace, begin, describe, finish

NEAR_DUPLICATES = 8
MAX_NEAR_DUPLICATES = 16


def preprocess(
    dataset: str | Dataset,
    source: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    out: str | os.PathLike[str],
    *,
    boxes: Boxes = "detect-then-known",
    detector: Detector = "hog",
    detector_model: str | os.PathLike[str] | None = None,
    faces: Policy = "largest",
    min_face: int = 24,
    size: int = 140,
    padding: float = 0.4,
    detector_upsample: int = 0,
    landmarks: str | os.PathLike[str] | None = None,
    near_duplicates: int | None = NEAR_DUPLICATES,
    workers: int | None = None,
    scheduler: str | None = None,
    limit: int | None = None,
    report: bool = False,
    progress: Progress = no_progress,
    tools: Tools | None = None,
) -> dict[str, Any]:
    """Makes the aligned store `out` of a dataset, or continues where an earlier call was stopped.

    The store's bytes depend only on the source and the settings, not on `workers`, `scheduler` or interruptions. In
    memory are an index of the dataset (some 2 kB a picture), one picture for each worker, and the encoded faces of two
    shards (of one for each worker of a cluster).

    Args:
        dataset: a reader or its name.
        source: the dataset's folder or archives, as its authors distribute them.
        out: the store's folder; it is made.
        boxes: where faces come from; see `PreprocessSettings`.
        detector: "hog" or "yunet"; see `PreprocessSettings`.
        detector_model: YuNet's model file.
        faces: what to do with several faces; see `PreprocessSettings`.
        min_face: smaller faces are left out; pixels.
        size: side of a chip in pixels.
        padding: margin round the face, as a part of the face's side.
        detector_upsample: how many times the picture is doubled before detection; each time halves the smallest face.
        landmarks: a dlib 5-point model file instead of the built-in one.
        near_duplicates: in how many of 64 bits (0..16) the perceptual hashes of two faces may differ that are compared
            pixel by pixel; ``None`` not to look for near-duplicates.
        workers: threads; as many as there are CPUs when ``None``.
        scheduler: address of a Dask scheduler ("tcp://host:8786") whose workers make the shards instead.
        limit: only the first so many pictures.
        report: also write the audit as a page, with plots and pictures; see `agegender_train.audit.write_audit`.
        progress: called with these phases, in this order: "duplicates" counts files that are compared, "faces"
            pictures, "near-duplicates" faces, "comparing" pairs of faces, "finishing" shards.
        tools: a detector, an aligner and a decoder to use instead of those of `agegender_core`.

    Returns:
        The content of ``audit.json``: counts of pictures, faces, kept rows and rejections by reason; `notes` and
        `warnings`, which are sentences. Nothing may have been kept.

    Raises:
        ValueError: an argument is out of range, `out` was made with other settings, `source` isn't the dataset, or one
            of the two lies in the other.
        OSError: `source` can't be read, `out` can't be written, another process is working on it, or `scheduler`
            doesn't answer.
    """
    reader = get_dataset(dataset) if isinstance(dataset, str) else dataset
    settings = PreprocessSettings(reader.name, boxes, size, padding, detector_upsample, min_face, detector, faces)
    if limit is not None and limit < 1:
        raise ValueError(f"limit must be at least 1, got {limit}")
    if near_duplicates is not None and not 0 <= near_duplicates <= MAX_NEAR_DUPLICATES:
        raise ValueError(f"near_duplicates must be in 0..{MAX_NEAR_DUPLICATES} bits, got {near_duplicates}")
    workers = usable_cpus() if workers is None else workers
    if workers < 1:
        raise ValueError(f"workers must be at least 1, got {workers}")
    if scheduler is not None and tools is not None:
        raise ValueError("tools can't be sent to the workers of a scheduler: give one or the other")
    paths = [Path(path) for path in ([source] if isinstance(source, str | os.PathLike) else source)]
    out = Path(out)
    keep_apart(out, paths)
    files = reader.open(*paths)
    keep_apart(out, paths, files.folders)
    entries = list(islice(reader.entries(files), limit))
    tools = default_tools(settings, landmarks, detector_model) if tools is None else tools
    description = describe(settings, tools, paths, files, near_duplicates)
    description |= {"limit": limit, "pictures": len(entries)}
    with quiet_opencv(), _full_disk_explained(out), folder_lock(out):
        workspace = Workspace(out)
        making = Making(entries, files, workspace, settings, tools, near_duplicates, progress)
        complete = begin(out, description)
        unfinished = making.unfinished()
        if not complete or unfinished or not all((out / name).exists() for name in ("audit.json", "audit.parquet")):
            workspace.prepare()
            recipe = None if scheduler is None else _recipe(paths, files, settings, tools, landmarks, detector_model)
            making.run(unfinished, workers, scheduler, recipe)
            finish(workspace, description, making.count, files, making.losses(reader.age_groups))
            complete = False
        if report and not (complete and (out / "audit.html").exists()):
            write_audit(out, files)
        return json.loads((out / "audit.json").read_bytes())  # type: ignore[no-any-return]


def _recipe(
    paths: Sequence[Path],
    files: FileTree,
    settings: PreprocessSettings,
    tools: Tools,
    landmarks: str | os.PathLike[str] | None,
    detector_model: str | os.PathLike[str] | None,
) -> Recipe:
    return Recipe(
        source=tuple(str(path.resolve()) for path in paths),
        signature=files.signature(),
        settings=settings,
        landmarks=None if landmarks is None else str(Path(landmarks).resolve()),
        detector_model=None if detector_model is None else str(Path(detector_model).resolve()),
        models=(tools.landmarks_sha256, tools.detector_sha256),
        version=__version__,
    )


@contextmanager
def _full_disk_explained(out: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        full = OSError(f"the disk of {out} is full: free some space and run the same command again to continue")
        full.errno = error.errno
        raise full from error
