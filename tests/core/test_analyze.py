from __future__ import annotations

import base64
import inspect
import io
import os
import threading
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from agegender_core import (
    Annotated,
    Faces,
    HogDetector,
    ImageError,
    Pipeline,
    TimedFrame,
    analyze,
    read_image,
    write_image,
)
from agegender_core.analyze import AnalyzeOptions
from agegender_core.faces import Frame

# SSR-Net and HOG are the fastest; nothing here is about how well they do.
QUICK: dict[str, Any] = {"model": "ssrnet", "detector": "hog", "flip": False}


def found(source: Any, **options: Any) -> Faces:
    faces = analyze(source, **{**QUICK, **options})
    assert isinstance(faces, Faces)
    return faces


@pytest.fixture(scope="module")
def image(astronaut_path: Path) -> Frame:
    return read_image(astronaut_path)


@pytest.fixture(scope="module")
def expected(image: Frame) -> Faces:
    faces = Pipeline.for_pictures("ssrnet", detector="hog", flip=False)(image)
    assert len(faces) == 1
    return faces


def same(faces: Faces, expected: Faces) -> None:
    np.testing.assert_array_equal(faces.xyxy, expected.xyxy)
    assert faces.age is not None
    assert expected.age is not None
    np.testing.assert_allclose(faces.age, expected.age, atol=0.01)


# One picture


def test_everything_that_is_a_picture(astronaut_path: Path, image: Frame, expected: Faces) -> None:
    data = astronaut_path.read_bytes()
    opaque = np.full((*image.shape[:2], 1), 255, np.uint8)
    rgba = np.concatenate([image, opaque], axis=2)
    pillow = Image.fromarray(image)
    with astronaut_path.open("rb") as file:
        for source in (astronaut_path, str(astronaut_path), data, bytearray(data), memoryview(data), io.BytesIO(data)):
            same(found(source), expected)
        same(found(file), expected)
    same(found(np.frombuffer(data, np.uint8)), expected)
    for source in (image, image[::-1][::-1], rgba, pillow, pillow.convert("RGBA")):
        same(found(source), expected)
    same(found(image[..., ::-1], bgr=True), expected)
    same(found(rgba[..., [2, 1, 0, 3]], bgr=True), expected)


def test_bgr_is_for_arrays_alone(astronaut_path: Path, image: Frame, expected: Faces) -> None:
    for source in (astronaut_path, astronaut_path.read_bytes(), Image.fromarray(image)):
        same(found(source, bgr=True), expected)


def test_grey(image: Frame) -> None:
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    for source in (grey, grey[..., None], Image.fromarray(grey)):
        faces = found(source)
        assert len(faces) == 1
        assert faces.image is not None
        np.testing.assert_array_equal(faces.image, np.repeat(grey[..., None], 3, axis=2))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "PA", "CMYK", "YCbCr", "HSV", "LAB", "F", "I;16", "RGBX"])
def test_every_mode_of_pillow(image: Frame, mode: str) -> None:
    small = Image.fromarray(image).resize((64, 50))
    if mode == "I;16":
        picture = Image.fromarray(np.asarray(small.convert("L")).astype(np.uint16) * 257)
        assert picture.mode == mode
    elif mode == "F":
        picture = Image.fromarray(np.asarray(small.convert("L")).astype(np.float32) / 255)
    elif mode == "LAB":
        from PIL import ImageCms

        srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
        made = ImageCms.profileToProfile(small, srgb, lab, outputMode="LAB")
        assert made is not None
        picture = made
    elif mode == "PA":
        picture = small.convert("P").convert("PA")
    else:
        picture = small.convert(mode)
    frame = found(picture).image
    assert frame is not None
    assert frame.shape == (50, 64, 3)
    if mode not in ("1", "P", "PA", "HSV"):
        plain = np.asarray(small.convert("L"), np.float32)
        assert np.abs(np.asarray(Image.fromarray(frame).convert("L"), np.float32) - plain).mean() < 8


def test_pixels_that_leave_open_what_is_white_are_refused() -> None:
    with pytest.raises(ImageError, match="which leaves open what is white"):
        found(Image.fromarray(np.full((8, 8), 70_000, np.int32)))


def test_a_picture_of_pillow_is_turned_upright_and_laid_on_white(image: Frame) -> None:
    turned = Image.fromarray(image).transpose(Image.Transpose.ROTATE_90)
    turned.getexif()[0x0112] = 6
    frame = found(turned).image
    assert frame is not None
    np.testing.assert_array_equal(frame, image)
    clear = found(Image.new("RGBA", (20, 30))).image
    assert clear is not None
    assert clear.min() == 255
    half = found(np.zeros((20, 30, 4), np.uint8)).image
    assert half is not None
    assert half.min() == 255


@pytest.mark.parametrize(
    ("source", "error", "why"),
    [
        ("https://example.org/a.jpg", ValueError, "nothing is fetched"),
        ("rtsp://camera/1", ValueError, "nothing is fetched"),
        ("data:image/png;base64,AAAA", ValueError, "nothing is fetched"),
        ("nowhere.jpg", FileNotFoundError, "nowhere.jpg"),
        ("nowhere/*.jpg", FileNotFoundError, "matches no picture"),
        ("", ValueError, "got an empty text"),
        (b"", ImageError, "empty"),
        (io.BytesIO(), ImageError, r"was read before: seek\(0\)"),
        (b"hello", ImageError, "not a picture"),
        (np.zeros((4, 4, 3), np.float32), ValueError, "pass \\(255"),
        (np.zeros((4, 4, 2), np.uint8), ValueError, "got shape"),
        (np.zeros((0, 4, 3), np.uint8), ValueError, "must have pixels"),
        (7, TypeError, "got int"),
        (None, TypeError, "got NoneType: cv2.imread gives None"),
        ({"a": 1}, TypeError, "got dict"),
        (io.StringIO("text"), TypeError, "open for reading bytes"),
    ],
)
def test_what_is_no_picture_is_said(source: Any, error: type[Exception], why: str) -> None:
    with pytest.raises(error, match=why):
        found(source)


def test_a_video_is_named_as_one() -> None:
    with pytest.raises(ImageError, match=r"is a video: Pipeline\.for_video"):
        found(Path(__file__).parents[2] / "samples" / "astronaut.mp4")


def test_options_out_of_range() -> None:
    with pytest.raises(ValueError, match="on_error must be one of keep, skip, raise"):
        found(b"", on_error="ignore")
    with pytest.raises(FileNotFoundError, match="no model file at"):
        found(np.zeros((8, 8, 3), np.uint8), model="nothing.onnx")
    with pytest.raises(TypeError, match=r"analyze\(\) got an unexpected keyword argument 'min_fase'") as wrong:
        found(np.zeros((8, 8, 3), np.uint8), min_fase=20)
    assert wrong.value.__notes__ == ["did you mean min_face?"]


def test_the_options_are_those_of_a_pipeline() -> None:
    pipelines = set(inspect.signature(Pipeline.for_pictures).parameters)
    assert set(AnalyzeOptions.__annotations__) == pipelines | {"bgr", "on_error"}


# Several


def test_lists_folders_and_globs_stream_in_order(
    astronaut_path: Path, image: Frame, tmp_path: Path, expected: Faces
) -> None:
    (tmp_path / "b" / "deeper").mkdir(parents=True)
    for name in ("b/deeper/2.jpg", "a.PNG", "b/1.jpg"):
        write_image(tmp_path / name, image[:200])
    (tmp_path / "notes.txt").write_text("no picture")
    (tmp_path / ".hidden.jpg").write_text("no picture")
    os.mkfifo(tmp_path / "pipe.jpg")
    names = [str(tmp_path / name) for name in ("a.PNG", "b/1.jpg", "b/deeper/2.jpg")]
    assert [faces.source for faces in analyze(tmp_path, **QUICK)] == names
    assert [faces.source for faces in analyze(f"{tmp_path}/b/**/*.jpg", **QUICK)] == names[1:]
    several = [astronaut_path, image, tmp_path / "b", astronaut_path.read_bytes()]
    for form in (several, tuple(several), iter(several), (one for one in several)):
        given = list(analyze(form, **QUICK))
        assert [faces.source for faces in given] == [str(astronaut_path), None, *names[1:], None]
        same(given[-1], expected)
    assert len(list(analyze(np.stack([image, image]), **QUICK))) == 2
    (tmp_path / "b" / "nothing").mkdir()
    with pytest.raises(FileNotFoundError, match="no pictures in"):
        analyze(tmp_path / "b" / "nothing", **QUICK)


def test_a_name_with_brackets_is_a_file_first(image: Frame, tmp_path: Path) -> None:
    write_image(tmp_path / "me [1].jpg", image[:100])
    assert found(tmp_path / "me [1].jpg").source == str(tmp_path / "me [1].jpg")


def test_work_is_done_as_it_is_asked(image: Frame) -> None:
    asked = []

    def pictures() -> Iterator[Frame]:
        for number in range(3):
            asked.append(number)
            yield image[:100]

    stream = analyze(pictures(), **QUICK)
    assert asked == []
    next(stream)
    assert asked == [0]


def test_one_that_fails_does_not_lose_the_rest(astronaut_path: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    sources = [tmp_path / "broken.jpg", "https://example.org/a.jpg", np.zeros(3, np.float32), astronaut_path]
    kept = list(analyze(sources, **QUICK))
    assert [len(faces) for faces in kept] == [0, 0, 0, 1]
    assert [type(faces.error) for faces in kept] == [ImageError, ValueError, ValueError, type(None)]
    assert kept[0].source == str(tmp_path / "broken.jpg")
    assert "broken.jpg" in repr(kept[0])
    assert kept[0].to_dicts() == []
    with pytest.raises(ValueError, match=r"no picture to draw into: .*broken\.jpg"):
        kept[0].annotate()
    assert kept[0].error is not None
    assert kept[0].error.__traceback__ is kept[0].error.__context__ is None
    assert [len(faces) for faces in analyze(sources, on_error="skip", **QUICK)] == [1]
    with pytest.raises(ImageError, match=r"broken\.jpg"):
        next(analyze(sources, on_error="raise", **QUICK))
    with pytest.raises(TypeError, match="got int"):
        list(analyze([7], **QUICK))


def test_many_pictures_are_not_held_in_memory(image: Frame, tmp_path: Path) -> None:
    large = cv2.resize(image, (1600, 1250))
    path = tmp_path / "large.jpg"
    write_image(path, large)
    data = path.read_bytes()

    def empty(frame: Frame, faces: Faces) -> Faces:
        return faces

    tracemalloc.start()
    try:
        held = list(analyze([path, data] * 6, model="ssrnet", detector=empty))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(held) == 12
    assert peak < 4 * large.nbytes
    for faces in held[:2]:
        again = faces.image
        assert again is not None
        assert again.shape == large.shape


# Models are kept


def test_models_are_loaded_once_also_by_many_threads(image: Frame, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    original = Pipeline.for_pictures

    def counted(*words: Any, **options: Any) -> Pipeline:
        made.append(options)
        return original(*words, **options)

    monkeypatch.setattr(Pipeline, "for_pictures", counted)
    results: list[Faces] = []
    options = {**QUICK, "threshold": 0.123}
    threads = [threading.Thread(target=lambda: results.append(found(image, **options))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1
    assert len(results) == 6
    for faces in results[1:]:
        same(faces, results[0])
    found(image, **{**options, "threshold": 0.124})
    assert len(made) == 2


def test_a_model_file_that_changed_is_loaded_again(image: Frame, tmp_path: Path) -> None:
    from agegender_core.predict import MODELS_PATH

    path = tmp_path / "model.onnx"
    path.write_bytes((MODELS_PATH / "ssrnet.onnx").read_bytes())
    small = found(image, model=path)
    path.write_bytes((MODELS_PATH / "mobilenetv2.onnx").read_bytes())
    os.utime(path, ns=(1, 1))
    assert small.age is not None
    large = found(image, model=path).age
    assert large is not None
    assert abs(large[0] - small.age[0]) > 0.01


class Unhashable(HogDetector):
    __hash__ = None  # type: ignore[assignment]


def test_a_detector_of_ones_own(image: Frame, expected: Faces) -> None:
    same(found(image, detector=HogDetector()), expected)
    same(found(image, detector=Unhashable()), expected)


# Their picture


def test_annotated_pictures(astronaut_path: Path, image: Frame, tmp_path: Path) -> None:
    faces = found(astronaut_path)
    drawn = faces.annotate()
    assert isinstance(drawn, Annotated)
    assert np.asarray(drawn).shape == image.shape
    assert np.asarray(drawn, np.float32).dtype == np.float32
    assert (np.asarray(drawn) != image).any()
    drawn.save(tmp_path / "drawn.png")
    np.testing.assert_array_equal(read_image(tmp_path / "drawn.png"), np.asarray(drawn))
    assert Image.fromarray(np.asarray(drawn)).size == (512, 400)
    assert Image.open(io.BytesIO(drawn._repr_jpeg_())).size == (512, 400)
    assert repr(drawn) == "Annotated(512 x 400)"
    bgr = np.ascontiguousarray(image[..., ::-1])
    np.testing.assert_array_equal(
        np.asarray(Faces(faces.xyxy).annotate(bgr, bgr=True)), Faces(faces.xyxy).annotate(image)
    )
    with pytest.raises(FileNotFoundError, match=rf"'{tmp_path}/nowhere/drawn\.png'$"):
        drawn.save(tmp_path / "nowhere" / "drawn.png")
    with pytest.raises(ValueError, match="don't know their picture"):
        Faces(faces.xyxy).annotate()


def test_a_drawing_never_replaces_its_picture(image: Frame, tmp_path: Path) -> None:
    path = tmp_path / "me.jpg"
    write_image(path, image)
    (tmp_path / "link.jpg").symlink_to(path)
    before = path.read_bytes()
    for name in ("me.jpg", "link.jpg"):
        with pytest.raises(ValueError, match="is the picture itself"):
            found(path).annotate().save(tmp_path / name)
    assert path.read_bytes() == before


def test_in_a_notebook(image: Frame, tmp_path: Path) -> None:
    path = tmp_path / '<b>&"me.png'
    write_image(path, cv2.resize(image, (1500, 1172)))
    page = found(path)._repr_html_()
    assert "<b>" not in page
    assert "&lt;b&gt;&amp;&quot;me.png: Faces(1 face: " in page
    encoded = page.partition("base64,")[2].partition('"')[0]
    assert max(Image.open(io.BytesIO(base64.b64decode(encoded))).size) == 800
    assert len(page) < 300_000
    assert "<th>age</th>" in page
    assert "<th>quality</th>" in page
    assert "<th>quality</th>" not in Faces(np.zeros((1, 4), np.float32))._repr_html_()
    (streamed,) = analyze([path], **QUICK)
    assert "base64," in streamed._repr_html_()
    path.unlink()
    assert "base64," not in streamed._repr_html_()
    assert "<th>age</th>" in streamed._repr_html_()
    many = found(image)[[0] * 25]
    assert many._repr_html_().count("<tr>") == 21
    assert "and 5 more" in many._repr_html_()


def test_stages_and_videos_hold_no_pictures(image: Frame) -> None:
    pipeline = Pipeline.for_pictures("ssrnet", detector="hog")
    assert pipeline(image).picture is None
    for result in Pipeline.for_video("ssrnet", detector="hog").run([TimedFrame(image, 0, 0.0)]):
        assert result.faces.picture is None
