from __future__ import annotations

import io
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from agegender_core import ImageError, decode_image, images, read_image, write_image
from agegender_core.images import MAX_PIXELS
from agegender_core.picture_headers import Header, read_header


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


KINDS = [
    ("JPEG", {}),
    ("JPEG", {"progressive": True}),
    ("PNG", {}),
    ("WEBP", {}),
    ("WEBP", {"lossless": True}),
    ("WEBP", {"exif": b"Exif\0\0II*\0\x08\0\0\0\0\0"}),
    ("BMP", {}),
    ("GIF", {}),
    ("TIFF", {}),
    ("TIFF", {"big_tiff": True}),
    ("TIFF", {"compression": "tiff_lzw"}),
]


@pytest.mark.parametrize(("kind", "options"), KINDS)
def test_headers_tell_the_size(kind: str, options: dict[str, object]) -> None:
    for width, height in ((60, 40), (1, 300), (517, 2)):
        data = encoded(Image.new("RGB", (width, height), "red"), kind, **options)
        header = read_header(data)
        assert header.size == (width, height)
        assert not header.cut_off
        if kind != "TIFF":
            assert not header.may_have_alpha
        assert decode_image(data).shape == (height, width, 3)


@pytest.mark.parametrize(
    ("mode", "kind", "options"),
    [
        ("RGBA", "PNG", {}),
        ("LA", "PNG", {}),
        ("P", "PNG", {"transparency": 0}),
        ("RGBA", "WEBP", {}),
        ("RGBA", "WEBP", {"lossless": True}),
        ("RGBA", "TIFF", {}),
    ],
)
def test_headers_tell_of_transparency(mode: str, kind: str, options: dict[str, object], halves: np.ndarray) -> None:
    picture = Image.fromarray(halves).convert(mode)
    if mode.endswith("A"):
        picture.putalpha(0)
    data = encoded(picture, kind, **options)
    assert read_header(data).may_have_alpha
    assert decode_image(data)[39, 5].min() > 240 or mode == "P"


def test_big_endian_tiff_and_old_bmp() -> None:
    entry = b"".join(tag + b"\0\x04\0\0\0\x01" + (77).to_bytes(4, "big") for tag in (b"\1\0", b"\1\1"))
    assert read_header(b"MM\0*\0\0\0\x08\0\x02" + entry).size == (77, 77)
    assert read_header(b"BM" + bytes(12) + b"\x0c\0\0\0" + b"\x05\0\x06\0").size == (5, 6)
    assert read_header(b"BM" + bytes(12) + b"\x28\0\0\0" + b"\x05\0\0\0\xfa\xff\xff\xff").size == (5, 6)


def test_the_order_of_colours_is_rgb_for_every_kind(astronaut_path: Path) -> None:
    with Image.open(astronaut_path) as picture:
        for kind, options in KINDS:
            data = encoded(picture, kind, **options)
            bgr = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
            np.testing.assert_array_equal(decode_image(data), bgr[..., ::-1], err_msg=kind)


def test_opencv_before_4_11_gives_the_same(astronaut_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = read_image(astronaut_path)
    monkeypatch.setattr(images, "_IMREAD_RGB", None)
    np.testing.assert_array_equal(read_image(astronaut_path), expected)
    with pytest.raises(ImageError, match="not a picture"):
        decode_image(b"hello")


@settings(max_examples=300, deadline=None)
@given(
    start=st.sampled_from([b"\xff\xd8", b"\x89PNG", b"RIFF", b"BM", b"GIF8", b"II*\0", b"II+\0", b"MM\0*", b""]),
    rest=st.binary(max_size=80),
)
def test_any_bytes_have_a_header(start: bytes, rest: bytes) -> None:
    assert isinstance(read_header(start + rest), Header)


def bomb(kind: str) -> bytes:
    """A picture of 60,000 x 60,000 pixels, or as many as the kind can have, that has no pixels."""
    side, little = 60000, (60000).to_bytes(4, "little")
    if kind == "PNG":
        return (
            b"\x89PNG\r\n\x1a\n"
            + (13).to_bytes(4, "big")
            + b"IHDR"
            + side.to_bytes(4, "big") * 2
            + b"\x08\x02\0\0\0IEND"
        )
    if kind == "JPEG":
        sof = b"\xff\xc0\0\x11\x08" + side.to_bytes(2, "big") * 2 + b"\x03\1\x22\0\2\x11\1\3\x11\1"
        return b"\xff\xd8" + sof + b"\xff\xda\0\x0c\3\1\0\2\x11\3\x11\0\x3f\0\xff\xd9"
    if kind == "BMP":
        return b"BM" + bytes(8) + b"\x36\0\0\0\x28\0\0\0" + little * 2 + b"\1\0\x18\0" + bytes(24)
    if kind == "GIF":
        return b"GIF89a" + little[:2] * 2 + b"\0\0\0;"
    if kind == "WEBP":
        return b"RIFF\x16\0\0\0WEBPVP8 \x0a\0\0\0\x10\0\0\x9d\x01\x2a\xff\x3f\xff\x3f"
    entries = b"".join(tag + b"\4\0\1\0\0\0" + little for tag in (b"\0\1", b"\1\1"))
    return b"II*\0\x08\0\0\0\2\0" + entries + bytes(4)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF"])
def test_bombs_are_refused_unopened(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("was decoded"))
    with pytest.raises(ImageError, match=f"declares .* pixels, more than {MAX_PIXELS // 10**6} megapixels"):
        decode_image(bomb(kind))


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


def turned_as_exif_asks(picture: Image.Image, orientation: int) -> np.ndarray:
    """What Pillow makes of it."""
    turns = {
        1: None,
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_270,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_90,
    }
    turn = turns[orientation]
    return np.asarray(picture if turn is None else picture.transpose(turn))


ORIENTED = [
    ("JPEG", "RGB", {"quality": 95}),
    ("JPEG", "L", {"quality": 95}),
    ("JPEG", "CMYK", {"quality": 95}),
    ("PNG", "RGB", {}),
    ("PNG", "L", {}),
    ("PNG", "LA", {}),
    ("PNG", "P", {}),
    ("PNG", "RGBA", {}),
    ("PNG", "I;16", {}),
    ("WEBP", "RGB", {"lossless": True}),
    ("WEBP", "RGBA", {"lossless": True}),
    ("TIFF", "RGB", {}),
    ("TIFF", "RGB", {"big_tiff": True}),
    ("TIFF", "L", {}),
    ("TIFF", "RGBA", {}),
    ("TIFF", "I;16", {}),
    ("TIFF", "I;16B", {}),
]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(("kind", "mode", "options"), ORIENTED)
def test_each_orientation_of_each_kind_is_applied(
    kind: str, mode: str, options: dict[str, object], orientation: int
) -> None:
    blocks = np.kron(np.arange(1, 7, dtype=np.uint8).reshape(2, 3) * 40, np.ones((16, 16), np.uint8))
    if mode.startswith("I;16"):
        deep = blocks.astype("<u2" if mode == "I;16" else ">u2") * 257
        picture = Image.frombytes(mode, (48, 32), deep.tobytes())
    else:
        grey = Image.fromarray(blocks)
        picture = grey.convert(mode) if mode == "P" else grey.convert("RGB").convert(mode)
    if mode in ("LA", "RGBA"):
        alpha = Image.fromarray(np.where(blocks == 240, 0, 255).astype(np.uint8))
        picture.putalpha(alpha)
        blocks[blocks == 240] = 255  # transparent: white
    exif = Image.Exif()
    exif[0x0112] = orientation
    frame = decode_image(encoded(picture, kind, exif=exif, **options))
    expected = turned_as_exif_asks(Image.fromarray(blocks), orientation)
    assert frame.shape == (*expected.shape, 3)
    assert frame.flags.c_contiguous
    assert np.abs(frame.astype(int) - expected[..., None]).max() <= (12 if kind == "JPEG" else 1)


def test_16_bits_with_alpha_and_an_orientation() -> None:
    deep = np.full((4, 6, 4), 0xFFFF, np.uint16)
    deep[0, 0, :3] = 0
    data = cv2.imencode(".png", deep)[1].tobytes()
    exif = Image.Exif()
    exif[0x0112] = 6
    block = exif.tobytes().removeprefix(b"Exif\0\0")
    chunk = b"eXIf" + block
    end = data.index(b"IEND") - 4
    # behind the pixels, as some writers put it
    late = data[:end] + len(block).to_bytes(4, "big") + chunk + zlib.crc32(chunk).to_bytes(4, "big") + data[end:]
    frame = decode_image(late)
    assert frame.shape == (6, 4, 3)
    assert frame[0, 3].tolist() == [0, 0, 0]
    assert frame.sum() == 255 * 3 * 23


@pytest.mark.parametrize(
    "block", [b"", b"II", b"MM\0*\0\0\xff\xff", b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x09\0\0\0"]
)
def test_a_damaged_orientation_leaves_the_picture_as_it_is(block: bytes, halves: np.ndarray) -> None:
    data = encoded(Image.fromarray(halves), "JPEG", exif=b"Exif\0\0" + block)
    assert decode_image(data).shape == halves.shape
