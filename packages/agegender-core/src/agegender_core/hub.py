"""Models as folders and as repositories of the Hugging Face Hub: a model file, and a card that says what it is.

Nothing here talks to a network but `fetch` for a repository, and `push`.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from .files import write_bytes

MODEL_FILE = "model.onnx"
CARD_FILE = "README.md"
INSTALL = 'pip install huggingface_hub (the extra "agegender-core[hub]")'

_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
# The Hub's names of the licences that model files name, by how those begin.
_LICENCES = {"CC BY 4.0": "cc-by-4.0", "CC0": "cc0-1.0", "MIT": "mit", "Apache-2.0": "apache-2.0"}


class HubError(OSError):
    """A folder or repository that holds no model, or can't be reached."""


def fetch(
    name: str | os.PathLike[str],
    *,
    revision: str | None = None,
    token: str | bool | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
    local_files_only: bool = False,
) -> Path:
    """The model file of a folder, or of a repository of the Hub, which is downloaded unless it is in the cache.

    Args:
        name: a folder with `MODEL_FILE`, or with one ``.onnx`` file; else a repository, ``"owner/name"``.
        revision: of a repository: a branch, tag or commit.
        token: see ``huggingface_hub.hf_hub_download``, like the next two.
        cache_dir: where downloads are kept; by default the Hub's cache in the home folder.
        local_files_only: take a repository from the cache, without a network.

    Raises:
        HubError: there is no such folder or repository, or it holds no model, or it can't be reached.
        ModuleNotFoundError: a repository is asked for, and huggingface_hub isn't installed.
    """
    folder = Path(name)
    if folder.is_dir():
        return _model_in(folder)
    text = os.fspath(name)
    if not isinstance(text, str) or not _REPOSITORY.fullmatch(text):
        raise HubError(f'{name} is neither a folder nor the name of a repository, "owner/name"')
    hub = _huggingface_hub()
    try:
        found = hub.hf_hub_download(
            text, MODEL_FILE, revision=revision, token=token, cache_dir=cache_dir, local_files_only=local_files_only
        )
    except (OSError, ValueError) as error:  # what the Hub's errors are kinds of
        reason = str(error).strip().partition("\n")[0]
        raise HubError(f"no {MODEL_FILE} of {text} could be had: {reason or type(error).__name__}") from error
    return Path(found)


def save(path: Path, description: Mapping[str, str], folder: str | os.PathLike[str], name: str = "") -> None:
    """Writes a copy of a model file, and a card, into a folder, which is made. A card that is there stays.

    Args:
        path: the model file.
        description: what it says of itself, see `agegender_core.model_file`.
        folder: where to.
        name: of the repository, for the card's example.

    Raises:
        OSError: it can't be written.
    """
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    model = target / MODEL_FILE
    if not (model.exists() and model.samefile(path)):
        write_bytes(model, path.read_bytes())
    card = target / CARD_FILE
    if not card.exists():
        write_bytes(card, card_of(description, name or str(target)).encode())


def push(
    path: Path,
    description: Mapping[str, str],
    repository: str,
    *,
    private: bool | None = None,
    token: str | bool | None = None,
    message: str = "Upload by agegender",
) -> str:
    """Uploads a model file and a card to a repository of the Hub, which is made. A card that is there stays.

    Returns:
        The address of the commit.

    Raises:
        HubError: it can't be reached, or refuses.
        ModuleNotFoundError: huggingface_hub isn't installed.
    """
    if not _REPOSITORY.fullmatch(repository):
        raise HubError(f'{repository} is not the name of a repository, "owner/name"')
    import tempfile  # slow to import, and needed here alone

    hub = _huggingface_hub()
    api = hub.HfApi(token=token, library_name="agegender")
    try:
        api.create_repo(repository, private=private, exist_ok=True)
        has_card = api.file_exists(repository, CARD_FILE)
        with tempfile.TemporaryDirectory() as folder:
            save(path, description, folder, repository)
            if has_card:
                (Path(folder) / CARD_FILE).unlink()
            return str(api.upload_folder(repo_id=repository, folder_path=folder, commit_message=message))
    except (OSError, ValueError) as error:
        raise HubError(f"{repository} could not be uploaded: {str(error).strip().partition(chr(10))[0]}") from error


def card_of(description: Mapping[str, str], name: str) -> str:
    """A model card in Markdown with the front matter that the Hub reads, of what a model file says of itself."""
    licence = description.get("licence", "")
    short = next((id_ for start, id_ in _LICENCES.items() if licence.startswith(start)), "other")
    front = ["---", f"license: {short}"]
    if short == "other":
        front.append(f"license_name: {json.dumps(licence or 'unknown')}")
    front += [
        "library_name: agegender",
        "pipeline_tag: image-classification",
        "tags: [age-estimation, gender-classification, faces, onnx]",
        "---",
    ]
    spec = json.loads(description["preprocess"])
    size = spec["input_size"]
    training = json.loads(description.get("training", "{}"))
    lines = [
        *front,
        "",
        f"# {description['name']}",
        "",
        "A model for age and gender from faces, for the Python package agegender:",
        "",
        "```python",
        "import agegender as ag",
        "",
        f"predictor = ag.Predictor.from_pretrained({json.dumps(name)})",
        'faces = ag.analyze("party.jpg", model=predictor.path)',
        "```",
        "",
        f"- Input: {size} x {size} pixels, from aligned chips of {spec['chip_size']} pixels",
        f"- Licence of the weights: {licence or 'not stated'}",
        *(f"- {key}: {_plain(value)}" for key, value in training.items()),
    ]
    metrics = json.loads(description.get("metrics", "[]"))
    if metrics:
        lines += ["", "## Figures", ""]
        lines += [f"- {', '.join(f'{key}: {_plain(value)}' for key, value in row.items())}" for row in metrics]
    return "\n".join(lines) + "\n"


def _plain(value: Any) -> str:
    text = f"{value:.4g}" if isinstance(value, float) else value if isinstance(value, str) else json.dumps(value)
    return " ".join(text.split())


def _model_in(folder: Path) -> Path:
    model = folder / MODEL_FILE
    if model.is_file():
        return model
    others = sorted(folder.glob("*.onnx"))
    if len(others) != 1:
        held = "several .onnx files" if others else "no .onnx file"
        raise HubError(f"{folder} holds no {MODEL_FILE}, and {held}")
    return others[0]


def _huggingface_hub() -> Any:
    try:
        return import_module("huggingface_hub")
    except ModuleNotFoundError as error:
        reason = ModuleNotFoundError("the package huggingface_hub is not installed", name=error.name)
        reason.add_note(INSTALL)
        raise reason from None
