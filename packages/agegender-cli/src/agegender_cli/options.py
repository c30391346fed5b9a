"""Options that several commands share, each defined once."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer


class Format(StrEnum):
    """How figures are printed."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


class RowFormat(StrEnum):
    """How rows are printed that can be written one by one."""

    TABLE = "table"
    JSON = "json"
    JSONL = "jsonl"
    CSV = "csv"


class DetectorName(StrEnum):
    """What finds the faces."""

    YUNET = "yunet"
    HOG = "hog"
    HOG_FAST = "hog-fast"


class DeviceName(StrEnum):
    """Where a network runs: what `agegender_core.onnx_runtime.DEVICES` has, and auto for the best of them."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"
    ROCM = "rocm"
    MIGRAPHX = "migraphx"
    DIRECTML = "directml"
    COREML = "coreml"
    OPENVINO = "openvino"


class RuntimeName(StrEnum):
    """What runs a network: what `agegender_core.runtimes.RUNTIMES` has, and auto for the faster of them."""

    AUTO = "auto"
    ONNXRUNTIME = "onnxruntime"
    OPENVINO = "openvino"


def output(metavar: str, text: str, **more: Any) -> Any:
    """The option that says where a command writes to: spelled alike everywhere."""
    return typer.Option("--output", "-o", metavar=metavar, help=text, **more)


FormatOption = Annotated[Format, typer.Option("--format", "-f", help="How the figures are printed.")]
RowFormatOption = Annotated[
    RowFormat | None,
    typer.Option(
        "--format", "-f", help="How the results are printed.", show_default="table; nothing with --output NAME.parquet"
    ),
]


def _model(default: str) -> Any:
    return typer.Option(
        metavar="MODEL",
        help="accurate, fast or tiny, which come with the package (one look at a face takes some 10, 5 and 2 ms on a "
        "CPU), or a model file.",
        show_default=default,
    )


Model = Annotated[Path | None, _model("accurate")]
VideoModel = Annotated[Path | None, _model("fast")]
Device = Annotated[
    DeviceName,
    typer.Option(
        metavar="DEVICE",
        help="Where the network runs: cpu, cuda, rocm, migraphx, directml, coreml, openvino; auto takes the first "
        "that the installed ONNX Runtime can use.",
    ),
]
RUNTIME_HELP = (
    "What runs the network; auto takes openvino where it is installed and was faster when both were measured."
)
Runtime = Annotated[RuntimeName, typer.Option(metavar="auto|onnxruntime|openvino", help=RUNTIME_HELP)]
Flip = Annotated[
    bool | None,
    typer.Option(
        "--flip/--no-flip",
        help="Look at each face a second time, mirrored: more accurate, and twice the network's time.",
        show_default="as the model file asks: fast and tiny do, accurate does where it is unsure of the gender",
    ),
]
Detector = Annotated[
    DetectorName,
    typer.Option(
        metavar="yunet|hog|hog-fast",
        help="yunet, a small network, finds small, turned and half-hidden faces, too; hog, dlib's detector, finds "
        "upright ones of 70 pixels and more; hog-fast finds nearly the same ones in two thirds of the time.",
    ),
]


def _min_face(default: str) -> Any:
    return typer.Option(
        min=4,
        max=10_000,
        metavar="PIXELS",
        help="Side of the smallest faces to look for; half of it takes up to four times as long.",
        show_default=default,
    )


MinFace = Annotated[float | None, _min_face("16 for yunet, more in pictures of over 4 megapixels; 70 for hog")]
MinFaceOfFrames = Annotated[
    float | None, _min_face("for yunet 16 in frames of 0.4 megapixels, 24 at 720p, 36 at 1080p; 70 for hog")
]
AnyRotation = Annotated[
    bool,
    typer.Option(
        "--any-rotation",
        help="Also find faces that lie on their side or upside down: four times the time.",
    ),
]
MinQuality = Annotated[
    float,
    typer.Option(
        min=0,
        max=1,
        metavar="QUALITY",
        help="Leave out faces that are too small, blurred, turned or cut off for the answer to mean much; 0.5 is a "
        "fair start.",
    ),
]
Upsample = Annotated[
    int,
    typer.Option(
        min=0, max=4, help="Double pictures so many times before hog looks at them: finds smaller faces.", hidden=True
    ),
]
Threshold = Annotated[
    float | None,
    typer.Option(
        help="Least score of a face; lower finds more faces, and more that are none.",
        show_default="0.6 for yunet, 0 for hog",
    ),
]
BatchSize = Annotated[int, typer.Option(min=1, help="Faces in a batch.")]
Threads = Annotated[int, typer.Option(min=1, help="Threads of a model.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar and no summary.")]
Token = Annotated[
    str | None,
    typer.Option(
        envvar="AGEGENDER_TOKEN",
        metavar="TEXT",
        help="What a client must send as Authorization: Bearer TEXT. Better in AGEGENDER_TOKEN: others can see a "
        "command's options.",
        show_envvar=False,
    ),
]
NearDuplicates = Annotated[
    int,
    typer.Option(
        metavar="BITS",
        min=0,
        max=16,
        help="Pictures whose hashes differ in at most so many bits look alike; 0: only equal files.",
    ),
]
FailUnder = Annotated[
    str | None,
    typer.Option(
        metavar="FIGURE=NUMBER,...",
        help="Exit code 1 where a figure is worse, such as age_mae=6.0,gender_accuracy=0.93.",
    ),
]
Split = Annotated[
    str | None, typer.Option(metavar="NAME", help="Take one side of this split of the stores; see agegender split.")
]
Fold = Annotated[int | None, typer.Option(metavar="N", help="With --split: the fold to take.", show_default="val")]
Validation = Annotated[
    float | None,
    typer.Option(metavar="PART", help="Take what agegender train kept out with the same --validation and --seed."),
]
Seed = Annotated[int, typer.Option(help="With --validation: the training's.")]
Only = Annotated[
    list[str] | None,
    typer.Option(
        "--only",
        metavar="DATASET:WHAT",
        help="A part of one store alone, as fairface:validation=0.05,seed=0 or utkface:split=folds-5,fold=1.",
    ),
]
