"""``agegender stream`` from end to end, with a tiny network in place of the real one."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from PIL import Image
from typer.testing import CliRunner, Result

from agegender_cli.errors import UserError
from agegender_cli.stream import stream
from agegender_core.faces import Frame
from agegender_core.sources import Source, SourceError, SourceLostError, TimedFrame, open_source

SAMPLE = Path(__file__).resolve().parents[2] / "samples" / "astronaut.mp4"
FRAMES = 90
PROGRAM = "import typer; from agegender_cli.stream import stream; typer.run(stream)"

app = typer.Typer()
app.command()(stream)


def run(*arguments: object, code: int | None = 0) -> Result:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if code is not None:
        assert result.exit_code == code, (result.output, result.exception)
    return result


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.mark.slow
def test_the_sample_is_tracked_from_end_to_end(tmp_path: Path, model: Path) -> None:
    output, tracks = tmp_path / "out.mp4", tmp_path / "out.jsonl"
    result = run(SAMPLE, "--no-show", "--output", output, "--tracks", tracks, "--model", model)
    assert f"{FRAMES} frames, 1 track," in result.stderr
    assert str(output) in result.stderr
    assert result.stdout == ""
    lines = lines_of(tracks)
    assert [line["frame"] for line in lines] == list(range(FRAMES))
    np.testing.assert_allclose([line["time"] for line in lines], np.arange(FRAMES) / 25, atol=2e-3)
    faces = [line["faces"] for line in lines]
    assert all(len(of_frame) == 1 for of_frame in faces)
    assert {of_frame[0]["track_id"] for of_frame in faces} == {1}
    for (face,) in faces:
        assert list(face) == [
            *("box", "score", "age", "age_std", "age_interval", "gender", "p_male", "quality", "track_id", "raw")
        ]
        assert (face["gender"], face["p_male"], face["age_std"]) == ("female", 0.2, 7.0)
        if (raw := face["raw"]["age"]) is not None:
            assert abs(face["age"] - raw) < 3
    # The picture differs from the source around the face and hardly elsewhere.
    before = [frame.image for frame in open_source(SAMPLE)]
    after = [frame.image for frame in open_source(output)]
    assert len(after) == FRAMES
    for index in (5, 45, 89):
        left, top, right, _ = (round(edge) for edge in faces[index][0]["box"])
        difference = np.abs(after[index].astype(int) - before[index]).max(axis=2)
        assert difference[top : top + 2, left + 20 : right - 20].mean() > 40
        assert difference[-40:, :60].mean() < 12
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.jsonl", "out.mp4"]


@pytest.mark.parametrize("tracker", ["faces", "sort"])
def test_detecting_on_some_frames_keeps_ages_on_the_others(tmp_path: Path, model: Path, tracker: str) -> None:
    tracks = tmp_path / "out.jsonl"
    run(SAMPLE, "--no-show", "--tracks", tracks, "--model", model, "--detect-every", 3, "--tracker", tracker)
    lines = lines_of(tracks)
    assert len(lines) == FRAMES
    looks = 0
    for line in lines[10:]:
        (face,) = line["faces"]
        assert face["track_id"] == 1
        assert face["age"] is not None
        assert face["quality"] > 0.9
        looks += face["raw"]["age"] is not None
        # SORT's boxes move on; around those of the other tracker faces are looked for.
        coasted = tracker == "sort" and line["frame"] % 3 != 0
        assert (face["score"] is None) == coasted
    assert 5 <= looks <= 12


@pytest.mark.slow
def test_blurred_videos_are_searched_in_each_frame(tmp_path: Path, model: Path) -> None:
    def searches(*options: object) -> int:
        stats = tmp_path / "stats.json"
        run(SAMPLE, "--no-show", "--model", model, "--stats", stats, "--tracks", tmp_path / "t.jsonl", *options)
        return json.loads(stats.read_text())["sources"][0]["stages_ms"]["YuNetDetector"]["frames"]

    assert searches() == 18  # 3.6 s, five times a second
    assert searches("--blur", "--output", tmp_path / "blurred.mp4") == FRAMES
    assert searches("--blur", "--detect-every", 4) == 23


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--detect-every", "0"], "--detect-every 0 is no number of frames"),
        (["--detect-every", "often"], "--detect-every often is no number of frames"),
        (["--min-hits", "1"], "--min-hits is for --tracker sort"),
        (["--iou", "0.1"], "--iou is for --tracker sort"),
    ],
)
def test_wrong_options_of_tracking(options: list[str], message: str) -> None:
    result = run(SAMPLE, "--no-show", "--tracks", "-", *options, code=None)
    assert message in str(result.exception)


def test_json_lines_on_stdout_and_nothing_else(model: Path) -> None:
    result = run(SAMPLE, "--no-show", "--tracks", "-", "--model", model, "--quiet", "--detect-every", 10)
    assert [json.loads(line)["frame"] for line in result.stdout.splitlines()] == list(range(FRAMES))
    assert result.stderr == ""


@pytest.mark.skipif(sys.platform == "win32", reason="pipes")
def test_a_reader_that_has_had_enough_ends_it_quietly(model: Path) -> None:
    command = [sys.executable, "-c", PROGRAM, SAMPLE, "--no-show", "--tracks", "-", "--model", model, "--upsample", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert json.loads(process.stdout.readline())["frame"] == 0
        process.stdout.close()
        errors = process.stderr.read()
    assert process.returncode == 0
    assert "Traceback" not in errors
    assert "frames, 1 track," in errors


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (["nowhere.mp4", "--tracks", "t.jsonl"], FileNotFoundError, r"nowhere\.mp4"),
        ([SAMPLE.with_name("astronaut.jpg"), "--tracks", "t.jsonl"], SourceError, "is a picture.*agegender predict"),
        ([SAMPLE, "--no-show"], UserError, "--summary, --counts, --serve, --mqtt and --webhook is given"),
        ([SAMPLE], UserError, "--summary, --counts, --serve, --mqtt and --webhook is given"),
        ([SAMPLE, "--no-show", "--output", "out.gif"], ValueError, r"out\.gif: a video's name ends in \.mp4"),
        ([SAMPLE, "--no-show", "--output", "no/folder/out.mp4"], OSError, "there is no folder"),
        ([SAMPLE, "--no-show", "--output", "a.mp4", "--tracks", "no/t.jsonl"], OSError, "can't be written"),
        ([SAMPLE, "--no-show", "--output", SAMPLE], UserError, "astronaut.mp4 itself, which is read"),
        ([SAMPLE, "--no-show", "--output", "a.mp4", "--tracks", "a.mp4"], UserError, "the same file"),
        ([SAMPLE, "--show", "--tracks", "t.jsonl"], OSError, "no window can be shown"),
    ],
)
def test_mistakes(
    tmp_path: Path,
    model: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[Any],
    error: type[Exception],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    before = SAMPLE.stat()
    result = run(*arguments, "--model", model, code=1)
    assert isinstance(result.exception, error)
    with pytest.raises(error, match=message):
        raise result.exception
    assert list(tmp_path.iterdir()) == []
    assert SAMPLE.stat() == before


@pytest.mark.skipif(sys.platform == "win32", reason="links")
@pytest.mark.parametrize(
    ("output", "why"),
    [
        (["--output", "link.mp4"], "--output link.mp4 is clip.partial.mp4 itself"),
        (["--output", "hard.mp4"], "--output hard.mp4 is clip.partial.mp4 itself"),
        (["--output", "clip.mp4"], "clip.partial.mp4 is clip.partial.mp4 itself"),
        (["--tracks", "clip.partial.mp4"], "--tracks clip.partial.mp4 is clip.partial.mp4 itself"),
        (["--tracks", "link.mp4"], "--tracks link.mp4 is clip.partial.mp4 itself"),
        (["--tracks", "m.onnx"], "--tracks m.onnx is m.onnx itself"),
        (["--output", "o.mp4", "--tracks", "o.partial.mp4"], "the same file"),
        (["--output", "o.mp4", "--tracks", "folder/../o.mp4"], "the same file"),
    ],
)
def test_neither_source_nor_model_is_written_over(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch, output: list[str], why: str
) -> None:
    monkeypatch.chdir(tmp_path)
    source = Path("clip.partial.mp4")
    shutil.copy(SAMPLE, source)
    shutil.copy(model, "m.onnx")
    Path("folder").mkdir()
    Path("link.mp4").symlink_to(source)
    os.link(source, "hard.mp4")
    names = sorted(os.listdir())
    result = run(source, "--no-show", *output, "--model", "m.onnx", code=1)
    assert isinstance(result.exception, UserError)
    assert why in str(result.exception)
    assert source.read_bytes() == SAMPLE.read_bytes()
    assert Path("m.onnx").read_bytes() == model.read_bytes()
    assert sorted(os.listdir()) == names


class Broken(Source):
    """A live source that does `fail` after 10 of the sample's frames."""

    is_live = True

    def __init__(self, fail: Exception | type[BaseException]) -> None:
        super().__init__("camera 0", "camera-0")
        self.source, self.fail = open_source(SAMPLE), fail

    def __next__(self) -> TimedFrame:
        frame = next(self.source)
        if frame.index == 10:
            raise self.fail
        return frame

    def close(self) -> None:
        self.source.close()


@pytest.mark.parametrize(
    ("fail", "code", "message"),
    [
        (SourceLostError("camera 0 stopped giving frames"), 1, "Lost the source: camera 0 stopped giving frames"),
        (KeyboardInterrupt, 130, "Stopped. 10 frames"),
    ],
)
def test_what_is_done_stays_when_the_source_breaks_off(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch, fail: Any, code: int, message: str
) -> None:
    monkeypatch.setattr("agegender_core.sources.open_source", lambda source, **_: Broken(fail))
    output, tracks = tmp_path / "out.mp4", tmp_path / "out.jsonl"
    result = run("0", "--no-show", "--output", output, "--tracks", tracks, "--model", model, "--quiet", code=code)
    assert message in result.stderr
    assert len(lines_of(tracks)) == 10
    monkeypatch.undo()
    assert sum(1 for _ in open_source(output)) == 10


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_finish_the_files(
    tmp_path: Path, model: Path, number: signal.Signals, start_process: Callable[..., Any]
) -> None:
    output, tracks = tmp_path / "out.mp4", tmp_path / "out.jsonl"
    options = [
        "--detector",
        "hog",
        "--upsample",
        "2",
        "--no-show",
        "--output",
        output,
        "--tracks",
        tracks,
        "--model",
        model,
    ]
    with start_process([sys.executable, "-c", PROGRAM, SAMPLE, *options], stderr=subprocess.PIPE) as process:
        deadline = time.monotonic() + 60
        while not (tracks.exists() and tracks.read_text().count("\n") >= 3):
            assert process.poll() is None, process.stderr and process.stderr.read()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert "Stopped." in errors
    assert "Traceback" not in errors
    lines = lines_of(tracks)
    assert 3 <= len(lines) < FRAMES
    assert abs(sum(1 for _ in open_source(output)) - len(lines)) <= 1


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_a_source_that_stalls_does_not_hold_up_a_signal(
    tmp_path: Path, model: Path, start_process: Callable[..., Any]
) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/?password=secret"
        options = ["--wait", "--stall", "30", "--no-show", "--tracks", tmp_path / "t.jsonl", "--model", model]
        with start_process([sys.executable, "-c", PROGRAM, url, *options], stderr=subprocess.PIPE) as process:
            deadline = time.monotonic() + 60
            while not (tmp_path / "t.jsonl").exists():
                assert time.monotonic() < deadline
                time.sleep(0.05)
            time.sleep(1)
            start = time.monotonic()
            process.send_signal(signal.SIGTERM)
            _, errors = process.communicate(timeout=60)
    assert process.returncode == 143
    assert time.monotonic() - start < 3  # under a second on a machine that is not busy
    assert "secret" not in errors
    assert "Traceback" not in errors


def test_a_recording_that_was_cut_off_is_said(tmp_path: Path, model: Path) -> None:
    from agegender_core.sinks import VideoSink

    def enlarged(source: Source) -> list[Frame]:
        return [frame.image for frame in source]

    whole, cut = tmp_path / "whole.avi", tmp_path / "cut.avi"
    with VideoSink(whole, 25, (640, 360)) as sink:
        for image in enlarged(open_source(SAMPLE))[:40]:
            sink.write(image, 0.0)
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    result = run(cut, "--no-show", "--tracks", tmp_path / "t.jsonl", "--model", model, "--upsample", 0)
    assert "of the 40 frames it announces" in result.stderr


@pytest.mark.parametrize("where", ["in the data of a frame", "after a byte like a trailer"])
def test_a_gif_that_was_cut_off_is_said(tmp_path: Path, model: Path, where: str) -> None:
    noise = np.random.default_rng(5).integers(0, 256, (6, 48, 64, 3), np.uint8)
    pictures = [Image.fromarray(pixels) for pixels in noise]
    pictures[0].save(tmp_path / "whole.gif", save_all=True, append_images=pictures[1:], duration=40)
    whole = (tmp_path / "whole.gif").read_bytes()
    middle = len(whole) // 2
    end = middle if where == "in the data of a frame" else whole.index(b";", middle) + 1
    assert whole[end - 2 : end] != b"\0;"
    (tmp_path / "cut.gif").write_bytes(whole[:end])
    result = run(tmp_path / "cut.gif", "--no-show", "--tracks", tmp_path / "t.jsonl", "--model", model)
    assert re.search(r"cut\.gif was cut off: it ends after [1-5] frames?\.", result.stderr)


def test_no_face_gives_a_hint(tmp_path: Path, model: Path) -> None:
    from agegender_core.sinks import VideoSink

    with VideoSink(tmp_path / "grey.avi", 25, (160, 120)) as sink:
        for _ in range(5):
            sink.write(np.full((120, 160, 3), 128, np.uint8), 0.0)
    tracks = tmp_path / "t.jsonl"
    result = run(tmp_path / "grey.avi", "--no-show", "--tracks", tracks, "--model", model)
    assert "No face was found; --min-face 16 finds smaller ones" in result.stderr
    assert [line["faces"] for line in lines_of(tracks)] == [[]] * 5


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "frames", "least", "most", "every"),
    [
        ("walking-270p.gif", 35, 2, 2, 1),
        ("one-head-turning-270p.gif", 23, 1, 1, 1),
        ("interview-cuts-360p.mp4", 275, 13, 22, 3),
        ("street-9-faces-1080p.mp4", 105, 9, 24, 3),
    ],
)
def test_real_clips(
    tmp_path: Path, model: Path, shared_data: Path, name: str, frames: int, least: int, most: int, every: int
) -> None:
    """Every third frame of the long clips, to save time; `least` tracks, the people of each shot as counted by eye."""
    output, tracks = tmp_path / "out.mp4", tmp_path / "out.jsonl"
    options = ["--no-show", "--output", output, "--tracks", tracks, "--model", model, "--detect-every", every]
    run(shared_data / "clips" / name, *options)
    lines = lines_of(tracks)
    assert len(lines) == frames == sum(1 for _ in open_source(output))
    times = [line["time"] for line in lines]
    assert times == sorted(set(times))
    ids = {face["track_id"] for line in lines for face in line["faces"]} - {-1}
    assert least <= len(ids) <= most


@pytest.fixture
def clips(tmp_path: Path) -> list[Path]:
    """Two short recordings of the sample, as one/a.avi and two/a.avi: 12 and 7 frames."""
    from agegender_core.sinks import VideoSink

    images = [frame.image for _, frame in zip(range(12), open_source(SAMPLE), strict=False)]
    paths = [tmp_path / "one" / "a.avi", tmp_path / "two" / "a.avi"]
    for path, count in zip(paths, (12, 7), strict=True):
        path.parent.mkdir()
        with VideoSink(path, 25) as sink:
            for number, image in enumerate(images[:count]):
                sink.write(image, number / 25)
    return paths


def test_several_sources_each_have_their_tracks_and_files(tmp_path: Path, model: Path, clips: list[Path]) -> None:
    files = ["--output", tmp_path / "{source}.mp4", "--tracks", tmp_path / "all.jsonl"]
    files += ["--tracks", tmp_path / "{source}.csv", "--summary", tmp_path / "people.jsonl"]
    result = run(*clips, "--no-show", *files, "--model", model, "--upsample", 0, "--stats", tmp_path / "stats.json")
    assert "19 frames, 2 tracks" in result.stderr
    lines = lines_of(tmp_path / "all.jsonl")
    for clip, count in zip(clips, (12, 7), strict=True):
        own = [line for line in lines if line["source"] == str(clip)]
        assert [line["frame"] for line in own] == list(range(count))
        assert {face["track_id"] for line in own for face in line["faces"]} == {1}
    assert [sum(1 for _ in open_source(tmp_path / f"a-{n}.mp4")) for n in (1, 2)] == [12, 7]
    assert [len((tmp_path / f"a-{n}.csv").read_text().splitlines()) for n in (1, 2)] == [13, 8]
    people = lines_of(tmp_path / "people.jsonl")
    assert [(row["source"], row["frames"], row["gender"], row["chip"]) for row in people] == [
        (str(clips[0]), 12, "female", None),
        (str(clips[1]), 7, "female", None),
    ]
    stats = json.loads((tmp_path / "stats.json").read_text())
    assert [source["frames_processed"] for source in stats["sources"]] == [12, 7]
    assert stats["sources"][0]["stages_ms"]["Predictor"]["median"] > 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--output", "o.mp4"], "--output o.mp4 is one file, and there are several sources"),
        (["--tracks", "o.txt"], "--tracks o.txt is one file"),
        (["--no-frames", "--output", "{source}.mp4"], "--no-frames lets no picture out, and --output asks for some"),
        (["--no-frames", "--tracks", "t.csv", "--show"], "and --show asks for some"),
        (["--chips", "faces", "--tracks", "t.csv"], "--chips needs --summary"),
        (["--segment", "10x", "--tracks", "t.csv"], "--segment 10x is no time"),
        (["--size", "4x4", "--tracks", "t.csv"], "--size is for raw frames on stdin"),
        (["--size", "4", "--tracks", "t.csv"], "--size 4 is no width and height"),
        (["--tracks", "t.csv", "--stats", "t.csv"], "are the same file"),
    ],
)
def test_mistakes_with_several_sources(
    tmp_path: Path, model: Path, clips: list[Path], monkeypatch: pytest.MonkeyPatch, options: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DISPLAY", raising=False)
    show = [] if "--show" in options else ["--no-show"]
    result = run(*clips, *show, *options, "--model", model, code=1)
    assert isinstance(result.exception, UserError)
    assert message in str(result.exception)
    assert sorted(os.listdir()) == ["one", "two"]


def test_privacy_and_segments(tmp_path: Path, model: Path, clips: list[Path]) -> None:
    numbers = ["--no-frames", "--summary", "-", "--quiet", "--model", model, "--upsample", 0]
    result = run(clips[0], *numbers)
    (row,) = (json.loads(line) for line in result.stdout.splitlines())
    assert (row["track_id"], row["frames"]) == (1, 12)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "two"]
    plain, blurred = tmp_path / "plain.mkv", tmp_path / "blurred.mkv"
    for options in (["--output", plain], ["--output", blurred, "--blur", "--segment", "0.2s"]):
        run(clips[0], "--no-show", *options, "--model", model, "--upsample", 0)
    names = sorted(path.name for path in tmp_path.glob("blurred*"))
    assert names == ["blurred-0001.mkv", "blurred-0002.mkv", "blurred-0003.mkv"]
    # The middle of the face, where nothing is drawn.
    inside = np.s_[110:170, 250:310]
    detail = [
        np.abs(np.diff(next(open_source(path)).image[inside].astype(int), axis=1)).mean()
        for path in (plain, tmp_path / names[0])
    ]
    assert detail[1] < 0.5 * detail[0]


def test_prometheus_can_ask(tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import socket
    import urllib.request

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    asked: list[str] = []

    class Asking(Broken):
        def __next__(self) -> TimedFrame:
            frame = super().__next__()
            if frame.index == 9:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
                    asked.append(answer.read().decode())
            return frame

    monkeypatch.setattr("agegender_core.sources.open_source", lambda source, **_: Asking(StopIteration))
    options = ["--no-show", "--tracks", tmp_path / "t.jsonl", "--model", model, "--quiet"]
    run("0", *options, "--metrics", port)
    assert 'agegender_frames_processed_total{source="camera 0"} 9\n' in asked[0]
    run("0", *options, "--metrics", tmp_path / "m.prom", code=None)
    assert 'agegender_frames_processed_total{source="camera 0"} ' in (tmp_path / "m.prom").read_text()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        result = run("0", *options, "--metrics", taken.getsockname()[1], code=1)
        assert "can't be listened on" in str(result.exception)


def test_max_age_in_detections_still_works(tmp_path: Path, model: Path, clips: list[Path]) -> None:
    tracks = tmp_path / "t.jsonl"
    run(
        clips[0],
        "--no-show",
        "--tracks",
        tracks,
        "--model",
        model,
        "--tracker",
        "sort",
        "--upsample",
        0,
        "--max-age",
        3,
    )
    assert len(lines_of(tracks)) == 12
    result = run(
        clips[0],
        "--no-show",
        "--tracks",
        tracks,
        "--model",
        model,
        "--tracker",
        "sort",
        "--upsample",
        0,
        "--max-age",
        3,
    )
    assert "--lost-after" in result.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="limits of a process")
def test_a_full_disk_is_exit_code_1_and_names_the_file(tmp_path: Path, model: Path, clips: list[Path]) -> None:
    program = (
        "import resource, signal, sys\n"
        # A module that is first imported under the limit would be cached cut short.
        "sys.dont_write_bytecode = True\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (45_000, 45_000))\n" + PROGRAM
    )
    options = [
        "--upsample",
        "0",
        "--model",
        model,
        "--no-show",
        "-o",
        tmp_path / "o.mkv",
        "--tracks",
        tmp_path / "t.csv",
    ]
    done = subprocess.run([sys.executable, "-c", program, clips[0], *options], capture_output=True, text=True)
    assert done.returncode == 1
    assert "o.mkv can't be written: File too large" in done.stderr
    assert "Traceback" not in done.stderr
    assert sum(1 for _ in open_source(tmp_path / "o.mkv")) >= 1
    assert len((tmp_path / "t.csv").read_text().splitlines()) > 1


@pytest.mark.skipif(sys.platform == "win32", reason="shells")
def test_a_closed_stdout_is_a_sentence(model: Path, clips: list[Path]) -> None:
    program = "from agegender_cli.main import main; main()"
    command = 'exec "$0" -c "$1" stream "$2" --no-show --tracks - --model "$3" >&-'
    done = subprocess.run(
        ["sh", "-c", command, sys.executable, program, clips[0], model], capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "stdout: it is closed" in done.stderr
    assert "internal error" not in done.stderr


def test_free_memory_goes_back_to_the_system_again_and_again(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[None] = []
    monkeypatch.setattr("agegender_cli.stream._TRIM", 0.0)
    monkeypatch.setattr("agegender_core.telemetry.return_free_memory", lambda: calls.append(None))
    run(SAMPLE, "--no-show", "--model", model, "--tracks", tmp_path / "t.jsonl")
    assert len(calls) >= FRAMES
