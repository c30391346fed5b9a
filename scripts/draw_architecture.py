"""Make the drawings of docs/contributing.md: the parts, the road of a picture and the road of a label.

    python scripts/draw_architecture.py [--folder docs/images]

The order of agegender_train's packages is that of the contract in pyproject.toml. Drawings are 390 units wide, so that
they can be read on a phone, and have a background of their own, so that they can be read on a dark page.
"""

from __future__ import annotations

import argparse
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from xml.sax.saxutils import escape

ROOT = Path(__file__).resolve().parents[1]
WIDTH, MARGIN, LINE = 390, 14, 17
INK, MUTED = "#1f2540", "#5a6178"
BLUE, GREEN, ORANGE, VIOLET, GREY = "#dfe6ff", "#dcf2e4", "#ffe9cf", "#eee0fb", "#eef0f4"
EDGES = {BLUE: "#3f51b5", GREEN: "#2e8b57", ORANGE: "#c77700", VIOLET: "#7d3fb0", GREY: "#8a90a3"}

SAYS = {
    "baselines": "other people's networks",
    "training": "from stores to a run",
    "preprocessing": "from a dataset to a store",
    "calibration": "intervals that hold",
    "audit": "what is in a store",
    "export": "other formats",
    "report": "pages, model cards",
    "models": "one network a file",
    "evaluation": "a model on stores",
    "runs": "a training's folder and settings",
    "splits": "folds and sides",
    "review": "cleaning by eye",
    "metrics": "figures and their intervals",
    "duplicates": "copies and near-copies",
    "batches": "faces to batches, augmentation",
    "datasets": "one reader a file",
    "pages": "HTML and plots",
    "store": "shards, labels, decisions",
    "losses": "ages as intervals",
    "files": "atomic writes, locks",
    "registry": "parts found by file name",
}


@dataclass
class Drawing:
    """Shapes from the top down; `y` is where the next one begins."""

    title: str
    y: float = MARGIN
    shapes: list[str] = field(default_factory=list)

    def box(
        self, x: float, y: float, width: float, name: str, lines: list[str], fill: str, mono: bool = False
    ) -> float:
        """A rounded box with a bold name and lines below it; gives its height."""
        height = 12 + LINE * (1 + len(lines))
        self.shapes.append(
            f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="7" fill="{fill}" '
            f'stroke="{EDGES[fill]}" stroke-width="1.2"/>'
        )
        self.text(x + 10, y + 18, name, bold=True, mono=mono)
        for number, line in enumerate(lines, 1):
            self.text(x + 10, y + 18 + LINE * number, line, colour=MUTED)
        return height

    def text(
        self,
        x: float,
        y: float,
        text: str,
        *,
        bold: bool = False,
        mono: bool = False,
        colour: str = INK,
        size: float = 12.5,
        anchor: str = "start",
    ) -> None:
        """One line of text with its baseline at `y`."""
        family = "ui-monospace, 'DejaVu Sans Mono', monospace" if mono else "system-ui, 'DejaVu Sans', sans-serif"
        weight = ' font-weight="600"' if bold else ""
        size = size - 0.5 if mono else size
        self.shapes.append(
            f'<text x="{x:g}" y="{y:g}" font-family="{family}" font-size="{size:g}"{weight} fill="{colour}" '
            f'text-anchor="{anchor}">{escape(text)}</text>'
        )

    def arrow(self, label: str = "", x: float = 44, length: float = 26) -> None:
        """An arrow down, with a word beside it."""
        end = self.y + length
        self.shapes.append(
            f'<path d="M{x:g} {self.y + 3:g}V{end - 8:g}" stroke="{INK}" stroke-width="1.5"/>'
            f'<path d="M{x - 4.5:g} {end - 9:g}L{x:g} {end - 2:g}L{x + 4.5:g} {end - 9:g}Z" fill="{INK}"/>'
        )
        if label:
            self.text(x + 10, self.y + length / 2 + 4, label, colour=MUTED, size=11.5)
        self.y = end

    def row(self, *cells: tuple[str, list[str], str], mono: bool = False) -> None:
        """Boxes beside one another, as high as the highest."""
        gap = 8.0
        width = (WIDTH - 2 * MARGIN - gap * (len(cells) - 1)) / len(cells)
        most = max(len(lines) for _, lines, _ in cells)
        height = 0.0
        for place, (name, lines, fill) in enumerate(cells):
            padded = lines + [""] * (most - len(lines))
            height = self.box(MARGIN + place * (width + gap), self.y, width, name, padded, fill, mono)
        self.y += height

    def svg(self) -> str:
        """The whole drawing."""
        height = self.y + MARGIN
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:g}" width="560" '
            f'height="{height * 560 / WIDTH:.0f}" role="img">\n<title>{escape(self.title)}</title>\n'
            f'<rect width="{WIDTH}" height="{height:g}" rx="10" fill="#fff"/>\n' + "\n".join(self.shapes) + "\n</svg>\n"
        )


def layers() -> list[list[str]]:
    """The packages of agegender_train from the top down; those of one layer together."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    for contract in settings["tool"]["importlinter"]["contracts"]:
        if contract.get("containers") == ["agegender_train"]:
            return [[name.strip() for name in layer.split("|")] for layer in contract["layers"]]
    raise ValueError("pyproject.toml has no layers contract of agegender_train")


def architecture() -> str:
    """The packages of the repository, each above what it may import."""
    drawing = Drawing("The parts of agegender; each may import what is below it")
    drawing.row(("agegender", ["command and runtime in one"], GREY), mono=True)
    drawing.arrow("installs")
    drawing.row(("agegender_cli", ["the command: one file a command, Typer"], VIOLET), mono=True)
    drawing.arrow("imports")
    top = drawing.y
    drawing.y += 30
    inner = drawing.y
    for names in layers():
        if len(names) == 1:
            drawing.text(MARGIN + 10, drawing.y + 13, names[0], bold=True, mono=True)
            drawing.text(MARGIN + 128, drawing.y + 13, SAYS[names[0]], colour=MUTED)
            drawing.y += 22
        else:
            for name in names:
                drawing.text(MARGIN + 10, drawing.y + 13, name, bold=True, mono=True)
                drawing.text(MARGIN + 128, drawing.y + 13, SAYS[name], colour=MUTED)
                drawing.y += 18
            drawing.shapes.append(
                f'<path d="M{WIDTH - MARGIN - 14} {drawing.y - 18 * len(names) + 2:g}v{18 * len(names) - 4}" '
                f'stroke="{EDGES[ORANGE]}" stroke-width="2"/>'
            )
            drawing.text(
                WIDTH - MARGIN - 20, drawing.y - 9 * len(names) + 4, "one layer", colour=MUTED, size=11, anchor="end"
            )
            drawing.y += 4
    frame = (
        f'<rect x="{MARGIN}" y="{top:g}" width="{WIDTH - 2 * MARGIN}" height="{drawing.y - top + 6:g}" rx="7" '
        f'fill="{ORANGE}" stroke="{EDGES[ORANGE]}" stroke-width="1.2"/>'
    )
    place = next(i for i, shape in enumerate(drawing.shapes) if f'y="{inner + 13:g}"' in shape)
    drawing.shapes.insert(place, frame)
    drawing.text(MARGIN + 10, top + 18, "agegender_train", bold=True, mono=True)
    drawing.text(WIDTH - MARGIN - 12, top + 19, "Keras, Parquet, plots", colour=MUTED, anchor="end")
    drawing.y += 6
    drawing.arrow("imports")
    drawing.row(
        (
            "agegender_core",
            ["sources, pipeline, predictor, tracker, smoother,", "sinks, the model file; NumPy, OpenCV, ONNX Runtime"],
            BLUE,
        ),
        mono=True,
    )
    drawing.arrow("pybind11: bindings/, one file a topic")
    drawing.row(
        (
            "cpp/",
            [
                "face detector, landmarks, alignment, preprocessing,",
                "Kalman filters, assignment, trackers; no Python in it",
            ],
            GREEN,
        ),
        mono=True,
    )
    drawing.arrow("compiled in")
    drawing.row(("dlib", [], GREY), mono=True)
    return drawing.svg()


def road_of_a_picture() -> str:
    """From pictures to results, and what training shares of it."""
    drawing = Drawing("The road of a picture: what training and use share, and where they part")
    drawing.row(
        ("Use", ["photo, video,", "camera, stream"], BLUE),
        ("Training", ["a dataset's pictures,", "archives or folders"], ORANGE),
    )
    drawing.arrow("frame: uint8 RGB (H, W, 3)")
    drawing.row(("Detect", ["HOG or YuNet: boxes and scores"], GREEN))
    drawing.arrow("xyxy")
    drawing.row(("Align", ["5 landmarks, then an upright chip of 140 pixels"], GREEN))
    drawing.arrow("landmarks, chips")
    drawing.row(
        ("in use", ["the chips go on at once"], BLUE),
        ("in training", ["store, then batches"], ORANGE),
    )
    drawing.arrow("chips: uint8 (n, 140, 140, 3)")
    drawing.row(
        ("Preprocess", ["crop to the margin, resize, normalise:", "as the model file says, one C++ function"], GREEN)
    )
    drawing.arrow("float32, the network's input")
    drawing.row(
        ("Predict", ["ONNX Runtime; age,", "interval, p_male"], BLUE),
        ("Train", ["Keras; exports the", "model file"], ORANGE),
    )
    drawing.arrow("in a video")
    drawing.row(
        ("Track, smooth", ["followed once detected;", "ages averaged in the end"], BLUE),
        ("Evaluate", ["a report, model cards,", "calibration"], ORANGE),
    )
    drawing.arrow()
    drawing.row(("Sinks", ["drawn pictures and videos, JSON, CSV, a window"], BLUE))
    return drawing.svg()


def road_of_a_label() -> str:
    """From a label file to the loss and the figures."""
    drawing = Drawing("The road of a label: an interval from the dataset's file to the loss and the figures")
    drawing.row(
        ("Adience", ["(25, 32), m"], GREY),
        ("FairFace", ["20-29, Male"], GREY),
        ("UTKFace", ["24_0_..., 0: male"], GREY),
    )
    drawing.arrow("one reader a dataset; its coding ends here")
    drawing.row(
        ("Sample", ["age_low, age_high: 25..32, 20..29, 24..24", "gender: 1 male, 0 female, or missing"], ORANGE)
    )
    drawing.arrow("joined with the face that the detector found")
    drawing.row(("Clean", ["copies: the most informative label stays;", "labels that conflict: none stays"], ORANGE))
    drawing.arrow()
    drawing.row(
        ("Store", ["a row of a Parquet", "shard"], ORANGE),
        ("Audit", ["every entry left out,", "with its reason"], GREY),
    )
    drawing.arrow("review.csv: corrected and rejected faces")
    drawing.row(("Split", ["people, pictures and copies stay together"], ORANGE))
    drawing.arrow("float (n, 2), low and high in years")
    drawing.row(
        ("Loss", ["probability within the", "interval; missing", "labels are masked"], BLUE),
        ("Metrics", ["MAE of known ages;", "distance to a group,", "share in it"], BLUE),
    )
    return drawing.svg()


DRAWINGS = {
    "architecture.svg": architecture,
    "road-of-a-picture.svg": road_of_a_picture,
    "road-of-a-label.svg": road_of_a_label,
}


def main() -> None:
    """Write the drawings."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=ROOT / "docs/images")
    folder = parser.parse_args().folder
    for name, draw in DRAWINGS.items():
        (folder / name).write_text(draw(), encoding="utf-8")


if __name__ == "__main__":
    main()
