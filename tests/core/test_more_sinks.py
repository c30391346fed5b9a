"""Sinks that must stand a kill and a full disk; tables, segments, sound, summaries, blurred faces."""

from __future__ import annotations

import csv
import errno
import functools
import http.server
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agegender_core.blur import FaceBlur
from agegender_core.faces import Faces
from agegender_core.images import read_image
from agegender_core.pipeline import FrameResult
from agegender_core.sinks import (
    CsvSink,
    JsonlSink,
    MotSink,
    ParquetSink,
    SegmentedSink,
    SinkError,
    SummarySink,
    VideoSink,
    partial_path,
)
from agegender_core.sources import open_source

av = pytest.importorskip("av")
CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
SIZE = (160, 96)


def moving(number: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    image = np.random.default_rng(number).integers(0, 256, (size[1], size[0], 3), np.uint8)
    image[:, : size[0] // 2] = (200, 40, 40)
    return image


def faces_of(number: int, ids: tuple[int, ...] = (1,), **columns: Any) -> Faces:
    n = len(ids)
    return Faces(
        xyxy=np.array([[10 + i, 20, 110 + i, 120] for i in range(n)], np.float32).reshape(-1, 4),
        score=np.ones(n, np.float32),
        age=np.full(n, 30 + number, np.float32),
        age_std=np.full(n, 5, np.float32),
        age_interval=np.tile(np.float32([20, 40]), (n, 1)),
        p_male=np.full(n, 0.25, np.float32),
        track_id=np.array(ids, np.int64).reshape(-1),
        time=number / 10,
        frame=number,
        **columns,
    )


def result(number: int, ids: tuple[int, ...] = (1,), source: str = "a.mp4", **columns: Any) -> FrameResult:
    faces = faces_of(number, ids, **columns)
    captured = 1_764_162_900.042 + number / 10
    return FrameResult(number, number / 10, np.zeros((4, 4, 3), np.uint8), faces, faces, source, captured)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".avi"])
def test_a_kill_leaves_a_video_that_plays_to_its_last_second(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    program = (
        "import sys, numpy as np\n"
        "from agegender_core import VideoSink\n"
        "sink = VideoSink(sys.argv[1], 25)\n"
        "for n in range(200):\n"
        "    image = np.random.default_rng(n).integers(0, 256, (96, 160, 3), np.uint8)\n"
        "    sink.write(image, n / 25)\n"
        "print('written', flush=True)\n"
        "input()\n"
    )
    command = [sys.executable, "-c", program, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "written\n"
        process.send_signal(signal.SIGKILL)
    assert [item.name for item in tmp_path.iterdir()] == [f"a.partial{suffix}"]
    times = [frame.time for frame in open_source(partial_path(path))]
    assert times[-1] >= 8 - 1.1
    assert len(times) == round(25 * times[-1]) + 1


@pytest.mark.skipif(sys.platform == "win32", reason="limits of a process")
@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".avi", ".jsonl", ".csv", ".parquet"])
def test_a_full_disk_is_said_and_the_file_is_whole_up_to_there(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    program = f"""
import resource, signal, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
import test_more_sinks as here
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # then writing on is an error, as on a full disk
make = {{".jsonl": here.JsonlSink, ".csv": here.CsvSink, ".parquet": here.ParquetSink}}.get({suffix!r})
sink = make(sys.argv[1]) if make else here.VideoSink(sys.argv[1], 25)
sys.dont_write_bytecode = True  # a module that is first imported under the limit would be cached cut short
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
try:
    with sink:
        for number in range(100_000):
            sink.write(here.result(number)) if make else sink.write(here.moving(number), number / 25)
except here.SinkError as error:
    print(number, error)
"""
    done = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, text=True, timeout=120)
    assert done.stderr == ""
    number, message = done.stdout.strip().split(" ", 1)
    assert f"a{suffix} can't be written: File too large" in message
    if suffix == ".jsonl":
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        assert len(lines) == int(number)
    elif suffix == ".csv":
        rows = list(csv.DictReader(path.read_text().splitlines()))
        assert [int(row["frame"]) for row in rows] == list(range(int(number)))
    elif suffix == ".parquet":
        import pyarrow.parquet

        frames = pyarrow.parquet.read_table(path)["frame"].to_pylist()
        assert len(frames) > 100
        assert frames == list(range(len(frames)))
    else:
        frames = [frame.time for frame in open_source(path)]
        assert len(frames) > 0.5 * int(number)
    assert [item.name for item in tmp_path.iterdir()] == [path.name]


def test_a_disk_that_is_full_at_the_end_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sink = VideoSink(tmp_path / "a.mp4", 25)
    for number in range(60):
        sink.write(moving(number), number / 25)

    class Full:
        def __init__(self, file: Any) -> None:
            self.file = file

        def __getattr__(self, name: str) -> Any:
            return getattr(self.file, name)

    def full() -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(sink, "_finish", full)
    with pytest.raises(SinkError, match=r"a\.mp4 can't be written: No space left on device"):
        sink.close()
    assert sum(1 for _ in open_source(tmp_path / "a.mp4")) >= 25


def with_sound(path: Path, codec: str, seconds: float = 2.0) -> Path:
    with av.open(str(path), "w") as container:
        video, audio = container.add_stream("libx264", rate=25), container.add_stream(codec, rate=16000)
        video.width, video.height, video.pix_fmt = *SIZE, "yuv420p"
        for number in range(round(25 * seconds)):
            container.mux(video.encode(av.VideoFrame.from_ndarray(moving(number), format="rgb24")))
        wave = (8000 * np.sin(np.arange(round(16000 * seconds)) / 5)).astype(np.int16)[None]
        frame = av.AudioFrame.from_ndarray(wave, format="s16", layout="mono")
        frame.sample_rate = 16000
        resampler = av.AudioResampler(audio.format, "mono", 16000, frame_size=audio.frame_size or 1024)
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(audio.encode(part))
        container.mux(video.encode(None))
        container.mux(audio.encode(None))
    return path


@pytest.mark.parametrize(
    ("codec", "suffix", "copied"),
    [("aac", ".mp4", True), ("aac", ".mkv", True), ("pcm_s16le", ".avi", True), ("pcm_s16le", ".mp4", False)],
)
def test_sound_is_copied_or_its_loss_is_said(tmp_path: Path, codec: str, suffix: str, copied: bool) -> None:
    path = with_sound(tmp_path / ("in.mkv" if codec.startswith("pcm") else "in.mp4"), codec)
    source = open_source(path)
    assert source.sound == path
    with VideoSink(tmp_path / f"out{suffix}", 25, sound=source.sound, sound_start=source.start) as sink:
        for frame in source:
            sink.write(frame.image, frame.time)
    assert bool(sink.note) != copied
    if not copied:
        assert f"has no sound: {suffix} can't hold pcm_s16le; .mkv can" in sink.note

    def sound(name: Path) -> np.ndarray:
        with av.open(str(name)) as container:
            if not container.streams.audio:
                return np.empty(0)
            return np.concatenate([part.to_ndarray().reshape(-1) for part in container.decode(audio=0)])

    found = sound(tmp_path / f"out{suffix}")
    want = sound(path)[: None if copied else 0]
    assert len(found) == pytest.approx(len(want), rel=0.07)
    np.testing.assert_array_equal(found, want[: len(found)])


def test_a_long_run_goes_into_files_of_a_bounded_length(tmp_path: Path) -> None:
    source = with_sound(tmp_path / "in.mp4", "aac", seconds=3)
    segments: SegmentedSink[VideoSink] = SegmentedSink(
        functools.partial(VideoSink, fps=25, sound=source), tmp_path / "a.mp4", 1.0
    )
    with segments:
        for frame in open_source(source):
            segments.write(frame.image, frame.time)
    assert [path.name for path in segments.paths] == ["a-0001.mp4", "a-0002.mp4", "a-0003.mp4"]
    for path in segments.paths:
        frames = [frame.time for frame in open_source(path)]
        assert (len(frames), frames[0]) == (25, 0.0)
        with av.open(str(path)) as container:
            assert float(container.streams.audio[0].duration * container.streams.audio[0].time_base) == pytest.approx(
                1.0, abs=0.15
            )
    with SegmentedSink(JsonlSink, tmp_path / "b.jsonl", 0.5, stamped=True) as rows:
        for number in range(12):
            rows.write(result(number))
    assert [len(path.read_text().splitlines()) for path in rows.paths] == [5, 5, 2]
    assert all(path.name.startswith("b-20") and "Z" in path.name for path in rows.paths)
    with pytest.raises(ValueError, match="seconds must be above 0"):
        SegmentedSink(JsonlSink, tmp_path / "c.jsonl", 0)


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None or DRIVER is None, reason="chromium and chromedriver are not on this machine")
@pytest.mark.parametrize("killed", [False, True])
def test_a_browser_plays_the_video(tmp_path: Path, killed: bool) -> None:
    pytest.importorskip("selenium")
    from selenium.webdriver import Chrome, ChromeOptions
    from selenium.webdriver.chrome.service import Service

    path = tmp_path / "a.mp4"
    sink = VideoSink(path, 25)
    for number in range(75):
        image = np.full((240, 427, 3), 60, np.uint8)
        image[:, :200] = (200, 40, 40)
        sink.write(image, number / 25)
    if killed:
        shutil.copy(partial_path(path), tmp_path / "b.mp4")  # as a kill leaves it
    sink.close()
    name = "b.mp4" if killed else "a.mp4"
    (tmp_path / "page.html").write_text(f'<video src="{name}" muted autoplay></video>')

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(tmp_path)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    options = ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for argument in ("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    look = """const v = document.querySelector('video'), c = document.createElement('canvas');
        c.width = v.videoWidth; c.height = v.videoHeight; const d = c.getContext('2d'); d.drawImage(v, 0, 0);
        return {error: v.error && v.error.message, time: v.currentTime, ended: v.ended, width: v.videoWidth,
                height: v.videoHeight, left: v.videoWidth ? [...d.getImageData(50, 50, 1, 1).data] : null}"""
    driver = Chrome(options, Service(str(DRIVER)))
    try:
        driver.get(f"http://127.0.0.1:{server.server_port}/page.html")
        deadline = time.monotonic() + 60
        while not (found := driver.execute_script(look))["ended"]:
            assert found["error"] is None
            assert time.monotonic() < deadline, found
            time.sleep(0.2)
    finally:
        driver.quit()
        server.shutdown()
        server.server_close()
    assert (found["width"], found["height"]) == (428, 240)
    assert found["time"] >= (1.9 if killed else 2.9)
    assert np.abs(np.array(found["left"][:3]) - (200, 40, 40)).max() < 16


def test_tables_of_faces(tmp_path: Path) -> None:
    results = [result(0), result(1, (1, -1)), result(2, ())]
    for sink in (CsvSink(tmp_path / "a.csv"), MotSink(tmp_path / "a.txt"), ParquetSink(tmp_path / "a.parquet")):
        with sink:
            for one in results:
                sink.write(one)
    rows = list(csv.DictReader((tmp_path / "a.csv").read_text().splitlines()))
    assert [(row["frame"], row["track_id"], row["gender"]) for row in rows] == [
        ("0", "1", "female"),
        ("1", "1", "female"),
        ("1", "-1", "female"),
    ]
    assert rows[0]["captured"] == "2025-11-26T13:15:00.042Z"
    assert (rows[0]["age_interval_low"], rows[0]["raw_age"], rows[0]["source"]) == ("20.0", "30.0", "a.mp4")
    assert (tmp_path / "a.txt").read_text().splitlines() == [
        "1,1,10.0,20.0,100.0,100.0,1.0,-1,-1,-1",
        "2,1,10.0,20.0,100.0,100.0,1.0,-1,-1,-1",
    ]
    import pyarrow.parquet

    table = pyarrow.parquet.read_table(tmp_path / "a.parquet")
    assert table.column_names == list(rows[0])
    assert table["track_id"].to_pylist() == [1, 1, -1]
    assert table["age"].to_pylist() == [30, 31, 31]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "a.parquet", "a.txt"]


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="names of files are text there")
def test_names_that_are_no_utf8(tmp_path: Path) -> None:
    import pyarrow.parquet

    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"))
    folder.mkdir()
    one = result(0, source="caf\udce9.mp4")
    for name in ("a.jsonl", "a.csv", "a.parquet", "b.csv"):
        kinds: dict[str, Any] = {"a.jsonl": JsonlSink, "a.csv": CsvSink, "a.parquet": ParquetSink, "b.csv": SummarySink}
        with kinds[name](folder / name) as sink:
            sink.write(one)
        if name == "a.parquet":
            with (folder / name).open("rb") as file:
                assert pyarrow.parquet.read_table(file)["source"].to_pylist() == ["caf\\xe9.mp4"]
        else:
            assert "caf\\xe9.mp4" in (folder / name).read_text(encoding="utf-8").replace("\\\\", "\\")
    with VideoSink(folder / "a.mp4", 25) as video:
        video.write(moving(0), 0.0)
    assert sum(1 for _ in open_source(folder / "a.mp4")) == 1


def test_rows_for_parquet_outlive_a_kill(tmp_path: Path) -> None:
    import pyarrow.ipc

    sink = ParquetSink(tmp_path / "a.parquet")
    for number in range(450):
        sink.write(result(number))
    with pyarrow.ipc.open_stream((tmp_path / "a.partial.arrows").read_bytes()) as stream:
        assert sum(batch.num_rows for batch in stream) == 400
    sink.close()


def test_a_track_is_one_row_when_it_is_over(tmp_path: Path) -> None:
    chips = np.full((1, 20, 20, 3), 90, np.uint8)
    with SummarySink(tmp_path / "a.csv", over_after=1.0, chips=tmp_path / "chips") as sink:
        for number in range(60):
            sink.write(result(number, (1,) if number < 20 else (2,), chips=chips))
            if number == 29:
                assert len((tmp_path / "a.csv").read_text().splitlines()) == 1
        assert len((tmp_path / "a.csv").read_text().splitlines()) == 2
    first, second = csv.DictReader((tmp_path / "a.csv").read_text().splitlines())
    assert (first["track_id"], first["first_seen"], first["last_seen"], first["frames"]) == ("1", "0.0", "1.9", "20")
    assert float(first["age"]) == pytest.approx(30 + 9.5)
    assert (first["age_interval_low"], first["gender"], first["best_frame"]) == ("20.0", "female", "0")
    assert (second["track_id"], second["frames"], second["last_captured"]) == ("2", "40", "2025-11-26T13:15:05.942Z")
    assert sorted(path.name for path in (tmp_path / "chips").iterdir()) == ["a-1.png", "a-2.png"]
    assert [first["chip"], second["chip"]] == [str(tmp_path / "chips" / f"a-{n}.png") for n in (1, 2)]
    with SummarySink(tmp_path / "b.jsonl") as plain:
        plain.write(result(0, chips=chips))
    assert json.loads((tmp_path / "b.jsonl").read_text())["chip"] is None
    assert not list(tmp_path.glob("*.png"))


def test_sources_of_the_same_name_keep_chips_of_their_own(tmp_path: Path) -> None:
    with SummarySink(tmp_path / "all.csv", chips=tmp_path / "chips") as sink:
        for source, level in (("north/a.mp4", 90), ("south/a.mp4", 200)):
            sink.write(result(0, source=source, chips=np.full((1, 20, 20, 3), level, np.uint8)))
    rows = {row["source"]: row for row in csv.DictReader((tmp_path / "all.csv").read_text().splitlines())}
    assert {read_image(row["chip"])[0, 0, 0] for row in rows.values()} == {90, 200}
    assert read_image(rows["south/a.mp4"]["chip"])[0, 0, 0] == 200


def test_a_closed_stdout_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    with pytest.raises(SinkError, match="stdout: it is closed"):
        JsonlSink("-")


def test_blurred_faces_lose_their_detail_and_nothing_else_does(astronaut_path: Path) -> None:
    image = read_image(astronaut_path)
    face = Faces(xyxy=np.array([[179, 83, 267, 171]], np.float32), track_id=np.array([-1]))
    blur = FaceBlur(hold=0.5)
    blurred = blur(image, face)
    inside = np.s_[95:160, 190:255]
    sharpness = [np.abs(np.diff(part[inside].astype(int), axis=1)).mean() for part in (image, blurred)]
    assert sharpness[1] < 0.3 * sharpness[0]
    assert (blurred[220:] == image[220:]).all()
    assert (blurred[:, 320:] == image[:, 320:]).all()
    # A detector loses a face for single frames: its place stays blurred for a while.
    assert (blur(image, Faces.empty(time=0.4)) == blurred).all()
    assert (blur(image, Faces.empty(time=0.6)) == image).all()
    edge = Faces(xyxy=np.array([[-30, -20, 10, 20], [500, 390, 900, 900], [600, 500, 700, 600]], np.float32))
    assert FaceBlur()(image, edge).shape == image.shape
    with pytest.raises(ValueError, match="hold must be"):
        FaceBlur(hold=-1)
