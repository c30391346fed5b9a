"""What a store is made of and how: written first, compared before the work goes on."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from agegender_train.datasets.archives import FileTree
from agegender_train.files import write_atomically
from agegender_train.preprocessing.pictures import Settings, Tools
from agegender_train.store import FORMAT, read_description


def version() -> str:
    """Our version, or "unknown" where the package isn't installed."""
    try:
        return metadata.version("agegender-train")
    except metadata.PackageNotFoundError:
        return "unknown"


def describe(
    settings: Settings, tools: Tools, paths: Sequence[Path], files: FileTree, near_duplicates: int | None
) -> dict[str, Any]:
    """The description of a store that is to be made."""
    return {
        "format": FORMAT,
        "complete": False,
        "dataset": settings.dataset,
        "chip_size": settings.chip_size,
        "chip_padding": settings.chip_padding,
        "boxes": settings.boxes,
        "detector": settings.detector,
        "detector_sha256": tools.detector_sha256,
        "detector_upsample": settings.detector_upsample,
        "faces": settings.faces,
        "min_face": settings.min_face,
        "near_duplicates": near_duplicates,
        "landmarks_sha256": tools.landmarks_sha256,
        "version": version(),
        "source": {
            "name": ", ".join(path.resolve().name for path in paths),
            "files": len(files),
            "sha256": files.signature(),
        },
    }


def begin(out: Path, wanted: dict[str, Any]) -> bool:
    """Writes the description of a new store or compares it with the one there; true if the store is finished.

    Raises:
        ValueError: the folder holds something else.
    """
    found = read_description(out)
    if found is None:
        if strangers := sorted(path.name for path in out.iterdir() if not path.name.startswith(".")):
            raise ValueError(f"{out} is no store and not empty (it holds {strangers[0]}): give another folder")
        write_atomically(out / "store.json", wanted)
        return False
    for name, value in wanted.items():
        if name != "complete" and found.get(name) != value:
            if name == "source":
                raise ValueError(f"{out} was made from other files than {value['name']} holds now: give another folder")
            raise ValueError(
                f"{out} was made with {name} = {found.get(name)}, not {value}: give the same again, or another folder"
            )
    return bool(found["complete"])
