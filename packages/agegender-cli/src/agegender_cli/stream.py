"""``agegender stream``: faces of a video, a camera or a network stream, followed, with ages and genders."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .errors import UserError
from .options import Detector, DetectorName, Device, DeviceName, MinFace, Model, Quiet, Threshold, output
from .output import count, message
from .progress import progress_bars
from .targets import refuse_source

if TYPE_CHECKING:
    from agegender_core.faces import Faces, Frame
    from agegender_core.pipeline import FrameResult, Pipeline
    from agegender_core.sinks import FrameSink, ResultSink
    from agegender_core.video import Source


def stream(
    source: Annotated[str, typer.Argument(help="A video file, the number of a camera, or a URL (rtsp://, http://).")],
    output: Annotated[Path | None, output("VIDEO", "Write the video with the faces drawn in.")] = None,
    tracks: Annotated[
        str | None, typer.Option(metavar="JSONL", help="Write one JSON object a frame; - is stdout.")
    ] = None,
    show: Annotated[
        bool | None, typer.Option("--show/--no-show", help="Show a window.", show_default="where there is a screen")
    ] = None,
    model: Model = None,
    device: Device = DeviceName.AUTO,
    flip: Annotated[
        bool, typer.Option("--flip/--no-flip", help="Look at each face a second time, mirrored: twice the time.")
    ] = False,
    detector: Detector = DetectorName.YUNET,
    min_face: MinFace = None,
    upsample: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=4,
            help="Double frames so many times before hog looks at them: finds smaller faces, takes longer.",
            show_default="until a recording is 720 pixels high; 0 for live sources",
            hidden=True,
        ),
    ] = None,
    threshold: Threshold = None,
    detect_every: Annotated[
        int, typer.Option(min=1, metavar="N", help="Detect on each N-th frame; boxes move on between.")
    ] = 1,
    max_age: Annotated[
        int | None,
        typer.Option(min=0, metavar="N", help="Detections to wait for a lost face.", show_default="one second's worth"),
    ] = None,
    min_hits: Annotated[int, typer.Option(min=0, metavar="N", help="Detections after the first to show a track.")] = 1,
    iou: Annotated[float, typer.Option(min=0, max=1, help="Least overlap of a face and its track.")] = 0.1,
    smoothing: Annotated[
        float, typer.Option(min=0, metavar="SECONDS", help="Time over which a track's ages are averaged; 0 for none.")
    ] = 2.0,
    quiet: Quiet = False,
) -> None:
    """Find and follow faces in a video and estimate their ages and genders.

    Ctrl-C ends it: what is done stays in the files, which are complete up to there.

    \b
    Examples:
      agegender stream samples/astronaut.mp4 --output faces.mp4 --tracks faces.jsonl
      agegender stream 0                                  a camera, in a window (q ends)
      agegender stream rtsp://10.0.0.7/live --no-show --tracks - | jq .faces
      agegender stream lobby.mp4 --detect-every 3 -o out.mp4
    """
    from agegender_core.pipeline import Pipeline, face_tracker
    from agegender_core.smoothing import Smoother
    from agegender_core.video import open_source

    if upsample and detector is not DetectorName.HOG:
        raise UserError("--upsample is for --detector hog", hint="--min-face says how small faces may be.")
    _refuse_overwriting(source, model, output, tracks)
    with open_source(source) as video:
        pipeline = Pipeline.for_video(
            model,
            detector=detector.value,
            min_face=min_face,
            upsample=_upsample(video, detector, min_face) if upsample is None else upsample,
            threshold=threshold,
            flip=flip,
            tracker=face_tracker(
                max_age=max(1, round(video.fps / detect_every)) if max_age is None else max_age,
                min_hits=min_hits,
                iou_threshold=iou,
            ),
            smoother=Smoother(smoothing) if smoothing > 0 else lambda frame, faces: faces,
            detect_every=detect_every,
            device=device,
        )
        tally = _run(video, pipeline, _sinks(video, output, tracks, show), quiet)
    written = [str(path) for path in (output, tracks) if path is not None and str(path) != "-"]
    _conclude(video, tally, written, quiet)


@dataclass
class _Tally:
    """What was done, and how it ended: `exit_code` 0, or the `problem` in words."""

    frames: int = 0
    faces: int = 0
    tracks: set[int] = field(default_factory=set)
    seconds: float = 0.0
    exit_code: int = 0
    problem: str = ""

    def add(self, result: FrameResult) -> None:
        self.frames += 1
        self.faces += len(result.faces)
        if result.faces.track_id is not None:
            self.tracks.update(number for number in result.faces.track_id.tolist() if number >= 0)


def _refuse_overwriting(source: str, model: Path | None, output: Path | None, tracks: str | None) -> None:
    from agegender_core.frame_sinks import partial_path

    # A video is written under another name at first.
    written = [("--output", path) for path in ([output, partial_path(output)] if output is not None else [])]
    written += [("--tracks", Path(tracks))] if tracks is not None and tracks != "-" else []
    for option, target in written:
        refuse_source(target, [Path(source), model], option)
    if len({target.resolve() for _, target in written}) < len(written):
        raise UserError(f"--output and --tracks are the same file: {output}")


def _upsample(video: Source, detector: DetectorName, min_face: float | None) -> int:
    if detector is not DetectorName.HOG or min_face is not None:
        return 0
    # The detector finds faces from 70 pixels up: in a small recording that is half the picture. Live frames don't wait.
    return 0 if video.is_live or video.height >= 720 else 1 if video.height >= 360 else 2


def _sinks(video: Source, output: Path | None, tracks: str | None, show: bool | None) -> list[ResultSink]:
    from agegender_core.sinks import DrawnSink, JsonlSink, NullSink, SinkError, VideoSink, WindowSink

    if show is None:
        try:
            window: FrameSink = WindowSink(f"agegender: {video.name}")
        except SinkError as error:
            if output is None and tracks is None:
                raise UserError(
                    f"nothing to do: {error}, and neither --output nor --tracks is given",
                    hint="agegender stream SOURCE --output out.mp4 --tracks out.jsonl",
                ) from None
            window = NullSink()
    else:
        window = WindowSink(f"agegender: {video.name}") if show else NullSink()
    if output is None and tracks is None and show is False:
        raise UserError("nothing to do: --no-show, and neither --output nor --tracks is given")
    size = (video.width, video.height)
    pictures = [window, VideoSink(output, video.fps, size, keep_time=video.is_live) if output else NullSink()]
    with ExitStack() as stack:
        drawn = stack.enter_context(
            DrawnSink([sink for sink in pictures if not isinstance(sink, NullSink)], draw=_draw_tracks)
        )
        sinks: list[ResultSink] = [drawn, JsonlSink(tracks) if tracks else NullSink()]
        stack.pop_all()
    return sinks


def _draw_tracks(frame: Frame, faces: Faces) -> Frame:
    from agegender_core.draw import draw_faces

    # A face that was seen only once may be a mistake: it would flash up for one frame. The JSON lines have it.
    return draw_faces(frame, faces if faces.track_id is None else faces[faces.track_id >= 0])


def _run(video: Source, pipeline: Pipeline, sinks: list[ResultSink], quiet: bool) -> _Tally:
    from agegender_core.video import SourceLostError

    tally, start = _Tally(), time.monotonic()
    try:
        with _sigterm_as_interrupt(), ExitStack() as stack:
            for sink in sinks:
                stack.enter_context(sink)
            new_bar = stack.enter_context(progress_bars(quiet, endless=video.frame_count is None))
            bar = new_bar(Path(video.name).name, video.frame_count, "frames")
            for result in pipeline.run(video):
                for sink in sinks:
                    sink.write(result)
                tally.add(result)
                bar.update(tally.frames)
                if any(sink.done for sink in sinks):
                    break
    except KeyboardInterrupt:
        tally.exit_code, tally.problem = 130, "Stopped"
    except SourceLostError as error:
        tally.exit_code, tally.problem = 1, f"Lost the source: {error}"
    tally.seconds = time.monotonic() - start
    return tally


def _conclude(video: Source, tally: _Tally, written: list[str], quiet: bool) -> None:
    if video.truncated:
        message(f"{video.name} ends after {tally.frames} of the {video.frame_count} frames it announces.")
    problem = f"{tally.problem}. " if tally.problem else ""
    if problem or not quiet:
        rate = tally.frames / max(tally.seconds, 1e-9)
        files = f" Written: {', '.join(written)}." if written and tally.frames else ""
        counts = f"{count(tally.frames, 'frame')}, {count(len(tally.tracks), 'track')}"
        message(f"{problem}{counts}, {rate:.1f} frames/s.{files}")
        if tally.frames and not tally.faces:
            message("No face was found; --min-face 16 finds smaller ones, --threshold 0.4 less clear ones.")
    if tally.exit_code:
        raise typer.Exit(tally.exit_code)


@contextmanager
def _sigterm_as_interrupt() -> Iterator[None]:
    """Let `kill`, `docker stop` and the like finish the files as Ctrl-C does."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
