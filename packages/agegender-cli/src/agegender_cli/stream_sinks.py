"""Where the results of ``agegender stream`` go, and that nothing else is written over."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import UserError
from .stream_counts import counting_sinks
from .targets import refuse_source

if TYPE_CHECKING:
    from agegender_core.counting import CountingSink, Regions
    from agegender_core.faces import Faces, Frame
    from agegender_core.messages import MessageSink, Outbox
    from agegender_core.pipeline import FrameResult
    from agegender_core.serve.live import LiveView
    from agegender_core.sinks import FrameSink, ResultSink
    from agegender_core.sources import Source

_NAME = "{source}"
_OVER_AFTER = 5.0
_NONE_GIVEN = "none of --output, --tracks, --summary, --counts, --serve, --mqtt and --webhook is given"


@dataclass
class Targets:
    """What is asked for.

    Attributes:
        videos: files, in which ``{source}`` stands for the source's name.
        tracks: likewise; "-" is stdout.
        summary: likewise.
        chips: a folder for the best faces.
        show: a window; ``None``: where there is a screen.
        segment: seconds of a file.
        blur: faces are made unrecognisable.
        live: a page's view of the sources.
        zones: lines and zones to count at.
        counts: a table of what is counted each minute; "-" is stdout.
        events: a table of what happens there; likewise.
        messages: sends them.
    """

    videos: list[Path] = field(default_factory=list)
    tracks: list[str] = field(default_factory=list)
    summary: str | None = None
    chips: Path | None = None
    show: bool | None = None
    segment: float | None = None
    blur: bool = False
    live: LiveView | None = None
    zones: Regions | None = None
    counts: str | None = None
    events: str | None = None
    messages: MessageSink | None = None

    @property
    def files(self) -> list[tuple[str, Path]]:
        """Option and path of every file that is written."""
        named = [("--output", path) for path in self.videos]
        named += [("--tracks", Path(path)) for path in self.tracks if path != "-"]
        tables = (("--summary", self.summary), ("--counts", self.counts), ("--events", self.events))
        return named + [(option, Path(table)) for option, table in tables if table not in (None, "-")]

    @property
    def writes_anything(self) -> bool:
        """Whether there is a file, stdout, a page or a receiver among them: without, there is the window at most."""
        others = self.live is not None or self.messages is not None
        return bool(self.files) or others or "-" in self.tables

    @property
    def tables(self) -> list[str | None]:
        """The files of rows, as they were given."""
        return [*self.tracks, self.summary, self.counts, self.events]


class Sinks:
    """The open sinks of all sources, closed together.

    Attributes:
        counting: those that count, one a source, or none.
        written: the files, as they are named at the end.
    """

    def __init__(
        self,
        of_source: list[list[ResultSink]],
        named: list[Callable[[], list[str]]],
        videos: list[Any],
        counting: list[CountingSink],
        tables: list[Any],
        messages: MessageSink | None,
    ) -> None:
        self._of_source, self._named, self._videos = of_source, named, videos
        self.counting, self._tables, self._messages = counting, tables, messages
        self._stack = ExitStack()

    def write(self, number: int, result: FrameResult) -> None:
        """Hand a result to the sinks of the source of that number."""
        for sink in self._of_source[number]:
            sink.write(result)

    def finish(self, tick: Callable[[], None]) -> None:
        """No more frames come: wait for receivers as long as messages get through, and call `tick` meanwhile."""
        if self._messages is not None:
            for counter in self.counting:  # who is still in a zone is gone, which is a message
                counter.close()
            self._messages.end()
            while self._messages.wait(0.1):
                tick()

    @property
    def outboxes(self) -> Sequence[Outbox]:
        """Of the receivers of messages."""
        return () if self._messages is None else self._messages.outboxes

    @property
    def done(self) -> bool:
        """Whether somebody has had enough."""
        return any(sink.done for sinks in self._of_source for sink in sinks)

    @property
    def written(self) -> list[str]:
        """The names of the files."""
        return [name for names in self._named for name in names()]

    @property
    def has_videos(self) -> bool:
        """Whether videos are written."""
        return bool(self._videos)

    @property
    def notes(self) -> list[str]:
        """What people should know of the videos."""
        return [sink.note for sink in self._videos if sink.note]

    def __enter__(self) -> Sinks:
        # Messages are closed last, after the files: a receiver that is away takes seconds.
        messages = [] if self._messages is None else [self._messages]
        sinks = [*messages, *self._tables, *(sink for sinks in self._of_source for sink in sinks)]
        for sink in {id(sink): sink for sink in sinks}.values():
            self._stack.enter_context(sink)
        return self

    def __exit__(self, *exception: Any) -> None:
        self._stack.__exit__(*exception)


def refuse_overwriting(
    sources: Sequence[str], files: Sequence[Path | None], targets: Targets, others: Sequence[Path]
) -> None:
    """Refuses targets that are sources, or other files that are read, or one another.

    Args:
        sources: as they were given.
        files: that are read, too.
        targets: what is written.
        others: further files that are written.

    Raises:
        UserError: the message names both.
    """
    from agegender_core.sinks import partial_path

    written: list[tuple[str, Path]] = []
    for option, path in [*targets.files, *(("--stats or --metrics", other) for other in others)]:
        written.append((option, path))
        if option == "--output":  # a video is written under another name at first
            written.append((option, partial_path(path)))
    for option, target in written:
        refuse_source(target, [*(Path(source) for source in sources if source != "-"), *files], option)
    places: dict[Path, str] = {}
    for option, target in written:
        if target.resolve() in places:
            raise UserError(f"{places[target.resolve()]} and {option} are the same file: {target}")
        places[target.resolve()] = option


def open_sinks(sources: Sequence[Source], targets: Targets) -> Sinks:
    """Opens them all, or none.

    Raises:
        UserError: nothing is asked for, or a video has no name of its own for each source.
        SinkError: one can't be opened.
    """
    from agegender_core.sinks import NullSink

    if len({source.slug for source in sources}) < len(sources):
        for number, source in enumerate(sources):
            source.slug = f"{source.slug}-{number + 1}"
    windows = _windows(sources, targets)
    if not targets.writes_anything and not any(windows):
        raise UserError(f"nothing to do: --no-show, and {_NONE_GIVEN}")
    named: list[Callable[[], list[str]]] = []
    of_source: list[list[ResultSink]] = [[] if targets.messages is None else [targets.messages] for _ in sources]
    videos: list[Any] = []
    counting: list[CountingSink] = []
    tables: list[Any] = []
    with ExitStack() as stack:
        if targets.zones is not None:
            counting, tables = counting_sinks(
                sources, targets.zones, targets.counts, targets.events, targets.messages, stack
            )
            given = [name for name in (targets.counts, targets.events) if name not in (None, "-")]
            named += [partial(list, [name]) for name in given]
            for sinks, counter in zip(of_source, counting, strict=True):
                sinks.append(counter)  # before the drawing, which shows its counts
        for number, (source, window) in enumerate(zip(sources, windows, strict=True)):
            frame_sinks: list[FrameSink] = [] if window is None else [window]
            for path in targets.videos:
                videos.append(stack.enter_context(_video(source, path, len(sources), targets, named)))
                frame_sinks.append(videos[-1])
            if targets.live is not None:
                frame_sinks += targets.live.pictures[number : number + 1]
                of_source[number].append(targets.live.numbers[number])
                for counter in counting[number : number + 1]:
                    targets.live.numbers[number].counted = counter.records
            if frame_sinks:
                of_source[number].append(_drawn(frame_sinks, targets.blur, counting[number : number + 1]))
        for text in targets.tracks:
            shared = _NAME not in text
            if shared and len(sources) > 1 and Path(text).suffix.lower() == ".txt":
                raise _unnamed("--tracks", text)
            sink: Any = NullSink()
            for number, source in enumerate(sources):
                if number == 0 or not shared:
                    sink = stack.enter_context(_tracks(source, text, targets, named))
                of_source[number].append(sink)
        if targets.summary is not None:
            summary = stack.enter_context(_summary(targets, named))
            for sinks in of_source:
                sinks.append(summary)
        stack.pop_all()
    return Sinks(of_source, named, videos, counting, tables, targets.messages)


def _windows(sources: Sequence[Source], targets: Targets) -> list[FrameSink | None]:
    from agegender_core.sinks import SinkError, WindowSink

    if targets.show is False:
        return [None] * len(sources)
    try:
        return [WindowSink(f"agegender: {source.name}") for source in sources]
    except SinkError as error:
        if targets.show:
            raise
        if not targets.writes_anything:
            raise UserError(
                f"nothing to do: {error}, and {_NONE_GIVEN}",
                hint="agegender stream SOURCE --output out.mp4 --tracks out.jsonl",
            ) from None
        return [None] * len(sources)


def _unnamed(option: str, path: object) -> UserError:
    name = Path(str(path))
    return UserError(
        f"{option} {path} is one file, and there are several sources",
        hint=f"put {{source}} into the name, as in {option} '{name.stem}-{{source}}{name.suffix}'",
    )


def _segmented(make: Callable[[Path], Any], path: Path, source: Source, targets: Targets) -> Any:
    from agegender_core.sinks import SegmentedSink

    if targets.segment is None:
        return make(path)
    return SegmentedSink(make, path, targets.segment, stamped=source.is_live)


def _names(sink: Any, path: Path) -> list[str]:
    return [str(one) for one in getattr(sink, "paths", [path])]


def _video(source: Source, path: Path, count: int, targets: Targets, named: list[Callable[[], list[str]]]) -> Any:
    from agegender_core.sinks import VideoSink

    if count > 1 and _NAME not in str(path):
        raise _unnamed("--output", path)
    place = Path(str(path).replace(_NAME, source.slug))
    make = partial(VideoSink, fps=source.fps, sound=source.sound, sound_start=source.start)
    sink = _segmented(make, place, source, targets)
    named.append(partial(_names, sink, place))
    return sink


def _drawn(sinks: Sequence[FrameSink], blur: bool, counting: Sequence[CountingSink]) -> ResultSink:
    from agegender_core.blur import FaceBlur
    from agegender_core.draw import draw_faces
    from agegender_core.sinks import DrawnSink

    conceal = FaceBlur() if blur else _as_it_is

    def draw(frame: Frame, faces: Faces) -> Frame:
        # A face that was seen only once may be a mistake: it would flash up for one frame. The JSON lines have it.
        shown = faces if faces.track_id is None else faces[faces.track_id >= 0]
        frame = conceal(frame, faces)
        for counter in counting:
            frame = counter.draw(frame)
        return draw_faces(frame, shown)

    return DrawnSink(sinks, draw=draw)


def _as_it_is(frame: Frame, faces: Faces) -> Frame:
    return frame


def _tracks(source: Source, text: str, targets: Targets, named: list[Callable[[], list[str]]]) -> Any:
    from agegender_core.sinks import CsvSink, JsonlSink, MotSink, ParquetSink

    if text == "-":
        return JsonlSink("-")
    path = Path(text.replace(_NAME, source.slug))
    kinds: dict[str, Callable[[Path], Any]] = {".csv": CsvSink, ".txt": MotSink, ".parquet": ParquetSink}
    sink = _segmented(kinds.get(path.suffix.lower(), JsonlSink), path, source, targets)
    named.append(partial(_names, sink, path))
    return sink


def _summary(targets: Targets, named: list[Callable[[], list[str]]]) -> Any:
    from agegender_core.sinks import SummarySink

    assert targets.summary is not None
    if targets.summary != "-":
        named.append(partial(list, [targets.summary]))
    return SummarySink(targets.summary, _OVER_AFTER, targets.chips)
