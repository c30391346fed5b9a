from __future__ import annotations

import io
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from agegender_core import ImageError, decode_image, read_image, write_image
from agegender_core.images import MAX_PIXELS


def encoded(picture: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def halves() -> np.ndarray:
    """Red above blue, wider than high."""
    picture = np.zeros((40, 60, 3), np.uint8)
    picture[:20, :, 0] = 250
    picture[20:, :, 2] = 250
    return picture


def test_rgb_not_bgr(halves: np.ndarray) -> None:
    frame = decode_image(encoded(Image.fromarray(halves), "PNG"))
    assert frame.dtype == np.uint8
    assert frame.flags.c_contiguous
    np.testing.assert_array_equal(frame, halves)


def test_exif_orientation_is_applied(halves: np.ndarray) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: show it a quarter turn clockwise
    frame = decode_image(encoded(Image.fromarray(halves), "JPEG", exif=exif, quality=95))
    assert frame.shape == (60, 40, 3)
    assert frame[30, 35, 0] > 200
    assert frame[30, 5, 2] > 200


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGBA", "1", "CMYK"])
def test_every_mode_becomes_rgb(mode: str, halves: np.ndarray) -> None:
    kind = "JPEG" if mode == "CMYK" else "PNG"
    frame = decode_image(encoded(Image.fromarray(halves).convert(mode), kind))
    assert frame.shape == (40, 60, 3)
    if mode in ("P", "RGBA", "CMYK"):
        assert np.abs(frame[5, 5].astype(int) - [250, 0, 0]).max() < 12
    else:
        assert frame[5, 5, 0] == frame[5, 5, 1] == frame[5, 5, 2]


def test_transparent_is_white() -> None:
    rgba = np.zeros((4, 4, 4), np.uint8)
    rgba[0, 0] = [200, 0, 0, 255]
    rgba[0, 1] = [200, 0, 0, 128]
    frame = decode_image(encoded(Image.fromarray(rgba), "PNG"))
    assert frame[3, 3].tolist() == [255, 255, 255]
    assert frame[0, 0].tolist() == [200, 0, 0]
    assert np.abs(frame[0, 1].astype(int) - [227, 127, 127]).max() <= 1


def test_16_bits_are_scaled() -> None:
    deep = np.full((8, 8, 3), 0x8000, np.uint16)
    frame = decode_image(cv2.imencode(".png", deep)[1].tobytes())
    assert np.abs(frame.astype(int) - 128).max() <= 1
    deep_alpha = np.full((8, 8, 4), 0xFFFF, np.uint16)
    assert decode_image(cv2.imencode(".png", deep_alpha)[1].tobytes()).min() == 255


def test_unicode_path(tmp_path: Path, halves: np.ndarray) -> None:
    path = tmp_path / "Größe 写真 ☺.png"
    write_image(path, halves)
    np.testing.assert_array_equal(read_image(path), halves)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize("part", [0.3, 0.6, 0.95])
def test_cut_off(kind: str, part: float, astronaut_path: Path) -> None:
    data = encoded(Image.open(astronaut_path), kind)
    decode_image(data)
    with pytest.raises(ImageError, match="cut off before its end"):
        decode_image(data[: int(len(data) * part)])


def test_a_thumbnail_does_not_hide_the_cut(astronaut_path: Path) -> None:
    thumbnail = encoded(Image.open(astronaut_path).resize((64, 64)), "JPEG")
    data = encoded(Image.open(astronaut_path), "JPEG", exif=b"Exif\0\0" + thumbnail)
    decode_image(data)
    with pytest.raises(ImageError, match="cut off"):
        decode_image(data[: len(data) // 2])


def test_a_film_behind_the_picture_is_no_harm(astronaut_path: Path) -> None:
    film = np.random.default_rng(0).integers(0, 256, 200_000, np.uint8).tobytes().replace(b"\xff\xd9", b"")
    assert decode_image(astronaut_path.read_bytes() + film).shape == (400, 512, 3)


def test_no_pictures(tmp_path: Path) -> None:
    for name, data, why in (("empty.jpg", b"", "empty"), ("text.jpg", b"hello", "not a picture")):
        path = tmp_path / name
        path.write_bytes(data)
        with pytest.raises(ImageError, match=why) as caught:
            read_image(path)
        assert str(path) in str(caught.value)
    with pytest.raises(FileNotFoundError):
        read_image(tmp_path / "gone.jpg")
    with pytest.raises(ImageError, match="folder"):
        read_image(tmp_path)


def test_bombs_are_refused_unopened() -> None:
    header = b"\x89PNG\r\n\x1a\n" + (13).to_bytes(4, "big") + b"IHDR" + (60000).to_bytes(4, "big") * 2
    with pytest.raises(ImageError, match=f"60000 x 60000 pixels, more than {MAX_PIXELS // 10**6}"):
        decode_image(header + b"\x08\x02\0\0\0" + b"IEND")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(0, 3000), value=st.binary(min_size=1, max_size=4))
def test_damage_gives_a_frame_or_an_image_error(at: int, value: bytes, halves: np.ndarray) -> None:
    data = bytearray(encoded(Image.fromarray(halves), "JPEG"))
    data[at % len(data) : at % len(data) + len(value)] = value
    try:
        frame = decode_image(bytes(data))
    except ImageError:
        return
    assert frame.ndim == 3
    assert frame.dtype == np.uint8


def test_write_refuses_unknown_kinds(tmp_path: Path, halves: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"use \.jpg or \.png"):
        write_image(tmp_path / "a.xyz", halves)
