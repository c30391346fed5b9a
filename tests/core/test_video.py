"""Sources: made clips, broken files, clocks, and the clips of the shared data."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from agegender_core.sources import (
    LiveSource,
    MediaClock,
    Recording,
    SourceError,
    SourceLostError,
    WallClock,
    open_source,
    opening,
)
from agegender_core.sources.frames import RawFrame
from agegender_core.sources.opencv import CaptureReader

SIZE = (64, 48)


def write_clip(path: Path, codec: str = "MJPG", frames: int = 40, fps: float = 20.0) -> Path:
    """A clip whose frame i is grey of level 6 i, but for a red left half."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), fps, SIZE)
    assert writer.isOpened()
    for index in range(frames):
        picture = np.full((SIZE[1], SIZE[0], 3), 6 * index, np.uint8)
        picture[:, : SIZE[0] // 2] = (0, 0, 255)
        writer.write(picture)
    writer.release()
    return path


class FakeCapture:
    """Stands for a camera that gives `frames` pictures and is then pulled out."""

    def __init__(self, frames: int, shape: tuple[int, ...] = (48, 64, 3)) -> None:
        self.left, self.shape, self.is_open = frames, shape, True

    def get(self, _: int) -> float:
        return 0.0

    def read(self) -> tuple[bool, np.ndarray | None]:
        if not self.left:
            return False, None
        self.left -= 1
        return True, np.zeros(self.shape, np.uint8)

    def isOpened(self) -> bool:  # noqa: N802
        return self.is_open

    def release(self) -> None:
        self.is_open = False


def test_frames_of_a_clip_come_in_order_as_rgb_with_their_times(tmp_path: Path) -> None:
    with open_source(write_clip(tmp_path / "a.avi")) as source:
        assert (source.width, source.height, source.fps, source.frame_count) == (*SIZE, 20.0, 40)
        assert not source.is_live
        frames = list(source)
    assert [frame.index for frame in frames] == list(range(40))
    np.testing.assert_allclose([frame.time for frame in frames], np.arange(40) / 20.0, atol=1e-6)
    assert all(frame.image.dtype == np.uint8 and frame.image.flags.c_contiguous for frame in frames)
    np.testing.assert_allclose([frame.image[24, 48].mean() for frame in frames], 6 * np.arange(40), atol=4)
    red = frames[20].image[24, 8].astype(int)
    assert red[0] > 200
    assert red[1:].max() < 60
    assert not source.truncated


def test_mp4_is_read(tmp_path: Path) -> None:
    assert sum(1 for _ in open_source(write_clip(tmp_path / "a.mp4", "mp4v"))) == 40


def test_a_source_is_an_iterator_that_can_be_closed(tmp_path: Path) -> None:
    source = open_source(str(write_clip(tmp_path / "a.avi")))
    assert next(source).index == 0
    assert next(source).index == 1
    source.close()
    source.close()
    assert list(source) == []
    assert not source.truncated


@pytest.mark.parametrize("name", ["Gräfin 日本 😀.avi", "a:b.avi", "100%d done.avi", "with space.avi", "12.avi"])
def test_unusual_names(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (write_clip(tmp_path / "plain.avi", frames=3)).rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    assert sum(1 for _ in open_source(name)) == 3
    assert sum(1 for _ in open_source(tmp_path / name)) == 3


def test_gif_with_varying_frame_times(tmp_path: Path) -> None:
    durations = [40, 120, 40, 200, 90, 60]
    pictures = [Image.new("RGB", SIZE, (40 * i, 255 - 40 * i, 90)) for i in range(6)]
    pictures[0].save(tmp_path / "a.gif", save_all=True, append_images=pictures[1:], duration=durations, loop=0)
    frames = list(open_source(tmp_path / "a.gif"))
    starts = np.cumsum([0, *durations[:-1]]) / 1000
    np.testing.assert_allclose([frame.time for frame in frames], starts, atol=0.011)
    assert [tuple(frame.image[0, 0] // 40) for frame in frames] == [
        (40 * i // 40, (255 - 40 * i) // 40, 90 // 40) for i in range(6)
    ]


def test_a_file_that_was_cut_off_gives_its_frames_and_says_so(tmp_path: Path) -> None:
    whole = write_clip(tmp_path / "a.avi").read_bytes()
    (tmp_path / "cut.avi").write_bytes(whole[: len(whole) // 2])
    source = open_source(tmp_path / "cut.avi")
    frames = list(source)
    assert 5 < len(frames) < 35
    assert source.truncated


def test_a_gif_that_was_cut_off_says_so(tmp_path: Path) -> None:
    pictures = [Image.effect_noise(SIZE, 60 + i).convert("RGB") for i in range(6)]
    pictures[0].save(tmp_path / "a.gif", save_all=True, append_images=pictures[1:], duration=40)
    whole = (tmp_path / "a.gif").read_bytes()
    (tmp_path / "padded.gif").write_bytes(whole + bytes(100))
    (tmp_path / "cut.gif").write_bytes(whole[: len(whole) // 2])
    for name, truncated in (("a.gif", False), ("padded.gif", False), ("cut.gif", True)):
        source = open_source(tmp_path / name)
        frames = list(source)
        assert 1 <= len(frames) <= 6
        assert source.truncated is truncated


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.mp4", b"", "not a video"),
        ("text.mp4", b"hello\n" * 500, "not a video"),
        ("noise.avi", bytes(np.random.default_rng(0).integers(0, 256, 5000, np.uint8)), "not a video"),
    ],
)
def test_files_that_are_no_videos(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(SourceError, match=message) as caught:
        open_source(path)
    assert str(path) in str(caught.value)


def test_nothing_is_written_to_stderr(tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("hello\n" * 500)
    program = """
import sys
import threading
import time
from agegender_core.sources import SourceError, open_source
for source in (sys.argv[1], "93", "rtsp://127.0.0.1:9/live"):
    try:
        open_source(source)
    except SourceError:
        print("refused")
"""
    # In a process of its own: FFmpeg reads its log level once, before whatever other tests do.
    command = [sys.executable, "-c", program, str(tmp_path / "text.mp4")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (done.stdout.split(), done.stderr) == (["refused"] * 3, "")


def test_an_mp4_without_its_index_is_refused(tmp_path: Path) -> None:
    whole = write_clip(tmp_path / "a.mp4", "mp4v").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(SourceError, match="cut off"):
        open_source(tmp_path / "cut.mp4")


def test_missing_files_and_folders(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nowhere\.mp4"):
        open_source(tmp_path / "nowhere.mp4")
    with pytest.raises(SourceError, match="no pictures in"):
        open_source(tmp_path)


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "bmp"])
def test_a_picture_is_refused_with_a_hint(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"portrait1.{suffix}"
    Image.new("RGB", SIZE, (200, 30, 30)).save(path)
    with pytest.raises(SourceError, match=r"is a picture.*agegender predict"):
        open_source(path)


def test_cameras_that_are_not_there() -> None:
    with pytest.raises(SourceError, match="camera 93 does not open"):
        open_source("93")
    with pytest.raises(ValueError, match="got -1"):
        open_source(-1)


def test_a_url_that_does_not_open_hides_its_password() -> None:
    with pytest.raises(SourceError, match="does not open") as caught:
        open_source("rtsp://alice:secret@127.0.0.1:9/live")
    assert "secret" not in str(caught.value)
    assert "127.0.0.1:9/live" in str(caught.value)


def live(*captures: FakeCapture, **options: Any) -> LiveSource:
    """A live source that is lost after each of the captures but the last, and then can't be opened again."""
    left = iter(captures)

    def open_reader() -> CaptureReader:
        capture = next(left, None)
        if capture is None:
            raise SourceError("camera 0 does not open")
        return CaptureReader(capture, is_live=True)  # type: ignore[arg-type]

    return LiveSource(open_reader, "camera 0", "camera-0", **options)


def test_a_live_source_that_is_lost_for_good_is_an_error() -> None:
    source = live(FakeCapture(3), give_up=0)
    assert source.is_live
    assert (source.fps, source.frame_count) == (25.0, None)
    with pytest.raises(SourceLostError, match="stopped giving frames after 3 frames; given up after 0 attempts"):
        list(source)
    assert list(source) == []


def test_a_source_without_any_frame_is_refused() -> None:
    capture = FakeCapture(0)
    with pytest.raises(SourceError, match="camera 0 opens but gives no frame"):
        live(capture)
    assert not capture.is_open


def test_grey_frames_become_rgb() -> None:
    assert next(live(FakeCapture(1, (48, 64)))).image.shape == (48, 64, 3)


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True, width=32), max_size=50))
def test_times_always_rise(reported: list[float]) -> None:
    clock = MediaClock(25.0)
    times = [clock(value) for value in reported]
    assert all(np.isfinite(times))
    assert all(later > earlier for earlier, later in itertools.pairwise(times))
    assert times[:1] in ([], [0.0])


@given(st.lists(st.integers(1, 10_000), max_size=50), st.integers(0, 10**6))
def test_good_times_stay_as_they_are(steps: list[int], start: int) -> None:
    stamps = start + np.cumsum([0, *steps])
    clock = MediaClock(25.0)
    times = [clock(stamp / 1000) for stamp in stamps]
    np.testing.assert_allclose(times, (stamps - start) / 1000, atol=1e-9)


def test_a_clock_that_is_always_zero_counts_frames() -> None:
    clock = MediaClock(10.0)
    np.testing.assert_allclose([clock(0.0) for _ in range(4)], [0.0, 0.1, 0.2, 0.3])


def test_a_jump_back_costs_one_frame_and_the_rest_goes_on() -> None:
    clock = MediaClock(10.0)
    times = [clock(value) for value in (5.0, 5.5, 0.0, 0.2, 0.4)]
    np.testing.assert_allclose(times, [0.0, 0.5, 0.6, 0.8, 1.0])


def test_a_nonsense_time_between_good_ones_changes_nothing_else() -> None:
    clock = MediaClock(25.0)
    times = [clock(value) for value in (float("nan"), 5.0, 5.1, float("inf"), 5.2)]
    np.testing.assert_allclose(times, [0.0, 0.04, 0.14, 0.18, 0.24])


def test_the_wall_clock_starts_at_zero() -> None:
    clock = WallClock()
    assert clock(77.0) == 0.0
    assert 0.0 <= clock(0.0) < 5.0


@pytest.mark.parametrize(
    ("name", "frames", "size", "seconds"),
    [
        ("street-9-faces-1080p.mp4", 105, (1920, 1080), 4.16),
        ("interview-cuts-360p.mp4", 275, (640, 360), 9.1425),
        ("walking-270p.gif", 35, (480, 270), 2.83),
        ("one-head-turning-270p.gif", 23, (480, 270), 1.83),
    ],
)
def test_real_clips(shared_data: Path, name: str, frames: int, size: tuple[int, int], seconds: float) -> None:
    source = open_source(shared_data / "clips" / name)
    assert (source.width, source.height) == size
    times = [frame.time for frame in source]
    assert len(times) == frames == source.frame_count
    assert np.diff(times).min() > 0.03
    assert times[-1] == pytest.approx(seconds, abs=0.01)
    assert not source.truncated


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="names of files are text there")
def test_names_that_are_no_utf8_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"))
    folder.mkdir()
    path = folder / "clip.avi"
    path.write_bytes(write_clip(tmp_path / "clip.avi").read_bytes())
    for one in (path, str(path)):
        assert sum(1 for _ in open_source(one)) == 40
    with pytest.raises(SourceError, match="the address is not UTF-8"):
        open_source("http://127.0.0.1:9/caf\udce9")
    monkeypatch.setattr(opening, "_has_pyav", lambda: False)
    with pytest.raises(SourceError, match=r"clip\.avi can't be opened: its name .* is not UTF-8; rename it, or pip"):
        open_source(path)


class CountingReader:
    """A reader of numbered frames that says how many were read, and fails at one."""

    fps, frame_count, is_live, broken, problem, has_sound = 25.0, None, False, 0, "", False

    def __init__(self, frames: int, fails_at: int | None = None) -> None:
        self.frames, self.fails_at = frames, fails_at
        self.reads, self.closed = 0, 0

    def read(self) -> RawFrame | None:
        assert not self.closed
        if self.reads == self.fails_at:
            raise SourceError("the disk is gone")
        if self.reads == self.frames:
            return None
        self.reads += 1
        image = np.full((4, 4, 3), self.reads, np.uint8)
        return RawFrame((self.reads - 1) / 25, 0.0, lambda: image)

    def close(self) -> None:
        self.closed += 1


def test_a_recording_is_read_two_frames_ahead_in_order() -> None:
    reader = CountingReader(30)
    source = Recording(reader, "made", "made")
    for number, frame in enumerate(source, 1):
        assert (frame.image[0, 0, 0], frame.index, source.received) == (number, number - 1, number)
        time.sleep(0.01)
        assert reader.reads <= number + 3
    assert reader.reads == 30
    assert reader.closed == 1


def test_what_a_reader_raises_comes_after_the_frames_before_it() -> None:
    source = Recording(CountingReader(30, fails_at=5), "made", "made")
    frames = [next(source) for _ in range(5)]
    assert [frame.index for frame in frames] == [0, 1, 2, 3, 4]
    with pytest.raises(SourceError, match="the disk is gone"):
        next(source)
    assert list(source) == []


def test_a_recording_that_is_closed_early_leaves_no_thread() -> None:
    before = threading.active_count()
    reader = CountingReader(1000)
    with Recording(reader, "made", "made") as source:
        next(source), next(source)
        assert threading.active_count() == before + 1
    assert threading.active_count() == before
    assert reader.closed == 1
    assert reader.reads < 6
    assert list(source) == []
    source.close()
