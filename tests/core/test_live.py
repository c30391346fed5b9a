"""Live sources: the newest frame, drops, reconnecting, waiting; HTTP, pipes and pictures; several at once."""

from __future__ import annotations

import http.server
import io
import math
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from agegender_core.sources import LiveSource, SourceError, SourceLostError, TimedFrame, live, open_source, take_turns
from agegender_core.sources.addresses import masked, slug_of
from agegender_core.sources.frames import RawFrame

SIZE = (64, 48)


class FakeReader:
    """A connection that gives `frames` pictures, one every `pause` seconds, and then ends, or fails with `error`."""

    is_live, fps, frame_count, broken, problem, has_sound = True, 25.0, None, 0, "", False

    def __init__(self, frames: int, pause: float = 0.0, error: Exception | None = None) -> None:
        self.left, self.pause, self.error, self.closed = frames, pause, error, False

    def read(self) -> RawFrame | None:
        if self.left == 0:
            if self.error is not None:
                raise self.error
            return None
        time.sleep(self.pause)
        self.left -= 1
        return RawFrame(math.nan, time.time(), lambda: np.zeros((48, 64, 3), np.uint8))

    def close(self) -> None:
        self.closed = True


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "_FIRST_DELAY", 0.01)
    monkeypatch.setattr(live, "_LONGEST_DELAY", 0.02)


def opener(*readers: FakeReader | Exception) -> Callable[[], Any]:
    """Opens one after the other; what is an exception fails to open, and so does all after the last."""
    left = iter(readers)

    def open_reader() -> FakeReader:
        reader = next(left, SourceError("camera 0 does not open"))
        if isinstance(reader, Exception):
            raise reader
        return reader

    return open_reader


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_the_newest_frame_is_the_next_and_the_others_are_counted() -> None:
    source = LiveSource(opener(FakeReader(10**6, pause=0.001)), "camera 0", "camera-0")
    with source:
        first = next(source)
        until(lambda: source.received >= first.index + 30)
        before = time.time()
        second = next(source)
        assert second.index >= first.index + 29
        assert second.captured is not None
        assert before - 1 < second.captured <= time.time()
        assert second.time > first.time
        assert source.received - source.dropped in (2, 3)  # the two, and perhaps one that waits
    assert not source._thread.is_alive()


def test_a_lost_source_is_opened_again_and_time_goes_on() -> None:
    readers = [
        FakeReader(3, 0.01),
        FakeReader(3, 0.01, SourceError("camera 0: nothing came in time")),
        FakeReader(2, 0.01),
    ]
    source = LiveSource(
        opener(readers[0], SourceError("camera 0 does not open"), readers[1], readers[2]), "camera 0", "c", give_up=2
    )
    frames = []
    with pytest.raises(SourceLostError, match=r"does not open after 8 frames; given up after 2 attempts"):
        frames += iter(source)
    assert source.received == 8
    assert source.connections == 3
    assert all(reader.closed for reader in readers)
    assert [note.partition(";")[0] for note in source.notes] == [
        "camera 0 stopped giving frames",
        "camera 0 is back",
        "camera 0: nothing came in time",
        "camera 0 is back",
        "camera 0 stopped giving frames",
    ]
    assert list(source) == []


def test_without_waiting_a_source_that_is_not_there_is_refused_and_with_it_is_waited_for() -> None:
    missing = SourceError("camera 0 does not open")
    with pytest.raises(SourceError, match="does not open"):
        LiveSource(opener(missing, FakeReader(3)), "camera 0", "c", give_up=5)
    source = LiveSource(opener(*[missing] * 8, FakeReader(1)), "camera 0", "c", wait=True, give_up=20)
    assert source.width == 0
    assert next(source).index == 0
    assert (source.width, source.height) == SIZE
    with pytest.raises(SourceLostError, match="given up after 20"):
        next(LiveSource(opener(), "camera 0", "c", wait=True, give_up=20))


def test_a_bug_in_a_reader_is_said_and_not_swallowed() -> None:
    source = LiveSource(opener(FakeReader(1, error=ZeroDivisionError("oh"))), "camera 0", "c", give_up=0)
    next(source)
    with pytest.raises(SourceLostError, match="ZeroDivisionError: oh"):
        next(source)


def test_a_source_that_hangs_is_closed_at_once() -> None:
    hang = threading.Event()

    class Hanging(FakeReader):
        def read(self) -> RawFrame | None:
            if self.left == 0:
                hang.wait(20)
            return super().read()

    source = LiveSource(opener(Hanging(1)), "camera 0", "c")
    next(source)
    start = time.monotonic()
    source.close()
    assert time.monotonic() - start < 0.9
    hang.set()


def test_sources_take_turns_and_one_that_fails_leaves_the_others(tmp_path: Path) -> None:
    for number in range(5):
        Image.new("RGB", SIZE, (50 * number, 0, 0)).save(tmp_path / f"{number}.png")
    recording = open_source(tmp_path)
    lost = LiveSource(opener(FakeReader(2, 0.01)), "camera 1", "c", give_up=0)
    rounds: list[dict[int, TimedFrame]] = list(take_turns([recording, lost]))
    assert [round_[0].index for round_ in rounds if 0 in round_] == [0, 1, 2, 3, 4]
    assert sum(1 in round_ for round_ in rounds) == lost.received - lost.dropped
    assert "camera 1 stopped giving frames" in lost.problem
    assert recording.problem == ""


def test_idle_is_called_while_nothing_comes() -> None:
    calls = []
    source = LiveSource(opener(FakeReader(1), *[SourceError("gone")] * 10**4), "camera 0", "c", give_up=None)
    with pytest.raises(RuntimeError, match="enough"), source:
        for _ in take_turns([source], idle=lambda: calls.append(1) if len(calls) < 2 else exec_raise("enough")):
            pass
    assert len(calls) == 2


def exec_raise(text: str) -> None:
    raise RuntimeError(text)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("rtsp://10.0.0.7/live", "rtsp://10.0.0.7/live"),
        ("rtsp://alice:secret@10.0.0.7/live", "rtsp://***@10.0.0.7/live"),
        ("rtsp://alice:p@ss/w@rd@10.0.0.7/live", "rtsp://***@10.0.0.7/live"),
        ("http://h/v?user=admin&password=s3cret&channel=1", "http://h/v?user=***&password=***&channel=1"),
        ("http://h/v?Auth_Token=s3cret;x=2#pwd=1", "http://h/v?Auth_Token=***;x=2#pwd=***"),
        ("rtsp://h/user=admin_password=s3_cret_channel=1.sdp", "rtsp://h/user=***_password=***_channel=1.sdp"),
    ],
)
def test_no_secret_is_in_a_name(url: str, shown: str) -> None:
    assert masked(url) == shown
    assert "/" not in slug_of(masked(url))


def jpeg(level: int) -> bytes:
    data = io.BytesIO()
    Image.new("RGB", SIZE, (level, level, level)).save(data, "JPEG")
    return data.getvalue()


class Camera(http.server.BaseHTTPRequestHandler):
    """Sends MJPEG as network cameras do: 30 pictures a connection, 20 a second."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        for number in range(30):
            data = jpeg(8 * number)
            head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n"
            try:
                self.wfile.write(head.encode() + data + b"\r\n")
            except OSError:
                return
            time.sleep(0.05)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def camera() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Camera)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/video.mjpg?password=secret"
    server.shutdown()
    server.server_close()


def test_mjpeg_over_http_is_live(camera: str) -> None:
    with open_source(camera) as source:
        assert source.is_live
        assert "secret" not in source.name
        assert (source.width, source.height) == SIZE
        frames = [next(source) for _ in range(3)]
    assert all(frame.captured is not None for frame in frames)
    assert frames[0].image.shape == (48, 64, 3)


def test_a_server_that_stalls_is_noticed() -> None:
    over = threading.Event()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        threading.Thread(target=_send_some_and_stall, args=(listening, over), daemon=True).start()
        with open_source(f"http://127.0.0.1:{port}/", stall=0.5) as source:
            until(lambda: bool(source.notes))
            assert "nothing came in time; trying again" in source.notes[0]
            assert source.received >= 1
        over.set()


def _send_some_and_stall(listening: socket.socket, over: threading.Event) -> None:
    connection, _ = listening.accept()
    with connection:
        connection.recv(4096)
        connection.sendall(b"HTTP/1.0 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=frame\r\n\r\n")
        for number in range(80):
            data = jpeg(3 * number)
            head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n"
            connection.sendall(head.encode() + data + b"\r\n")
        over.wait(20)


def test_a_server_that_is_not_there_yet_is_waited_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with open_source(f"http://127.0.0.1:{port}/", wait=True) as source:
        until(lambda: bool(source.notes))
        assert "Connection refused; trying again until it is back" in source.notes[0]
        assert source.poll() is None
        server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Camera)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        assert next(source).image.shape == (48, 64, 3)
    server.shutdown()
    server.server_close()


@pytest.mark.skipif(sys.platform == "win32", reason="pipes")
@pytest.mark.parametrize("kind", ["mjpeg", "raw"])
def test_frames_on_stdin(kind: str) -> None:
    if kind == "mjpeg":
        data, options = b"".join(jpeg(10 * number) for number in range(20)), ", fps=5"
    else:
        raw = [np.full((48, 64, 3), 10 * number, np.uint8).tobytes() for number in range(20)]
        data, options = b"".join(raw) + b"half", ", size=(64, 48), fps=10"
    program = (
        "from agegender_core.sources import open_source\n"
        f"source = open_source('-'{options})\n"
        "frames = list(source)\n"
        "print(len(frames), frames[1].time, source.is_live, source.dropped)\n"
        "print(*(int(f.image[20, 30, 0]) for f in frames))\n"
        "print(list(source.notes))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], input=data, capture_output=True, check=True)
    first, levels, notes = done.stdout.decode().splitlines()
    count, step, is_live, dropped = first.split()
    assert (count, float(step), is_live, dropped) == ("20", 0.1 if kind == "raw" else 0.2, "False", "0")
    np.testing.assert_allclose([int(level) for level in levels.split()], 10 * np.arange(20), atol=2)
    assert ("has 4 of 9216 bytes" in notes) == (kind == "raw")


def test_pictures_of_a_folder_and_a_glob(tmp_path: Path) -> None:
    for number in (10, 2, 1):
        Image.new("RGB", SIZE, (10 * number, 0, 0)).save(tmp_path / f"frame {number}.png")
    (tmp_path / "frame 3.png").write_bytes(b"no picture")
    (tmp_path / "notes.txt").write_text("no picture")
    for name in (tmp_path, f"{tmp_path}/*.png"):
        source = open_source(name, fps=2)
        assert source.frame_count == 4
        frames = list(source)
        assert [int(frame.image[0, 0, 0]) for frame in frames] == [10, 20, 100]
        assert [frame.time for frame in frames] == [0.0, 0.5, 1.0]
        assert "1 frame could not be decoded" in source.notes[0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stall": 0}, "stall must be"),
        ({"give_up": -1}, "give_up must be 0 or more"),
        ({"fps": 0}, "fps must"),
        ({"size": (4, 4)}, r"is for frames on stdin"),
    ],
)
def test_wrong_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        open_source("x.mp4", **options)


pytest.importorskip("av")


def encode(path: Path, frames: int = 30, codec: str = "libx264", **options: str) -> Path:
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = 160, 96, "yuv420p"
        for number in range(frames):
            image = np.full((96, 160, 3), 60, np.uint8)
            image[:, : 4 + 4 * number] = (200, 40, 40)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def test_interlaced_h264_is_decoded(tmp_path: Path) -> None:
    options = {"x264-params": "interlaced=1", "flags": "+ildct+ilme"}
    frames = list(open_source(encode(tmp_path / "a.mp4", **options)))
    assert len(frames) == 30
    for number in (5, 20, 29):
        image = frames[number].image.astype(int)
        assert abs(image[48, 2 + 2 * number] - (200, 40, 40)).max() < 30
        assert abs(image[48, 150] - 60).max() < 20


def test_a_codec_that_fails_is_said(tmp_path: Path) -> None:
    data = bytearray(encode(tmp_path / "a.mp4").read_bytes())
    start, length = data.index(b"mdat") + 4, int.from_bytes(data[data.index(b"mdat") - 4 :][:4], "big")
    data[start + length // 2 : start + 3 * length // 4] = b"\xff" * (start + 3 * length // 4 - start - length // 2)
    (tmp_path / "a.mp4").write_bytes(data)
    source = open_source(tmp_path / "a.mp4")
    assert 1 <= sum(1 for _ in source) < 30
    assert source.broken > 0
    assert "frames could not be decoded, or not whole" in source.notes[0]
    whole = encode(tmp_path / "b.mp4").read_bytes()
    place = whole.index(b"mdat")
    (tmp_path / "b.mp4").write_bytes(whole[: place + 8] + os.urandom(len(whole) - place - 8))
    with pytest.raises(SourceError, match=r"b\.mp4 (opens but gives no frame: .* \(codec h264\)|is not a video)"):
        open_source(tmp_path / "b.mp4")


@pytest.mark.parametrize(
    ("name", "frames", "last"), [("inter264.mp4", 90, 3.56), ("fps118937.mp4", 29, 28000 / 118937)]
)
def test_peoples_videos(shared_data: Path, name: str, frames: int, last: float) -> None:
    source = open_source(shared_data / "cases" / name)
    found = [(frame.time, frame.image[::8, ::8].std()) for frame in source]
    assert len(found) == frames
    assert found[-1][0] == pytest.approx(last, abs=1e-3)
    assert min(spread for _, spread in found) > 5


@pytest.mark.parametrize("quarters", [0, 1, 2, 3])
def test_a_phone_that_was_held_upright(tmp_path: Path, quarters: int) -> None:
    import cv2

    path = encode(tmp_path / "a.mp4")
    data = bytearray(path.read_bytes())
    one, zero, minus = (65536).to_bytes(4, "big"), bytes(4), (2**32 - 65536).to_bytes(4, "big")
    # Quarter turns clockwise, as the matrix of the track header has them.
    turn = [(one, zero, zero, one), (zero, one, minus, zero), (minus, zero, zero, minus), (zero, minus, one, zero)][
        quarters
    ]
    place = data.index(b"tkhd") + 44
    data[place : place + 8], data[place + 12 : place + 20] = turn[0] + turn[1], turn[2] + turn[3]
    path.write_bytes(data)
    source = open_source(path)
    assert (source.width, source.height) == ((96, 160) if quarters % 2 else (160, 96))
    image = next(source).image
    capture = cv2.VideoCapture(str(path))
    want = capture.read()[1][..., ::-1]
    capture.release()
    assert image.shape == want.shape
    # Red is the left edge of the picture as it was stored.
    corner = [(0, 0), (0, -1), (-1, -1), (-1, 0)][quarters]
    assert image[corner][0] > 150
    assert want[corner][0] > 150
    source.close()


def test_a_raw_mjpeg_file_is_a_video(tmp_path: Path) -> None:
    (tmp_path / "a.mjpeg").write_bytes(b"".join(jpeg(10 * number) for number in range(9)))
    assert sum(1 for _ in open_source(tmp_path / "a.mjpeg")) == 9


def test_without_pyav_opencv_reads_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from agegender_core.sources import opening

    path = encode(tmp_path / "a.mp4")
    want = list(open_source(path))
    monkeypatch.setattr(opening, "_has_pyav", lambda: False)
    found = list(open_source(path))
    assert [frame.time for frame in found] == pytest.approx([frame.time for frame in want], abs=1e-3)
    assert np.abs(found[9].image.astype(int) - want[9].image).mean() < 4
    with pytest.raises(SourceError, match="pip install av"):
        open_source("-")
