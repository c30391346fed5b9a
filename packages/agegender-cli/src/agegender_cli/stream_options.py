"""The options of ``agegender stream``, by what they are about."""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from .errors import UserError

if TYPE_CHECKING:
    from agegender_core.tracking import SortTracker

SOURCES, FACES, RESULTS, COUNTING = "Sources", "Faces and tracks", "Results", "Counting"
PRIVACY, HEALTH = "Privacy", "Health"

Sources = Annotated[
    list[str],
    typer.Argument(
        metavar="SOURCE...",
        help="A video file, a folder or a glob of pictures, the number of a camera, a URL (rtsp://, http://), or - for "
        "stdin. Several are followed at once.",
    ),
]
Wait = Annotated[
    bool, typer.Option("--wait", help="Wait for a live source that isn't there yet.", rich_help_panel=SOURCES)
]
GiveUp = Annotated[
    int | None,
    typer.Option(
        min=0,
        metavar="N",
        help="End when a lost source could not be opened again so many times in a row.",
        show_default="never",
        rich_help_panel=SOURCES,
    ),
]
Stall = Annotated[
    float,
    typer.Option(
        min=0.1, metavar="SECONDS", help="Without data for so long a live source is lost.", rich_help_panel=SOURCES
    ),
]
Size = Annotated[
    str | None,
    typer.Option(metavar="WxH", help="With -: raw RGB frames of this size in pixels.", rich_help_panel=SOURCES),
]
Fps = Annotated[
    float | None,
    typer.Option(
        min=0.001,
        max=1000,
        metavar="NUMBER",
        help="Frames per second of pictures, and of MJPEG and raw frames on stdin.",
        show_default="25",
        rich_help_panel=SOURCES,
    ),
]
DetectEvery = Annotated[
    str,
    typer.Option(
        metavar="N|auto",
        help="Search the whole of each N-th frame; auto: five times a second, of a live source as often as this "
        "machine can, with --blur each frame. Between, look around the faces that are followed.",
        rich_help_panel=FACES,
    ),
]


class TrackerName(StrEnum):
    """The trackers by name."""

    FACES = "faces"
    SORT = "sort"


Tracker = Annotated[
    TrackerName,
    typer.Option(
        help="How faces are followed: faces is made for them, sort is the published method.", rich_help_panel=FACES
    ),
]
LostAfter = Annotated[
    float,
    typer.Option(min=0, metavar="SECONDS", help="Time for which a lost face is waited for.", rich_help_panel=FACES),
]
MinHits = Annotated[
    int | None,
    typer.Option(
        min=0,
        metavar="N",
        help="With --tracker sort: detections after the first to show a track.",
        show_default="3",
        rich_help_panel=FACES,
    ),
]
Iou = Annotated[
    float | None,
    typer.Option(
        min=0,
        max=1,
        help="With --tracker sort: least overlap of a face and its track.",
        show_default="0.3",
        rich_help_panel=FACES,
    ),
]
Smoothing = Annotated[
    float,
    typer.Option(
        min=0,
        metavar="SECONDS",
        help="Time over which a track's ages and genders are averaged. With 0 the network looks at each face in each "
        "frame, and what it says is shown.",
        rich_help_panel=FACES,
    ),
]
Output = Annotated[
    list[Path] | None,
    typer.Option(
        "--output",
        "-o",
        metavar="VIDEO",
        help="Write the video with the faces drawn in: .mp4, .mov, .mkv or .avi; may be repeated.",
        rich_help_panel=RESULTS,
    ),
]
Tracks = Annotated[
    list[str] | None,
    typer.Option(
        metavar="FILE",
        help="Write the faces of each frame: .jsonl (- is that on stdout), .csv, .parquet, or .txt as the MOT "
        "benchmarks have it; may be repeated.",
        rich_help_panel=RESULTS,
    ),
]
Summary = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="Write one row a finished track, .csv or .jsonl (- is that on stdout): when it was seen, its age and "
        "gender.",
        rich_help_panel=RESULTS,
    ),
]
Zones = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Count people at the lines and in the zones of this TOML file, which agegender zones makes.",
        rich_help_panel=COUNTING,
    ),
]
Counts = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="With --zones: write the counts of each minute by gender and age band, .csv, .parquet or .jsonl (- is "
        "that on stdout).",
        rich_help_panel=COUNTING,
    ),
]
Events = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="With --zones: write a row as soon as somebody goes in or out, .csv, .parquet or .jsonl (- is that on "
        "stdout).",
        rich_help_panel=COUNTING,
    ),
]
Segment = Annotated[
    str | None,
    typer.Option(
        metavar="TIME",
        help="Begin new files after so long, as 90s, 10m or 1h; they are numbered, those of live sources named by "
        "time.",
        rich_help_panel=RESULTS,
    ),
]
Show = Annotated[
    bool | None,
    typer.Option(
        "--show/--no-show", help="Show a window.", show_default="where there is a screen", rich_help_panel=RESULTS
    ),
]
Blur = Annotated[
    bool, typer.Option("--blur", help="Make faces unrecognisable in videos and windows.", rich_help_panel=PRIVACY)
]
NoFrames = Annotated[
    bool,
    typer.Option("--no-frames", help="Only numbers leave the process: no video, no window.", rich_help_panel=PRIVACY),
]
Chips = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER",
        help="With --summary: also write the best picture of each track's face.",
        rich_help_panel=PRIVACY,
    ),
]
Stats = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Write at the end, as JSON: frames, drops, ages of frames, time of each stage, memory.",
        rich_help_panel=HEALTH,
    ),
]
Metrics = Annotated[
    str | None,
    typer.Option(
        metavar="FILE|PORT",
        help="The same for Prometheus, all along: a file, or a port of this machine (HOST:PORT for others).",
        rich_help_panel=HEALTH,
    ),
]
Serve = Annotated[
    str | None,
    typer.Option(
        metavar="[HOST:]PORT",
        help="Show the stream on a page: the newest frame, who is there, counts, health. A HOST that other machines "
        "reach needs a token.",
        rich_help_panel=RESULTS,
    ),
]

Mqtt = Annotated[
    list[str] | None,
    typer.Option(
        metavar="URL",
        help="Send a message about each person who appears, changes or leaves to an MQTT broker: "
        "mqtt://[USER@]HOST[:PORT]/TOPIC, mqtts:// for TLS; may be repeated. AGEGENDER_MQTT_PASSWORD is the password.",
        rich_help_panel=RESULTS,
    ),
]
Webhook = Annotated[
    list[str] | None,
    typer.Option(
        metavar="URL",
        help="Post the same messages as JSON to an http:// or https:// address; may be repeated. "
        "AGEGENDER_WEBHOOK_TOKEN is sent as a bearer token.",
        rich_help_panel=RESULTS,
    ),
]
MessageEvery = Annotated[
    float | None,
    typer.Option(
        min=0.04,
        metavar="SECONDS",
        help="With --mqtt or --webhook: also one about each person in view, every so often.",
        show_default="none",
        rich_help_panel=RESULTS,
    ),
]


def detect_every_of(text: str) -> int | Literal["auto"]:
    """What --detect-every says. Raises UserError for what is neither a number of 1 or more nor auto."""
    if text.strip().lower() == "auto":
        return "auto"
    if not text.strip().isdecimal() or int(text) < 1:
        raise UserError(
            f"--detect-every {text} is no number of frames", hint="as in --detect-every 3, or --detect-every auto"
        )
    return int(text)


def sort_tracker(name: TrackerName, min_hits: int | None, iou: float | None, max_age: int | None) -> SortTracker | None:
    """SORT, where it is asked for. Raises UserError for its options without it."""
    from agegender_core.tracking import SortTracker

    if name is TrackerName.SORT:
        return SortTracker(
            1 if max_age is None else max_age, 3 if min_hits is None else min_hits, 0.3 if iou is None else iou
        )
    for option, given in (("--min-hits", min_hits), ("--iou", iou), ("--max-age", max_age)):
        if given is not None:
            raise UserError(f"{option} is for --tracker sort", hint="add --tracker sort")
    return None


def seconds_of(text: str | None, option: str) -> float | None:
    """A time such as 90s, 10m or 1h in seconds. Raises UserError for anything else."""
    if text is None:
        return None
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd]?)", text.strip())
    if not found or float(found[1]) <= 0:
        raise UserError(f"{option} {text} is no time", hint=f"as in {option} 90s, {option} 10m or {option} 1h")
    return float(found[1]) * {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}[found[2]]


def size_of(text: str | None) -> tuple[int, int] | None:
    """A size such as 640x480. Raises UserError for anything else."""
    if text is None:
        return None
    found = re.fullmatch(r"(\d+)[xX](\d+)", text.strip())
    if not found or min(int(found[1]), int(found[2])) < 1:
        raise UserError(f"--size {text} is no width and height", hint="as in --size 640x480")
    return int(found[1]), int(found[2])
