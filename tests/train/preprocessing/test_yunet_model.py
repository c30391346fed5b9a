from __future__ import annotations

from pathlib import Path

import pooch
import pytest

from agegender_train.preprocessing.pictures import PreprocessSettings, default_tools
from agegender_train.preprocessing.yunet_model import FILE, SHA256, URLS, fetch_yunet


def test_the_cached_file_is_taken_without_a_network(
    shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = (shared_data / "models" / "yunet" / FILE).read_bytes()
    (tmp_path / FILE).write_bytes(content)
    monkeypatch.setattr(pooch.core, "stream_download", lambda *args, **kwargs: pytest.fail("went to the network"))
    assert fetch_yunet(tmp_path).read_bytes() == content


def test_the_second_address_is_tried_and_the_hash_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, ...]] = []

    def retrieve(url: str, known_hash: str, name: str, folder: Path) -> str:
        asked.append((url, known_hash, name))
        if len(asked) == 1:
            raise ValueError("the hash is another")
        return str(folder / name)

    monkeypatch.setattr(pooch, "retrieve", retrieve)
    assert fetch_yunet(tmp_path) == tmp_path / FILE
    assert asked == [(url, f"sha256:{SHA256}", FILE) for url in URLS]


def test_without_a_network_it_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def retrieve(*_: object) -> str:
        raise ConnectionError("no route")

    monkeypatch.setattr(pooch, "retrieve", retrieve)
    with pytest.raises(OSError, match=r"can't be downloaded \(ConnectionError\).*give --detector-model PATH"):
        fetch_yunet(tmp_path)


def test_tools_know_which_model_they_have(shared_data: Path) -> None:
    path = shared_data / "models" / "yunet" / FILE
    tools = default_tools(PreprocessSettings("test", detector="yunet"), detector_model=path)
    assert (tools.detector_sha256, tools.smallest_face) == (SHA256, None)
    hog = default_tools(PreprocessSettings("test", detector_upsample=1))
    assert (hog.detector_sha256, hog.smallest_face) == (None, 36)
    with pytest.raises(ValueError, match="detector_model is for the yunet detector"):
        default_tools(PreprocessSettings("test"), detector_model=path)
