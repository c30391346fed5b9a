r"""Print what small, blurred, turned, cut-off and doubtful faces cost in years and in genders, and draw it.

    uv run python scripts/measure_quality.py utkface UTKFace.tar --pictures 1200 --model fast \
        --output docs/images/quality.png
    uv run python scripts/measure_quality.py fairface train-1.zip train-2.zip fairface_label_train.csv \
        --kept-out-of stores/fairface --unchanged

The faces of a dataset are made small, blurred or cut off, and found, aligned and judged again; with --unchanged they
are judged as they are only. The constants of `agegender_core.quality` come from these tables. Of a label that is an
interval, the error is the distance from it. --kept-out-of: see compare_detectors.py.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Callable, Iterable
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from compare_detectors import kept_out_files, middle_face

from agegender_core import Aligner, Faces, Frame, YuNetDetector, decode_image, load_predictor
from agegender_core.quality import FaceQuality, frontality, sharpness
from agegender_train.datasets import Sample, get_dataset
from agegender_train.datasets.archives import FileTree

SIDES = (12, 16, 24, 32, 48, 64, 96)
BLURS = (0.01, 0.02, 0.04, 0.08, 0.12)
CUTS = (0.1, 0.2, 0.3, 0.4, 0.5)
Case = tuple[Frame, Faces, Sample]


def smaller(side: float) -> Callable[[Frame, Faces], tuple[Frame, Faces]]:
    def change(frame: Frame, face: Faces) -> tuple[Frame, Faces]:
        scale = side / float(face.xyxy[0, 2] - face.xyxy[0, 0])
        if scale >= 1:
            return frame, face
        small = cv2.resize(frame, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        assert face.keypoints is not None
        factor = np.float32(scale)
        return np.asarray(small, np.uint8), face.with_columns(
            xyxy=face.xyxy * factor, keypoints=face.keypoints * factor
        )

    return change


def blurred(part: float) -> Callable[[Frame, Faces], tuple[Frame, Faces]]:
    def change(frame: Frame, face: Faces) -> tuple[Frame, Faces]:
        sigma = part * float(face.xyxy[0, 2] - face.xyxy[0, 0])
        return np.asarray(cv2.GaussianBlur(frame, (0, 0), sigma), np.uint8), face

    return change


def cut_off(part: float) -> Callable[[Frame, Faces], tuple[Frame, Faces]]:
    def change(frame: Frame, face: Faces) -> tuple[Frame, Faces]:
        left, _, right, _ = face.xyxy[0]
        return np.ascontiguousarray(frame[:, : max(8, round(float(right - part * (right - left))))]), face

    return change


def as_it_is(frame: Frame, face: Faces) -> tuple[Frame, Faces]:
    return frame, face


class Judge:
    """Ages and genders of changed faces."""

    def __init__(self, model: str | None) -> None:
        self.predictor = load_predictor(model)
        self.aligner = Aligner(self.predictor.spec.chip_size, self.predictor.spec.chip_padding)
        self.quality = FaceQuality()

    def __call__(
        self, cases: Iterable[Case], change: Callable[[Frame, Faces], tuple[Frame, Faces]]
    ) -> dict[str, npt.NDArray[np.float64]]:
        """Error in years, wrong gender, and traits of each face, float64 (n,) by name."""
        rows: list[tuple[float, ...]] = []
        for frame, face, sample in cases:
            picture, known = change(frame, face)
            found = self.quality(picture, self.predictor(picture, self.aligner(picture, known)))
            assert found.age is not None
            assert found.p_male is not None
            assert found.landmarks is not None
            assert found.chips is not None
            assert found.quality is not None
            assert found.score is not None
            assert sample.age_low is not None
            assert sample.age_high is not None
            age = float(found.age[0])
            rows.append((
                max(sample.age_low - age, age - sample.age_high, 0.0),
                float(sample.gender is not None and int(found.p_male[0] >= 0.5) != sample.gender),
                float(known.xyxy[0, 2] - known.xyxy[0, 0]),
                float(found.score[0]),
                float(frontality(found.landmarks)[0]),
                float(sharpness(found.chips)[0]),
                float(found.quality[0]),
            ))  # fmt: skip
        names = ("years", "wrong", "side", "score", "frontality", "sharpness", "quality")
        return dict(zip(names, np.array(rows).T, strict=True))


def line(name: str, found: dict[str, npt.NDArray[np.float64]], rows: npt.NDArray[np.bool_] | None = None) -> None:
    picked = {key: values if rows is None else values[rows] for key, values in found.items()}
    if len(picked["years"]):
        print(
            f"{name:28}{len(picked['years']):7}{picked['years'].mean():8.2f}{1 - picked['wrong'].mean():9.1%}"
            f"{np.median(picked['sharpness']):11.4f}{np.median(picked['quality']):9.2f}",
            flush=True,
        )


def cases_of(dataset: str, sources: list[Path], pictures: int, seed: int, kept_out: set[str] | None) -> list[Case]:
    files = FileTree.open(*sources)
    samples = [
        entry
        for entry in get_dataset(dataset).entries(files)
        if isinstance(entry, Sample) and entry.age_low is not None and (kept_out is None or entry.key in kept_out)
    ]
    detector, cases = YuNetDetector(threshold=0.3), []
    for row in np.sort(np.random.default_rng(seed).permutation(len(samples))[:pictures]):
        frame = decode_image(files.read(samples[row].file), samples[row].file)
        faces = detector(frame, Faces.empty())
        if len(faces):
            cases.append((frame, middle_face(faces, frame.shape[1], frame.shape[0]), samples[row]))
    return cases


def draw(
    found: dict[float, dict[str, npt.NDArray[np.float64]]], by_quality: list[tuple[float, float, float]], path: Path
) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    for axes, points, label in (
        (
            left,
            [(side, one["years"].mean(), 100 * one["wrong"].mean()) for side, one in found.items()],
            "side of the face, pixels",
        ),
        (right, by_quality, "quality"),
    ):
        x, years, wrong = zip(*points, strict=True)
        axes.plot(x, years, "o-", color="#0072b2", label="error of the age, years")
        axes.plot(x, wrong, "s--", color="#d55e00", label="wrong genders, %")
        axes.set_xlabel(label)
        axes.set_ylim(bottom=0)
        axes.grid(alpha=0.3)
    left.set_xscale("log", base=2)
    left.set_xticks(list(found), [f"{side:.0f}" for side in found])
    left.legend(frameon=False)
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("dataset")
    parser.add_argument("sources", type=Path, nargs="+")
    parser.add_argument("--pictures", type=int, default=2000)
    parser.add_argument("--model")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, help="write the plot here")
    parser.add_argument("--kept-out-of", type=Path, metavar="STORE")
    parser.add_argument("--validation", type=float, default=0.05)
    parser.add_argument("--unchanged", action="store_true")
    args = parser.parse_args()
    kept_out = None if args.kept_out_of is None else kept_out_files(args.kept_out_of, args.validation, args.seed)
    pictures = args.pictures if kept_out is None else len(kept_out)
    cases = cases_of(args.dataset, args.sources, pictures, args.seed, kept_out)
    judge = Judge(args.model)
    print(f"{'':28}{'faces':>7}{'years':>8}{'gender':>9}{'sharpness':>11}{'quality':>9}")
    whole = judge(cases, as_it_is)
    line("as they are", whole)
    sides: dict[float, dict[str, npt.NDArray[np.float64]]] = {}
    for side in () if args.unchanged else SIDES:
        large = [case for case in cases if case[1].xyxy[0, 2] - case[1].xyxy[0, 0] >= side]
        sides[side] = judge(large, smaller(side))
        line(f"{side} pixels", sides[side])
    every = [whole, *sides.values()]
    for title, values, change in (("blur of {:g} sides", BLURS, blurred), ("cut off by {:g} sides", CUTS, cut_off)):
        for value in () if args.unchanged else values:
            every.append(judge(cases, change(value)))
            line(title.format(value), every[-1])
    for name, edges in (
        ("score", (0, 0.8, 0.85, 0.88, 0.9, 0.92, 0.94, 1.01)),
        ("frontality", (0, 0.2, 0.4, 0.6, 0.8, 1.01)),
    ):
        for low, high in itertools.pairwise(edges):
            line(f"{name} {low:g} to {high:g}", whole, (whole[name] >= low) & (whole[name] < high))
    # All conditions together: the error falls as the quality rises.
    together = {name: np.concatenate([one[name] for one in every]) for name in whole}
    by_quality = []
    for low in np.arange(0, 1, 0.1):
        rows = (together["quality"] >= low) & (together["quality"] < low + 0.1 + 1e-9)
        line(f"quality {low:.1f} to {low + 0.1:.1f}", together, rows)
        if rows.sum() >= 50:
            by_quality.append((low + 0.05, together["years"][rows].mean(), 100 * together["wrong"][rows].mean()))
    if args.output is not None:
        draw({**sides}, by_quality, args.output)


if __name__ == "__main__":
    main()
