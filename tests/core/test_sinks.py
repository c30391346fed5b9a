"""Sinks: what is written can be read back, also after an exception; a mistake is named."""

from __future__ import annotations

import io
import json
import os
import shlex
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from agegender_core.faces import Faces, Frame
from agegender_core.pipeline import FrameResult
from agegender_core.sinks import VIDEO_CODECS, DrawnSink, JsonlSink, NullSink, SinkError, VideoSink, WindowSink
from agegender_core.sources import open_source

SIZE = (96, 64)


def picture(level: int, size: tuple[int, int] = SIZE) -> Frame:
    image = np.full((size[1], size[0], 3), level, np.uint8)
    image[:, : size[0] // 2] = (230, 20, 20)
    return image


def result(index: int, faces: Faces | None = None) -> FrameResult:
    faces = Faces.empty() if faces is None else faces
    return FrameResult(index, index / 25, picture(100), faces, faces)


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".avi", ".MP4"])
def test_a_video_is_read_back_as_it_was_written(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"Gräfin 日本{suffix}"
    with VideoSink(path, 25, SIZE) as sink:
        for index in range(30):
            sink.write(picture(40 + 6 * index), index / 25)
        assert not path.exists()
    assert [item.name for item in tmp_path.iterdir()] == [path.name]
    source = open_source(path)
    frames = [frame.image for frame in source]
    assert (len(frames), source.fps, (source.width, source.height)) == (30, 25.0, SIZE)
    np.testing.assert_allclose([frame[32, 72].mean() for frame in frames], 40 + 6 * np.arange(30), atol=8)
    red = frames[15][32, 20].astype(int)
    assert red[0] > 190
    assert red[1:].max() < 70


def test_an_aborted_run_leaves_a_playable_file(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"

    def run() -> None:
        with VideoSink(path, 25, SIZE) as sink:
            for index in range(12):
                sink.write(picture(100), index / 25)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run()
    assert sum(1 for _ in open_source(path)) == 12
    assert list(tmp_path.iterdir()) == [path]


def test_an_earlier_file_stays_until_the_new_one_is_done(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"earlier")
    with VideoSink(path, 25, SIZE):
        pass
    assert path.read_bytes() == b"earlier"
    with VideoSink(path, 25, SIZE) as sink:
        sink.write(picture(1), 0.0)
        assert path.read_bytes() == b"earlier"
    assert sum(1 for _ in open_source(path)) == 1


def test_pictures_of_another_size_are_fitted(tmp_path: Path) -> None:
    with VideoSink(tmp_path / "a.mp4", 25, SIZE) as sink:
        sink.write(picture(90), 0.0)
        sink.write(picture(90, (200, 100)), 0.04)
    assert [frame.image.shape for frame in open_source(tmp_path / "a.mp4")] == [(64, 96, 3)] * 2


def test_odd_sizes_are_written(tmp_path: Path) -> None:
    with VideoSink(tmp_path / "a.mp4", 29.97, (97, 63)) as sink:
        for index in range(5):
            sink.write(picture(90, (97, 63)), index / 29.97)
    source = open_source(tmp_path / "a.mp4")
    assert abs(source.width - 97) <= 1
    assert abs(source.height - 63) <= 1
    assert sum(1 for _ in source) == 5


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_frames_are_shown_at_their_times(tmp_path: Path, suffix: str) -> None:
    times = [3.0, 3.04, 3.12, 3.125, 3.6, 5.0]
    with VideoSink(tmp_path / f"a{suffix}", 25) as sink:
        for time in times:
            sink.write(picture(100), time)
    found = [frame.time for frame in open_source(tmp_path / f"a{suffix}")]
    np.testing.assert_allclose(found, np.array(times) - 3.0, atol=1e-3)
    assert sink.size == SIZE


@pytest.mark.parametrize("fps", [118.937, 480.0, 29.97, 0.5])
def test_any_rate_is_written(tmp_path: Path, fps: float) -> None:
    with VideoSink(tmp_path / "a.mp4", fps) as sink:
        for index in range(20):
            sink.write(picture(100), index / fps)
    frames = [frame.time for frame in open_source(tmp_path / "a.mp4")]
    np.testing.assert_allclose(frames, np.arange(20) / fps, atol=1e-3)


def test_an_avi_plays_slow_and_fast_sources_at_their_speed(tmp_path: Path) -> None:
    with VideoSink(tmp_path / "slow.avi", 25, SIZE) as sink:
        for index in range(10):
            sink.write(picture(100), index / 10)
    assert sink.frames == round(0.9 * 25) + 1
    with VideoSink(tmp_path / "fast.avi", 25, SIZE) as sink:
        for index in range(100):
            sink.write(picture(100), index / 100)
    assert sink.frames == pytest.approx(25, abs=1)


@pytest.mark.parametrize(("size", "written"), [((1, 1), (2, 2)), ((427, 240), (428, 240)), ((63, 97), (64, 98))])
def test_no_column_or_row_is_lost(tmp_path: Path, size: tuple[int, int], written: tuple[int, int]) -> None:
    with VideoSink(tmp_path / "a.mp4", 25) as sink:
        for index in range(3):
            sink.write(picture(90, size), index / 25)
    frames = [frame.image for frame in open_source(tmp_path / "a.mp4")]
    assert [image.shape[1::-1] for image in frames] == [written] * 3
    if size[0] > 1:
        assert abs(int(frames[0][20, size[0] - 1, 1]) - 90) < 12


def test_keep_time_is_no_longer_needed(tmp_path: Path) -> None:
    with pytest.warns(DeprecationWarning, match="frames have times"):
        VideoSink(tmp_path / "a.mp4", 25, SIZE, keep_time=True).close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"path": "a.gif"}, r"a\.gif: a video's name ends in \.mp4, "),
        ({"path": "a"}, "a video's name ends in"),
        ({"fps": 0.0}, "fps must be above 0, got 0"),
        ({"fps": float("nan")}, "fps must be above 0"),
        ({"size": (0, 10)}, "size must be"),
    ],
)
def test_wrong_options(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    given = {"path": "a.mp4", "fps": 25.0, "size": SIZE, **options}
    given["path"] = tmp_path / given["path"]
    with pytest.raises(ValueError, match=message):
        VideoSink(**given)


def test_places_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(SinkError, match=r"there is no folder .*nowhere"):
        VideoSink(tmp_path / "nowhere" / "a.mp4", 25, SIZE)
    (tmp_path / "folder.mp4").mkdir()
    with pytest.raises(SinkError, match=r"folder\.mp4 is a folder"):
        VideoSink(tmp_path / "folder.mp4", 25, SIZE)
    with pytest.raises(SinkError, match=r"a\.jsonl can't be written: No such file"):
        JsonlSink(tmp_path / "nowhere" / "a.jsonl")


def test_no_codec_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(VIDEO_CODECS, ".mp4", ("zzzz",))
    with pytest.raises(SinkError, match="no codec of zzzz"):
        VideoSink(tmp_path / "a.mp4", 25, SIZE)
    assert list(tmp_path.iterdir()) == []


def test_json_lines_can_be_followed(tmp_path: Path) -> None:
    path = tmp_path / "Gräfin.jsonl"
    path.write_text("from an earlier run\n")
    faces = Faces(
        xyxy=np.array([[1, 2, 30, 40]], np.float32),
        age=np.array([np.nan], np.float32),
        track_id=np.array([-1]),
    )
    with JsonlSink(path) as sink:
        sink.write(result(0, faces))
        assert len(path.read_text(encoding="utf-8").splitlines()) == 1
        sink.write(result(1))
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert [line["frame"] for line in lines] == [0, 1]
    assert lines[0]["faces"][0]["age"] is None
    assert lines[0]["faces"][0]["track_id"] == -1
    assert lines[1] == {"frame": 1, "time": 0.04, "faces": []}


def test_json_lines_go_to_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    with JsonlSink("-") as sink:
        sink.write(result(0))
    assert json.loads(capsys.readouterr().out)["frame"] == 0
    print("stdout is still open")


def open_files() -> set[str]:
    """Number and target of each open file of this process."""
    found = set()
    for number in os.listdir("/proc/self/fd"):
        with suppress(FileNotFoundError):  # the folder's own, which is closed by now
            found.add(f"{number} {os.readlink(f'/proc/self/fd/{number}')}")
    return found


needs_proc = pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="no /proc to count open files in")


@needs_proc
def test_a_reader_that_closes_a_named_pipe_leaves_stdout_alone(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    before = open_files()
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    with JsonlSink(path) as sink:
        sink.write(result(0))
        assert not sink.done
        os.close(reader)
        sink.write(result(1))
        assert sink.done
        sink.write(result(2))
    assert open_files() == before


@needs_proc
def test_a_reader_that_closes_stdout_is_no_error_and_leaks_nothing(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "import os, sys\n"
        "from agegender_core import Faces, FrameResult, JsonlSink\n"
        "import numpy as np\n"
        "result = FrameResult(0, 0.0, np.zeros((4, 4, 3), np.uint8), Faces.empty(), Faces.empty())\n"
        "count = lambda: len(os.listdir('/proc/self/fd'))\n"
        "with JsonlSink('-') as sink:\n"
        "    before = count()\n"
        "    while not sink.done:\n"
        "        sink.write(result)\n"
        "    print('late')\n"
        "    print(count() - before, file=sys.stderr)\n"
    )
    pipe = f"{shlex.join([sys.executable, str(program)])} | head -n 1"
    done = subprocess.run(pipe, shell=True, capture_output=True, text=True)
    assert json.loads(done.stdout)["frame"] == 0
    assert done.stderr == "0\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_is_a_sink_error_with_the_path() -> None:
    with pytest.raises(SinkError, match=r"/dev/full can't be written: No space left"), JsonlSink("/dev/full") as sink:
        sink.write(result(0))


class Collector(NullSink):
    """Keeps what it gets."""

    def __init__(self) -> None:
        self.got: list[tuple[Frame, float]] = []
        self.closed = False

    def write(self, *values: Any) -> None:
        self.got.append(values)

    def __exit__(self, *exception: Any) -> None:
        self.closed = True


def test_the_picture_is_drawn_once_for_all_sinks() -> None:
    drawn = []

    def draw(frame: Frame, faces: Faces) -> Frame:
        drawn.append(faces)
        return frame + 1

    sinks = [Collector(), Collector()]
    with DrawnSink(sinks, draw) as both:
        both.write(result(3))
        assert not both.done
        sinks[1].done = True
        assert both.done
    assert len(drawn) == 1
    assert sinks[0].got[0][0] is sinks[1].got[0][0]
    assert sinks[0].got[0][1] == 3 / 25
    assert all(sink.closed for sink in sinks)
    with DrawnSink([], draw) as nobody:
        nobody.write(result(4))
    assert len(drawn) == 1


def test_a_sink_that_fails_to_close_does_not_keep_the_others_open() -> None:
    class Bad(Collector):
        def __exit__(self, *exception: Any) -> None:
            raise OSError("disk full")

    sinks = [Collector(), Bad(), Collector()]
    with pytest.raises(OSError, match="disk full"), DrawnSink(sinks):
        pass
    assert sinks[0].closed
    assert sinks[2].closed


class FakeWindows:
    """Stands for OpenCV's windows."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.shown: list[np.ndarray] = []
        self.keys = iter([-1] * 1000)
        self.visible = 1.0
        monkeypatch.setenv("DISPLAY", ":0")
        for name, fake in {
            "namedWindow": lambda *_: None,
            "resizeWindow": lambda *_: None,
            "imshow": lambda _, image: self.shown.append(image),
            "waitKey": lambda _: next(self.keys),
            "getWindowProperty": lambda *_: self.visible,
            "destroyWindow": lambda _: None,
        }.items():
            monkeypatch.setattr(cv2, name, fake)


@pytest.mark.parametrize("key", [ord("q"), 27])
def test_a_window_shows_bgr_and_ends_on_a_key(monkeypatch: pytest.MonkeyPatch, key: int) -> None:
    windows = FakeWindows(monkeypatch)
    windows.keys = iter([-1, key, -1])
    with WindowSink() as sink:
        sink.write(picture(10), 0.0)
        assert not sink.done
        sink.write(picture(10), 0.0)
        assert sink.done
        sink.write(picture(10), 0.0)
        assert sink.done
    assert windows.shown[0][5, 5].tolist() == [20, 20, 230]


def test_closing_the_window_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    windows = FakeWindows(monkeypatch)
    with WindowSink() as sink:
        sink.write(picture(10), 0.0)
        windows.visible = 0.0
        sink.write(picture(10), 0.0)
        assert sink.done


def test_no_windows_in_this_opencv(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise cv2.error("The function is not implemented")

    FakeWindows(monkeypatch)
    monkeypatch.setattr(cv2, "namedWindow", fail)
    with pytest.raises(SinkError, match="pip install opencv-python"):
        WindowSink()


def test_no_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agegender_core.sinks.window.sys.platform", "linux")
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    with pytest.raises(SinkError, match="there is no screen"):
        WindowSink()


def test_the_null_sink_takes_everything() -> None:
    with NullSink() as sink:
        sink.write(picture(3), 0.0)
        sink.write(io.StringIO())
        assert not sink.done
