"""Models in folders, in the Hub's cache, and on their way to the Hub. Nothing here needs a network."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from agegender_core import ModelFileError, Predictor, load_predictor
from agegender_core.hub import CARD_FILE, MODEL_FILE, HubError
from agegender_core.predict import MODELS_PATH

CHIPS = np.random.default_rng(0).integers(0, 256, (3, 140, 140, 3), np.uint8)


@pytest.fixture(scope="module")
def tiny() -> Predictor:
    return load_predictor("tiny")


def same(one: Predictor, other: Predictor) -> bool:
    return np.array_equal(one.predict_chips(CHIPS).age, other.predict_chips(CHIPS).age)


def test_a_folder_and_back(tiny: Predictor, tmp_path: Path) -> None:
    folder = tmp_path / "Gesichter für alle"
    tiny.save_pretrained(folder)
    assert sorted(path.name for path in folder.iterdir()) == [CARD_FILE, MODEL_FILE]
    assert same(Predictor.from_pretrained(folder), tiny)
    assert Predictor.from_pretrained(folder, flip=False, threads=2).flip is False
    # Into the folder that it came from, with a card that somebody wrote.
    (folder / CARD_FILE).write_text("mine")
    Predictor.from_pretrained(folder).save_pretrained(folder)
    assert (folder / CARD_FILE).read_text() == "mine"
    assert same(Predictor.from_pretrained(folder), tiny)


def test_the_card_is_one_that_the_hub_reads(tiny: Predictor, tmp_path: Path) -> None:
    tiny.save_pretrained(tmp_path)
    _, front, body = (tmp_path / CARD_FILE).read_text().split("---\n", 2)
    about = yaml.safe_load(front)
    assert about["license"] == "cc-by-4.0"
    assert about["library_name"] == "agegender"
    assert "# ssrnet" in body
    assert "- Licence of the weights: CC BY 4.0" in body
    assert "- Input: 64 x 64 pixels, from aligned chips of 140 pixels" in body
    assert f'from_pretrained("{tmp_path}")' in body


def test_a_training_is_a_folder_too(tiny: Predictor, tmp_path: Path) -> None:
    shutil.copy(tiny.path, tmp_path / "best.onnx")
    assert same(Predictor.from_pretrained(tmp_path), tiny)
    shutil.copy(tiny.path, tmp_path / "other.onnx")
    with pytest.raises(HubError, match=r"holds no model\.onnx, and several \.onnx files"):
        Predictor.from_pretrained(tmp_path)


def test_what_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(HubError, match=r"holds no model\.onnx, and no \.onnx file"):
        Predictor.from_pretrained(tmp_path)
    with pytest.raises(HubError, match="neither a folder nor the name of a repository"):
        Predictor.from_pretrained(tmp_path / "missing")
    (tmp_path / MODEL_FILE).write_bytes(b"hello")
    with pytest.raises(ModelFileError, match=MODEL_FILE):
        Predictor.from_pretrained(tmp_path)


def test_a_repository_in_the_cache(tiny: Predictor, tmp_path: Path) -> None:
    """As huggingface_hub lays it out; it finds the file itself."""
    pytest.importorskip("huggingface_hub")
    repository, commit = tmp_path / "models--me--faces", "0123456789abcdef0123456789abcdef01234567"
    snapshot = repository / "snapshots" / commit
    snapshot.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs/main").write_text(commit)
    shutil.copy(tiny.path, snapshot / MODEL_FILE)
    where: dict[str, Any] = {"cache_dir": tmp_path, "local_files_only": True}
    assert same(Predictor.from_pretrained("me/faces", **where), tiny)
    assert same(Predictor.from_pretrained("me/faces", revision=commit, **where), tiny)
    with pytest.raises(HubError, match=r"no model\.onnx of me/others could be had: "):
        Predictor.from_pretrained("me/others", **where)


@pytest.mark.parametrize("has_card", [True, False])
def test_push(tiny: Predictor, monkeypatch: pytest.MonkeyPatch, has_card: bool) -> None:
    hub = pytest.importorskip("huggingface_hub")
    calls: list[tuple[str, Any]] = []

    class Api:
        def __init__(self, **options: Any) -> None:
            calls.append(("api", options))

        def create_repo(self, name: str, **options: Any) -> None:
            calls.append(("create", (name, options)))

        def file_exists(self, name: str, file: str) -> bool:
            return has_card and file == CARD_FILE

        def upload_folder(self, *, repo_id: str, folder_path: str, commit_message: str) -> str:
            files = {path.name: path.read_bytes() for path in Path(folder_path).iterdir()}
            calls.append(("upload", (repo_id, files, commit_message)))
            return "https://hub/commit/1"

    monkeypatch.setattr(hub, "HfApi", Api)
    address = tiny.push_to_hub("me/faces", private=True, token="secret", commit_message="First")
    assert address == "https://hub/commit/1"
    (_, api), (_, created), (_, (repository, files, message)) = calls
    assert api["token"] == "secret"
    assert created == ("me/faces", {"private": True, "exist_ok": True})
    assert (repository, message) == ("me/faces", "First")
    assert files[MODEL_FILE] == (MODELS_PATH / "ssrnet.onnx").read_bytes()
    assert (CARD_FILE in files) is not has_card
    if not has_card:
        assert b'from_pretrained("me/faces")' in files[CARD_FILE]


def test_refusals_of_the_hub_are_one_sentence(tiny: Predictor, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = pytest.importorskip("huggingface_hub")

    class Api:
        def __init__(self, **_: Any) -> None: ...

        def create_repo(self, *_: Any, **__: Any) -> None:
            raise OSError("401 Client Error.\nRequest ID: 7")

    monkeypatch.setattr(hub, "HfApi", Api)
    with pytest.raises(HubError, match=r"^me/faces could not be uploaded: 401 Client Error\.$"):
        tiny.push_to_hub("me/faces")
    with pytest.raises(HubError, match=r"faces is not the name of a repository"):
        tiny.push_to_hub("faces")


def test_without_the_library(tiny: Predictor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    for call in (lambda: Predictor.from_pretrained("me/faces"), lambda: tiny.push_to_hub("me/faces")):
        with pytest.raises(ModuleNotFoundError, match="huggingface_hub is not installed") as refused:
            call()
        assert refused.value.__notes__ == ['pip install huggingface_hub (the extra "agegender-core[hub]")']
    tiny.save_pretrained(tmp_path)
    assert same(Predictor.from_pretrained(tmp_path), tiny)
