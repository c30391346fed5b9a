"""Make a plot of what in a picture makes its largest face look male or female to the built-in models.

    uv run python scripts/explain_face.py samples/astronaut.jpg docs/images/sample-explained.png

The upper rows show the probability of male as the aligned face is blurred, brightened, and so on. The map below each
model's name is an occlusion map (Zeiler and Fergus, "Visualizing and Understanding Convolutional Networks", ECCV 2014):
where a grey square over the face makes it look more male to the model, what it hides speaks for female, and is red.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import cv2
import matplotlib
import numpy as np
import numpy.typing as npt

matplotlib.use("Agg")
import matplotlib.pyplot as plt

import agegender_core as ag
from agegender_core.predict import MODELS, Predictor

Chip = npt.NDArray[np.uint8]
SQUARE, STRIDE = 24, 6
"""Of the occlusion map, in pixels of a chip of 140: a square hides an eye or half a mouth."""


def warped(chip: Chip, scale: float = 1, degrees: float = 0) -> Chip:
    size = len(chip)
    warp = cv2.getRotationMatrix2D(((size - 1) / 2,) * 2, degrees, scale)
    return np.asarray(cv2.warpAffine(chip, warp, (size, size), borderMode=cv2.BORDER_REFLECT_101), np.uint8)


def saturated(chip: Chip, value: float) -> Chip:
    grey = chip @ np.array([0.299, 0.587, 0.114])[:, None]
    return np.clip(grey + (chip - grey) * value, 0, 255).astype(np.uint8)


CHANGES: dict[str, tuple[npt.NDArray[np.float64], Callable[[Chip, float], Chip]]] = {
    "blur, sigma in pixels": (
        np.linspace(0, 4, 17),
        lambda chip, value: np.asarray(cv2.GaussianBlur(chip, (0, 0), value), np.uint8) if value else chip,
    ),
    "brightness, grey levels": (
        np.linspace(-80, 80, 17),
        lambda chip, value: np.clip(chip + value, 0, 255).astype(np.uint8),
    ),
    "contrast": (
        np.linspace(0.4, 1.6, 17),
        lambda chip, value: np.clip((chip - 127.5) * value + 127.5, 0, 255).astype(np.uint8),
    ),
    "saturation": (np.linspace(0, 2, 17), saturated),
    "size of the face": (np.linspace(0.8, 1.25, 17), lambda chip, value: warped(chip, scale=value)),
    "turn, degrees": (np.linspace(-24, 24, 17), lambda chip, value: warped(chip, degrees=value)),
}


def occlusion_map(predictor: Predictor, chip: Chip) -> npt.NDArray[np.float64]:
    """The change of p(male) with a square over each place: float64, one value a step of STRIDE."""
    starts = range(0, len(chip) - SQUARE + 1, STRIDE)
    hidden = np.repeat(chip[None], len(starts) ** 2, axis=0)
    places = [(top, left) for top in starts for left in starts]
    for one, (top, left) in zip(hidden, places, strict=True):
        one[top : top + SQUARE, left : left + SQUARE] = 127
    return (p_male(predictor, hidden) - p_male(predictor, chip[None])).reshape(len(starts), -1)


def p_male(predictor: Predictor, chips: Chip) -> npt.NDArray[np.float64]:
    value = predictor.predict_chips(chips).p_male
    if value is None:
        raise SystemExit(f"{predictor.name} has not learned genders")
    return np.asarray(value, np.float64)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("picture")
    parser.add_argument("plot", help="PNG or SVG file to write")
    parser.add_argument("--model", action="append", help=f"may be repeated; by default {', '.join(MODELS)}")
    args = parser.parse_args()

    faces = ag.analyze(args.picture)
    if not len(faces):
        raise SystemExit(f"{args.picture}: no face was found")
    largest = [int(np.argmax(np.prod(faces.xyxy[:, 2:] - faces.xyxy[:, :2], axis=1)))]
    predictors = {name: ag.load_predictor(name, flip=False) for name in args.model or MODELS}

    rows = 2 + -(-len(predictors) // 3)
    figure, axes = plt.subplots(rows, 3, figsize=(12, 3.2 * rows), layout="constrained")
    for axis in axes.flat:
        axis.set_axis_off()
    for number, (name, predictor) in enumerate(predictors.items()):
        aligner = ag.Aligner(predictor.spec.chip_size, predictor.spec.chip_padding)
        chips = aligner(ag.read_image(args.picture), faces[largest]).chips
        assert chips is not None
        chip = chips[0]
        print(f"{name}: p(male) {p_male(predictor, chips)[0]:.2f}")
        for axis, (title, (values, change)) in zip(axes.flat, CHANGES.items(), strict=False):
            axis.set_axis_on()
            axis.plot(values, p_male(predictor, np.stack([change(chip, value) for value in values])), label=name)
            axis.axhline(0.5, color="0.8", linewidth=1, zorder=0)
            axis.set(xlabel=title, ylabel="probability of male", ylim=(0, 1))
        change = occlusion_map(predictor, chip)
        axis, reach = axes.flat[6 + number], max(0.05, float(np.abs(change).max()))
        axis.imshow(cv2.cvtColor(cv2.cvtColor(chip, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB))
        half = SQUARE / 2
        extent = (half, half + STRIDE * len(change), half + STRIDE * len(change), half)
        shown = axis.imshow(
            change, cmap="bwr", alpha=0.45, vmin=-reach, vmax=reach, extent=extent, interpolation="bilinear"
        )
        axis.set(xlim=(0, len(chip)), ylim=(len(chip), 0), title=f"{name}: change of p(male) if hidden")
        figure.colorbar(shown, ax=axis, shrink=0.8)
    axes.flat[0].legend()
    figure.savefig(args.plot, dpi=90)


if __name__ == "__main__":
    main()
