"""``agegender stream``: faces of videos, cameras and network streams, followed, with ages and genders."""

from __future__ import annotations

import json
import math
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Annotated, Any

import typer

from . import stream_options as options
from .errors import UserError
from .options import (
    Detector,
    DetectorName,
    Device,
    DeviceName,
    MinFaceOfFrames,
    Quiet,
    Runtime,
    RuntimeName,
    Threshold,
    Token,
    VideoModel,
)
from .output import count, message
from .progress import progress_bars
from .stream_counts import count_lines, count_metrics, read_zones
from .stream_health import metrics_file, open_metrics
from .stream_messages import open_messages
from .stream_page import StreamPage, open_page
from .stream_sinks import Sinks, Targets, open_sinks, refuse_overwriting

if TYPE_CHECKING:
    from agegender_core.pipeline import Pipeline
    from agegender_core.sources import Source
    from agegender_core.telemetry import Telemetry

_TICK = 0.5  # seconds between two looks at what is to be told
_TRIM = 10.0  # seconds after which memory that is free goes back to the system
_LINE = 60.0  # seconds between two lines where no bar is drawn: in the log of a service


def stream(
    sources: options.Sources,
    output: options.Output = None,
    tracks: options.Tracks = None,
    summary: options.Summary = None,
    zones: options.Zones = None,
    counts: options.Counts = None,
    events: options.Events = None,
    segment: options.Segment = None,
    show: options.Show = None,
    wait: options.Wait = False,
    give_up: options.GiveUp = None,
    stall: options.Stall = 5.0,
    size: options.Size = None,
    fps: options.Fps = None,
    model: VideoModel = None,
    device: Device = DeviceName.AUTO,
    runtime: Runtime = RuntimeName.AUTO,
    flip: Annotated[
        bool, typer.Option("--flip/--no-flip", help="Look at each face a second time, mirrored: twice the time.")
    ] = False,
    detector: Detector = DetectorName.YUNET,
    min_face: MinFaceOfFrames = None,
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
    detect_every: options.DetectEvery = "auto",
    tracker: options.Tracker = options.TrackerName.FACES,
    lost_after: options.LostAfter = 1.0,
    max_age: Annotated[int | None, typer.Option(min=0, metavar="N", hidden=True)] = None,
    min_hits: options.MinHits = None,
    iou: options.Iou = None,
    smoothing: options.Smoothing = 4.0,
    blur: options.Blur = False,
    no_frames: options.NoFrames = False,
    chips: options.Chips = None,
    stats: options.Stats = None,
    metrics: options.Metrics = None,
    serve: options.Serve = None,
    token: Token = None,
    mqtt: options.Mqtt = None,
    webhook: options.Webhook = None,
    message_every: options.MessageEvery = None,
    quiet: Quiet = False,
) -> None:
    """Find and follow faces in videos and estimate their ages and genders.

    Of a live source the newest frame is always the next; it is opened again when it is lost. Ctrl-C ends the command:
    what is done stays in the files, which are complete up to there. With several sources, {source} in the name of a
    file stands for each one's name.

    \b
    Examples:
      agegender stream samples/astronaut.mp4 --output faces.mp4 --tracks faces.jsonl
      agegender stream 0                                  a camera, in a window (q ends)
      agegender stream rtsp://10.0.0.7/live --no-show --tracks - | jq .faces
      agegender stream lobby.mp4 --detect-every 1 -o out.mp4
      agegender stream rtsp://10.0.0.7/live 1 -o '{source}.mp4' --segment 10m --tracks all.csv --metrics 9100
      agegender stream 0 --no-frames --summary people.csv
      agegender stream rtsp://10.0.0.7/live --no-show --serve 8000
      agegender stream lobby.mp4 --zones zones.toml --counts counts.csv
      agegender stream 0 --no-frames --mqtt mqtt://10.0.0.2/door --webhook https://example.org/people
    """
    from agegender_core.pipeline import Pipeline
    from agegender_core.smoothing import Smoother

    targets = Targets(output or [], tracks or [], summary, chips, show, options.seconds_of(segment, "--segment"), blur)
    targets.messages = open_messages(mqtt or [], webhook or [], message_every)
    _check(targets, no_frames)
    targets.zones, targets.counts, targets.events = read_zones(zones, counts, events), counts, events
    if upsample and detector is DetectorName.YUNET:
        raise UserError("--upsample is for --detector hog", hint="--min-face says how small faces may be.")
    every = options.detect_every_of(detect_every)
    if blur and every == "auto":
        every = 1  # A newcomer would be seen before the next search.
    sort = options.sort_tracker(tracker, min_hits, iou, max_age)
    if max_age is not None:
        message("--max-age counts detections, whatever the rate of the frames; --lost-after SECONDS goes by the clock.")
    others = [path for path in (stats, metrics_file(metrics)) if path is not None]
    refuse_overwriting(sources, [model, zones], targets, others)
    stopped = _Stopped()
    with ExitStack() as stack:
        stack.enter_context(_signals(stopped))
        page = stack.enter_context(open_page(serve, token))
        opened = _open(stack, sources, wait=wait, give_up=give_up, stall=stall, size=options.size_of(size), fps=fps)
        pipeline = Pipeline.for_video(
            model,
            detector=detector.value,
            min_face=min_face,
            upsample=_upsample(opened, detector, min_face) if upsample is None else upsample,
            threshold=threshold,
            flip=flip,
            tracker=sort,
            max_age=lost_after if max_age is None else None,
            smoother=Smoother(smoothing) if smoothing > 0 else lambda frame, faces: faces,
            detect_every=every,
            device=device,
            runtime=runtime,
        )
        page.prepare([source.name for source in opened], not no_frames)
        targets.live = page.view
        run = _Run(opened, pipeline, open_sinks(opened, targets), page, stopped, quiet)
        run.work(metrics)
    run.conclude(stats)


def _check(targets: Targets, no_frames: bool) -> None:
    if targets.chips is not None and targets.summary is None:
        raise UserError("--chips needs --summary, whose rows name the pictures", hint="add --summary people.csv")
    if no_frames:
        frames = [name for name, given in (("--output", targets.videos), ("--chips", targets.chips)) if given]
        frames += ["--show"] if targets.show else []
        if frames:
            raise UserError(f"--no-frames lets no picture out, and {frames[0]} asks for some", hint="leave one out")
        targets.show = False


def _open(stack: ExitStack, names: Sequence[str], **how: Any) -> list[Source]:
    from agegender_core.sources import open_source

    if how["size"] is not None and "-" not in names:
        raise UserError("--size is for raw frames on stdin", hint="agegender stream - --size 640x480")
    return [
        stack.enter_context(open_source(name, **{**how, "size": how["size"] if name == "-" else None}))
        for name in names
    ]


def _upsample(opened: Sequence[Source], detector: DetectorName, min_face: float | None) -> int:
    if detector is DetectorName.YUNET or min_face is not None or any(source.is_live for source in opened):
        return 0
    # The detector finds faces from 70 pixels up: in a small recording that is half the picture. Live frames don't wait.
    height = min(source.height for source in opened)
    return 0 if height >= 720 else 1 if height >= 360 else 2


@dataclass
class _Stopped:
    """The signal that came while frames were being worked on, and whether one ends the process at once."""

    number: int | None = None
    at_once: bool = True


@contextmanager
def _signals(stopped: _Stopped) -> Iterator[None]:
    """Let Ctrl-C, `kill`, `docker stop` and a terminal that closes finish the files."""

    def note(number: int, frame: object) -> None:
        again, stopped.number = stopped.number is not None, number
        # Between two frames only: an exception would be lost in what calls Python from C, as the writer of videos does.
        if stopped.at_once or again:
            raise KeyboardInterrupt

    numbers = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    # One that is ignored, as under nohup, stays ignored.
    before = {number: signal.getsignal(number) for number in numbers}
    before = {number: handler for number, handler in before.items() if handler != signal.SIG_IGN}
    for number in before:
        signal.signal(number, note)
    try:
        yield
    except KeyboardInterrupt:
        raise SystemExit(128 + (stopped.number or signal.SIGINT)) from None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Run:
    """The work, and how it ended: `exit_code` 0, or the `problem` in words."""

    def __init__(
        self,
        sources: Sequence[Source],
        pipeline: Pipeline,
        sinks: Sinks,
        page: StreamPage,
        stopped: _Stopped,
        quiet: bool,
    ) -> None:
        from agegender_core.telemetry import Telemetry

        self._sources, self._pipeline, self._sinks = sources, pipeline, sinks
        self._page, self._stopped, self._quiet = page, stopped, quiet
        self.telemetry: Telemetry = Telemetry(sources, sinks.outboxes)
        self.exit_code = 0
        self.problem = ""
        self._written: list[str] = []

    def work(self, metrics: str | None) -> None:
        from agegender_core.sinks import SinkError

        self._stopped.at_once = False
        try:
            with ExitStack() as stack:
                stack.enter_context(self._sinks)
                self._take_frames(stack, metrics)
        except KeyboardInterrupt:
            self._stopped.number = self._stopped.number or signal.SIGINT
        except SinkError as error:
            self.exit_code, self.problem = 1, str(error)
        self._written = self._sinks.written
        if self._stopped.number is not None:
            self.exit_code, self.problem = 128 + self._stopped.number, self.problem or "Stopped"
        lost = [source.problem for source in self._sources if source.problem]
        if lost and not self.exit_code:
            self.exit_code, self.problem = 1, f"Lost the source: {'; '.join(lost)}"
        undelivered = [outbox.problem for outbox in self._sinks.outboxes if outbox.problem]
        if undelivered:
            self.exit_code, self.problem = self.exit_code or 1, ". ".join(filter(None, [self.problem, *undelivered]))

    def _take_frames(self, stack: ExitStack, metrics: str | None) -> None:
        from agegender_core.sources import take_turns
        from agegender_core.telemetry import return_free_memory

        total = sum(source.frame_count or 0 for source in self._sources)
        endless = any(source.frame_count is None for source in self._sources)
        told = stack.enter_context(open_metrics(metrics, self._metrics))
        stack.enter_context(self._page.serving(self._quiet))
        new_bar = stack.enter_context(progress_bars(self._quiet, endless=endless))
        first = Path(self._sources[0].name).name
        title = first if len(self._sources) == 1 else f"{len(self._sources)} sources"
        bar = new_bar(title, None if endless else total, "frames")
        next_tick, next_trim = 0.0, monotonic() + _TRIM
        # A terminal has the bar.
        next_line = math.inf if self._quiet or not endless or sys.stderr.isatty() else monotonic() + _LINE

        def tick() -> None:
            nonlocal next_tick, next_line, next_trim
            if monotonic() >= next_tick:
                next_tick = monotonic() + _TICK
                told.tick()
                self._page.tick(self.telemetry, self._metrics)
                self._tell_notes()
                bar.update(self.telemetry.frames, note=self.telemetry.line())
            if monotonic() >= next_trim:
                next_trim = monotonic() + _TRIM
                return_free_memory()
            if monotonic() >= next_line:
                next_line = monotonic() + _LINE
                message(f"{count(self.telemetry.frames, 'frame')}, {self.telemetry.line()}")
            if self._stopped.number is not None:
                raise KeyboardInterrupt

        tick()
        for number, result in self._pipeline.run_many(take_turns(self._sources, idle=tick)):
            self._sinks.write(number, result)
            self.telemetry.add(number, result)
            tick()
            if self._sinks.done:
                break
        self._sinks.finish(tick)

    def _metrics(self) -> str:
        return self.telemetry.prometheus() + count_metrics(self._sources, self._sinks.counting)

    def _tell_notes(self) -> None:
        for notes in [source.notes for source in self._sources] + [one.notes for one in self._sinks.outboxes]:
            while notes:
                message(f"{notes.popleft()}.")

    def conclude(self, stats: Path | None) -> None:
        self._tell_notes()
        telemetry = self.telemetry
        if stats is not None:
            from agegender_core.files import write_bytes

            write_bytes(stats, json.dumps(telemetry.document(), indent=2).encode() + b"\n")
        for number, source in enumerate(self._sources):
            self._tell_of_source(number, source)
        for note in self._sinks.notes:
            message(f"{note}.")
        if not self._quiet:
            for line in count_lines(self._sources, self._sinks.counting):
                message(f"{line}.")
        if self.problem or not self._quiet:
            problem = f"{self.problem}. " if self.problem else ""
            files = f" Written: {', '.join(self._written)}." if self._written and telemetry.frames else ""
            counts = f"{count(telemetry.frames, 'frame')}, {count(telemetry.tracks, 'track')}"
            drops = f", {count(telemetry.dropped, 'frame')} dropped" if telemetry.dropped else ""
            message(f"{problem}{counts}, {telemetry.rate:.1f} frames/s{drops}.{files}")
            if telemetry.frames and not telemetry.faces:
                message("No face was found; --min-face 16 finds smaller ones, --threshold 0.4 less clear ones.")
        if self.exit_code:
            raise typer.Exit(self.exit_code)

    def _tell_of_source(self, number: int, source: Source) -> None:
        frames = self.telemetry.processed(number)
        if source.truncated:
            if source.frame_count is not None and source.received < source.frame_count:
                message(f"{source.name} ends after {frames} of the {source.frame_count} frames it announces.")
            else:
                message(f"{source.name} was cut off: it ends after {count(frames, 'frame')}.")
        uniform = self.telemetry.uniform(number)
        if uniform and uniform >= frames // 2:
            message(f"{source.name}: {uniform} of {count(frames, 'frame')} are of one colour all over.")
        if source.has_sound and source.sound is None and self._sinks.has_videos:
            message(f"The sound of {source.name} is not recorded: it is live, or comes from elsewhere than a file.")
