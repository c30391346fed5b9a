from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest

from agegender_core import Aligner, HogDetector, read_image
from agegender_core.faces import Faces
from agegender_train.duplicates.agreement import Label
from agegender_train.duplicates.near_duplicates import Dropped, find_near_duplicates, near_pairs
from agegender_train.duplicates.phash import perceptual_hash
from agegender_train.duplicates.same_picture import face_of, is_same_picture, thumb_of
from agegender_train.store import Store, encode_chip


@pytest.fixture(scope="module")
def picture(astronaut_path: Path) -> np.ndarray:
    return read_image(astronaut_path)


def chip_of(picture: np.ndarray, box: list[float], size: int = 140) -> np.ndarray:
    chips = Aligner(size=size)(picture, Faces(np.array([box], np.float32))).chips
    assert chips is not None
    return chips[0]


@pytest.fixture(scope="module")
def box(picture: np.ndarray) -> list[float]:
    found = HogDetector()(picture, Faces.empty())
    return found.xyxy[0].tolist()


def versions(picture: np.ndarray, box: list[float]) -> dict[str, np.ndarray]:
    """The same picture as people pass it on."""
    height, width = picture.shape[:2]
    half = cv2.resize(picture, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
    grey = cv2.cvtColor(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 35])[1]
    left, top, right, bottom = box
    moved = [left + 4, top - 3, right + 2, bottom - 1]
    marked = cv2.putText(picture.copy(), "agency", (int(left), int(bottom) + 20), 0, 0.4, (255, 255, 255), 1)
    return {
        "smaller": chip_of(half, [edge / 2 for edge in box]),
        "grey": chip_of(grey, box),
        "darker": chip_of((picture * 0.6).astype(np.uint8), box),
        "compressed": chip_of(cv2.imdecode(data, cv2.IMREAD_COLOR), box),
        "cut otherwise": chip_of(picture, moved),
        "marked": chip_of(marked, box),
    }


def test_a_picture_is_known_again_at_another_size_in_other_colours_compressed_cut_and_marked(
    picture: np.ndarray, box: list[float]
) -> None:
    original = face_of(encode_chip(chip_of(picture, box)))
    for how, version in versions(picture, box).items():
        assert is_same_picture(original, face_of(encode_chip(version))), how
        assert is_same_picture(face_of(encode_chip(version)), original), how


def test_other_and_empty_pictures_are_not_the_same(picture: np.ndarray, box: list[float]) -> None:
    original = face_of(encode_chip(chip_of(picture, box)))
    rng = np.random.default_rng(1)
    noise = rng.integers(0, 256, (140, 140, 3), np.uint8)
    blurred = cv2.GaussianBlur(noise, (0, 0), 6)
    mirrored = np.ascontiguousarray(chip_of(picture, box)[:, ::-1])
    for other in (noise, blurred, mirrored, np.zeros_like(noise), np.full_like(noise, 200)):
        assert not is_same_picture(original, face_of(encode_chip(other)))
        assert not is_same_picture(face_of(encode_chip(other)), original)
    black = face_of(encode_chip(np.zeros_like(noise)))
    assert not is_same_picture(black, black)


@pytest.mark.parametrize("size", [32, 64, 100, 140, 300])
def test_thumbnails_are_alike_at_every_size_of_chip(picture: np.ndarray, box: list[float], size: int) -> None:
    def thumb(size: int) -> np.ndarray:
        return thumb_of(encode_chip(chip_of(picture, box, size))).astype(float)

    assert thumb(size).shape == (32, 32)
    assert np.corrcoef(thumb(size).ravel(), thumb(140).ravel())[0, 1] > 0.96


def test_pairs_are_found_among_others_and_from_blocks_of_any_size(
    picture: np.ndarray, box: list[float], tmp_path: Path
) -> None:
    rng = np.random.default_rng(3)
    others = [cv2.resize(rng.integers(0, 256, (24, 24, 3), np.uint8), (140, 140)) for _ in range(30)]
    chips = [*others[:10], chip_of(picture, box), *others[10:], *versions(picture, box).values()]
    encoded = [encode_chip(chip) for chip in chips]
    hashes = np.array([perceptual_hash(chip) for chip in chips], np.uint64)
    same = {10, *range(31, 37)}
    results = []
    heard: list[tuple[str, int, int]] = []
    for block in (1, 7, 100):
        heard.clear()
        with ThreadPoolExecutor(2) as executor:
            pairs = near_pairs(
                hashes,
                lambda block=block: (encoded[start : start + block] for start in range(0, len(encoded), block)),
                8,
                tmp_path,
                executor,
                lambda *step: heard.append(step),
            )
        results.append(pairs.tolist())
        assert set(pairs.ravel().tolist()) == same
        assert (pairs[:, 0] < pairs[:, 1]).all()
        assert max(done for phase, done, _ in heard if phase == "near-duplicates") == 2 * len(chips)
        assert heard[-1][0] == "comparing"
        assert heard[-1][1] == heard[-1][2]
    assert results[0] == results[1] == results[2]


def test_without_rows_or_with_one_there_are_no_pairs(tmp_path: Path) -> None:
    chip = encode_chip(np.zeros((64, 64, 3), np.uint8))
    with ThreadPoolExecutor(1) as executor:
        for count in (0, 1):
            pairs = near_pairs(np.zeros(count, np.uint64), lambda n=count: [[chip] * n], 8, tmp_path, executor)
            assert pairs.shape == (0, 2)


def test_copies_of_copies_are_copies_and_labels_decide_what_stays() -> None:
    adult, group, child, none = Label(30, 30, 1), Label(25, 35, 1), Label(5, 5, 1), Label(30, 30, None)
    labels = [adult, adult, adult, none, adult, group, child, adult, group]
    keys = list("abcdefghi")
    pairs = np.array([(0, 2), (2, 4), (1, 6), (3, 7), (5, 8)])
    assert find_near_duplicates(keys, [0] * 9, labels, pairs) == [
        Dropped("b", 0, "conflicting labels", "g"),
        Dropped("c", 0, "near-duplicate", "a"),
        Dropped("d", 0, "near-duplicate", "h"),  # says less
        Dropped("e", 0, "near-duplicate", "a"),
        Dropped("g", 0, "conflicting labels", "b"),
        Dropped("i", 0, "near-duplicate", "f"),
    ]


def test_no_two_people_of_fgnet_are_taken_for_one_picture(shared_data: Path, tmp_path: Path) -> None:
    from agegender_train.preprocessing import preprocess

    preprocess("fgnet", shared_data / "fgnet", tmp_path / "store", near_duplicates=None, limit=120)
    store = Store.open(tmp_path / "store")
    hashes = store.columns("phash")["phash"].to_numpy()
    with ThreadPoolExecutor(os.cpu_count()) as executor:  # 16 bits: many are compared
        pairs = near_pairs(hashes, lambda: [store.encoded()], 16, tmp_path, executor)
    assert len(store) > 100
    assert pairs.tolist() == []
