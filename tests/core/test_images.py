from __future__ import annotations

import io
import os
import subprocess
import sys
import zlib
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, features

from agegender_core import ImageError, decode_image, images, read_image, write_image
from agegender_core._opencv import _logging, quiet_opencv
from agegender_core.images import MAX_PIXELS
from agegender_core.picture_headers import Header, gif_is_cut_off, read_header


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
    start=st.sampled_from(
        [
            b"\xff\xd8",
            b"\x89PNG",
            b"RIFF",
            b"BM",
            b"GIF8",
            b"II*\0",
            b"II+\0",
            b"MM\0*",
            b"PF 1",
            b"#?",
            b"Y\xa6j\x95",
            b"",
        ]
    ),
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


def box(kind: bytes, *parts: bytes) -> bytes:
    content = b"".join(parts)
    return (8 + len(content)).to_bytes(4, "big") + kind + content


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_each_orientation_of_avif_is_applied(mode: str, orientation: int) -> None:
    if not features.check("avif"):
        pytest.skip("this Pillow writes no AVIF")
    blocks = np.kron(np.arange(1, 7, dtype=np.uint8).reshape(2, 3) * 40, np.ones((32, 32), np.uint8))
    picture = Image.fromarray(blocks).convert(mode)
    if mode == "RGBA":
        picture.putalpha(Image.fromarray(np.where(blocks == 240, 0, 255).astype(np.uint8)))
        blocks[blocks == 240] = 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(picture, "AVIF", exif=exif, quality=100, subsampling="4:4:4")
    header = read_header(data)
    assert (header.size, header.orientation, header.may_have_alpha) == ((96, 64), orientation, mode == "RGBA")
    expected = turned_as_exif_asks(Image.fromarray(blocks), orientation)
    frame = decode_image(data)
    assert frame.shape == (*expected.shape, 3)
    assert np.abs(frame.astype(int) - expected[..., None]).max() <= 12


@pytest.mark.parametrize("turn", range(4))
@pytest.mark.parametrize("mirror", [None, 0, 1])
def test_turns_and_mirrors_of_heif_are_orientations(turn: int, mirror: int | None) -> None:
    """The turn is to the left and comes first; mirror 0 exchanges top and bottom, 1 left and right."""
    properties = [box(b"ispe", bytes(4), (64).to_bytes(4, "big"), (48).to_bytes(4, "big")), box(b"irot", bytes([turn]))]
    properties += [] if mirror is None else [box(b"imir", bytes([mirror]))]
    numbers = bytes(range(1, len(properties) + 1))
    associations = box(b"ipma", bytes(4), (1).to_bytes(4, "big"), b"\0\7", bytes([len(numbers)]), numbers)
    meta = box(
        b"meta", bytes(4), box(b"pitm", bytes(4), b"\0\7"), box(b"iprp", box(b"ipco", *properties), associations)
    )
    header = read_header(box(b"ftyp", b"avif", bytes(4), b"mif1") + meta)
    picture = np.arange(6).reshape(2, 3)
    turned = np.rot90(picture, turn)
    expected = turned if mirror is None else turned[::-1] if mirror == 0 else turned[:, ::-1]
    found = images._upright(np.repeat(picture[..., None], 3, axis=2), header.orientation or 0)[..., 0]
    np.testing.assert_array_equal(found, expected)
    assert header.size == (64, 48)
    assert not header.heic


@settings(max_examples=200, deadline=None)
@given(st.sampled_from([b"avif", b"heic", b"mif1", b"isom"]), st.binary(max_size=80), st.integers(0, 200))
def test_damaged_heif_has_a_header(brand: bytes, rest: bytes, cut: int) -> None:
    properties = box(b"ipco", box(b"ispe", bytes(12)), box(b"irot", b"\1"))
    meta = box(b"meta", bytes(4), box(b"pitm", bytes(4), b"\0\1"), box(b"iprp", properties, box(b"ipma", rest)))
    data = box(b"ftyp", brand, bytes(4)) + meta + rest
    assert isinstance(read_header(data), Header)
    assert isinstance(read_header(data[:cut]), Header)


def test_heic_is_read_or_says_what_it_needs(halves: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    heif = pytest.importorskip("pillow_heif")
    large = np.kron(halves, np.ones((4, 4, 1), np.uint8))
    alpha = np.full(large.shape[:2], 255, np.uint8)
    alpha[80:] = 0
    for mode, picture in (("RGB", large), ("RGBA", np.dstack([large, alpha]))):
        buffer = io.BytesIO()
        heif.from_bytes(mode, (240, 160), picture.tobytes()).save(buffer, quality=95)
        frame = decode_image(buffer.getvalue())
        assert frame.shape == (160, 240, 3)
        assert np.abs(frame[40, 120].astype(int) - [250, 0, 0]).max() < 12
        assert np.abs(frame[120, 120].astype(int) - ([0, 0, 250] if mode == "RGB" else [255] * 3)).max() < 12
    with pytest.raises(ImageError, match="me: HEIC that can't be decoded"):
        decode_image(buffer.getvalue()[:-200], "me")
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(ImageError, match=r"^me: HEIC needs the extra agegender-core\[heic\]: pip install pillow-heif$"):
        decode_image(buffer.getvalue(), "me")


def tiff(pixels: np.ndarray) -> bytes:
    done, data = cv2.imencode(".tiff", pixels)
    assert done
    return data.tobytes()


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_floating_point_pixels_from_0_to_1_are_scaled(channels: int, dtype: type) -> None:
    pixels = np.full((6, 8, channels), 0.5, dtype)
    pixels[..., -1] = 1  # red, or what covers
    frame = decode_image(tiff(pixels if channels > 1 else pixels[..., 0]))
    assert frame.shape == (6, 8, 3)
    expected = [255] * 3 if channels == 1 else [255, 128, 128] if channels == 3 else [128] * 3
    assert np.abs(frame.astype(int) - expected).max() <= 1


@pytest.mark.parametrize(
    ("pixels", "why"),
    [
        (np.full((6, 8, 3), 200.0, np.float32), "its pixels are float32 from 200 to 200"),
        (np.full((6, 8, 4), np.nan, np.float32), "its pixels are float32 from nan to nan"),
        (np.full((6, 8, 3), -7, np.int32), "int32 from -7 to -7"),
    ],
)
def test_pixels_of_an_unknown_scale_are_refused(pixels: np.ndarray, why: str) -> None:
    with pytest.raises(ImageError, match=f"^me: .*{why}"):
        decode_image(tiff(pixels), "me")


@pytest.mark.parametrize("kind", ["error", "memory"])
def test_too_little_memory_is_a_reason(kind: str, astronaut_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        if kind == "memory":
            raise MemoryError
        error = cv2.error("failed")
        error.code, error.err = cv2.Error.StsNoMem, "Failed to allocate"
        raise error

    monkeypatch.setattr(cv2, "imdecode", fail)
    with pytest.raises(ImageError, match=r"astronaut\.jpg: there is too little memory to decode it"):
        read_image(astronaut_path)


def test_bytes_may_be_an_array(astronaut_path: Path) -> None:
    expected = read_image(astronaut_path)
    for data in (np.fromfile(astronaut_path, np.uint8), memoryview(astronaut_path.read_bytes())):
        np.testing.assert_array_equal(decode_image(data), expected)
    with pytest.raises(ValueError, match=r"uint8 of shape \(400, 512, 3\): an array of pixels needs no decoding"):
        decode_image(expected)
    with pytest.raises(ValueError, match="got str; read_image takes a path"):
        decode_image(str(astronaut_path))  # type: ignore[arg-type]


def test_a_comment_of_a_jpeg(tmp_path: Path, halves: np.ndarray) -> None:
    write_image(tmp_path / "a.jpg", halves, comment="made für tests")
    assert images.read_comment(tmp_path / "a.jpg") == "made für tests"
    with Image.open(tmp_path / "a.jpg") as picture:
        assert picture.info["comment"].decode() == "made für tests"
    write_image(tmp_path / "b.jpg", halves)
    write_image(tmp_path / "c.png", halves, comment="lost")
    assert images.read_comment(tmp_path / "b.jpg") is images.read_comment(tmp_path / "c.png") is None
    np.testing.assert_array_equal(read_image(tmp_path / "a.jpg"), read_image(tmp_path / "b.jpg"))


def test_a_grey_pfm_becomes_rgb() -> None:
    done, data = cv2.imencode(".pfm", np.full((6, 8), 0.5, np.float32))
    assert done
    assert decode_image(data.tobytes()).shape == (6, 8, 3)


def test_what_opencv_says_of_damage_stays_off_stderr(capfd: pytest.CaptureFixture[str], halves: np.ndarray) -> None:
    data = tiff(halves)
    for cut in (20, len(data) // 2):
        with suppress(ImageError):
            decode_image(data[:cut] + bytes(40))
    assert capfd.readouterr().err == ""
    with quiet_opencv(), quiet_opencv():
        pass
    assert _logging().getLogLevel() > 0


@pytest.mark.parametrize("in_memory", [True, False])
@pytest.mark.parametrize("kind", [".hdr", ".ras"])
def test_a_kind_that_opencv_reads_only_from_files_is_the_same(
    kind: str, in_memory: bool, halves: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not in_memory:
        monkeypatch.delattr(os, "memfd_create", raising=False)
    done, data = cv2.imencode(kind, halves if kind == ".ras" else np.float32(halves) / 255)
    assert done
    bgr = cv2.imdecode(data, cv2.IMREAD_COLOR)
    np.testing.assert_array_equal(decode_image(data.tobytes()), bgr[..., ::-1])


@pytest.mark.parametrize("kind", [".hdr", ".ras", ".pfm"])
def test_headers_of_rare_kinds_tell_the_size(kind: str, halves: np.ndarray) -> None:
    done, data = cv2.imencode(kind, halves if kind == ".ras" else np.float32(halves) / 255)
    assert done
    assert read_header(data.tobytes()).size == (60, 40)


def test_a_picture_that_opencv_refuses_leaves_no_file(tmp_path: Path) -> None:
    code = (
        "import cv2, numpy as np, os\n"
        "from agegender_core.images import ImageError, decode_image\n"
        "for kind in ['.hdr', '.ras']:\n"
        "    pixels = np.zeros((40, 40, 3), np.uint8 if kind == '.ras' else np.float32)\n"
        "    data = cv2.imencode(kind, pixels)[1].tobytes()\n"
        "    before = os.listdir()\n"
        "    try:\n"
        "        decode_image(data)\n"
        "    except ImageError:\n"
        "        pass\n"
        "    else:\n"
        "        raise AssertionError(f'{kind} was not refused')\n"
        "    assert os.listdir() == before, kind\n"
    )
    here = {"OPENCV_TEMP_PATH": str(tmp_path), "TMPDIR": str(tmp_path)}
    environment = os.environ | here | {"OPENCV_IO_MAX_IMAGE_PIXELS": "1000"}
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path, env=environment)


@pytest.mark.parametrize("colours", [2, 256])
@pytest.mark.parametrize("frames", [1, 3])
def test_a_gif_is_cut_off_wherever_it_is_cut(colours: int, frames: int) -> None:
    noise = np.random.default_rng(7).integers(0, 256, (frames, 20, 30, 3), np.uint8)
    first, *others = [Image.fromarray(pixels).quantize(colours) for pixels in noise]
    data = encoded(first, "GIF", save_all=True, append_images=others, duration=40, comment=b"; a comment;\0;")
    assert not gif_is_cut_off(data)
    assert not gif_is_cut_off(data + b"\0; what somebody put behind it")
    for length in range(len(data)):
        assert gif_is_cut_off(data[:length]), length


@given(st.integers(1, 200), st.integers(1, 8), st.sampled_from([np.uint8, np.uint16]), st.integers(0, 200))
def test_transparent_pixels_are_laid_on_white(height: int, width: int, dtype: type, from_row: int) -> None:
    top = np.iinfo(dtype).max
    bgra = np.random.default_rng(height).integers(0, top, (height, width, 4), dtype, endpoint=True)
    bgra[from_row:, :, 3] = top  # parts of a picture may be opaque
    alpha = bgra[..., 3:].astype(np.float64) / top
    expected = bgra[..., 2::-1] * (255 / top) * alpha + 255 * (1 - alpha)
    found = images.on_white(bgra)
    assert np.abs(found - expected).max() <= 0.5 + 1e-3
    if dtype == np.uint8:
        np.testing.assert_array_equal(found[from_row:], bgra[from_row:, :, 2::-1])
