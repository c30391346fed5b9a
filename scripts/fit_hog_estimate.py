"""Make the table of the estimate by which `HogDetector(exact=False)` rules windows out, for the C++ core.

    uv run python scripts/fit_hog_estimate.py fairface/train-1.zip cpp/src/hog_estimate_table.inc

The faces of the archive are laid side by side, in random sizes, into pictures. The first half of these gives the
covariance of HOG features, from which the directions follow in which the detectors' filters weigh most (a singular
value decomposition of the filters over whitened features), and how far below the threshold an estimate lies where
there is a face. The other half shows how many windows the estimate lets pass, and how many faces it loses. See
cpp/src/hog_estimate.hpp for what the tables are for.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from agegender_core import decode_image
from agegender_core.native import native
from agegender_train.datasets import FileTree
from agegender_train.files import write_atomically

Floats = npt.NDArray[np.float64]
DIRECTIONS, TERMS = 4, 2
SIDE, CELLS = 960, 6
MARGIN = 0.5
"""Added to the largest such distance that was seen, in score."""


def mosaic(files: FileTree, names: list[str], random: np.random.Generator) -> npt.NDArray[np.uint8]:
    """A picture of SIDE pixels a side, of CELLS x CELLS faces in random sizes."""
    picture = random.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    step = SIDE // CELLS
    for place, name in enumerate(names):
        face = decode_image(files.read(name))
        side = int(step * random.uniform(0.6, 1.0) * (2 if random.random() < 0.3 else 1))
        top, left = place // CELLS * step, place % CELLS * step
        height, width = min(side, SIDE - top), min(side, SIDE - left)
        picture[top : top + height, left : left + width] = cv2.resize(face, (side, side))[:height, :width]
    return picture


def levels(picture: npt.NDArray[np.uint8]) -> list[Floats]:
    """The features of each level of the picture's pyramid, (31, rows, columns)."""
    found = []
    while min(picture.shape[:2]) >= 80:
        found.append(native().hog_features(picture).astype(np.float64))
        height, width = picture.shape[:2]
        picture = cv2.resize(picture, (width * 5 // 6, height * 5 // 6), interpolation=cv2.INTER_LINEAR)
    return found


def scores(features: Floats, filters: Floats) -> Floats:
    """Of every window, (detectors, rows, columns); what lies outside the features counts as 0."""
    _, rows, columns = features.shape
    shape = (rows + 9, columns + 9)
    spectrum = np.einsum("pyx,dpyx->dyx", np.fft.rfft2(features, shape), np.conj(np.fft.rfft2(filters, shape)))
    whole = np.fft.irfft2(spectrum, shape)
    return np.roll(whole, (4, 4), (1, 2))[:, :rows, :columns]


def fit(features: list[Floats], filters: Floats) -> tuple[Floats, Floats]:
    """The directions: features' shares (DIRECTIONS, 31) and filters' shares (DIRECTIONS, 31)."""
    cells = np.concatenate([level.reshape(31, -1) for level in features], axis=1)
    covariance = cells @ cells.T / cells.shape[1]
    root = np.linalg.cholesky(covariance + 1e-6 * np.eye(31))
    _, _, axes = np.linalg.svd(filters.transpose(0, 2, 3, 1).reshape(-1, 31) @ root, full_matrices=False)
    return axes[:DIRECTIONS] @ np.linalg.inv(root), axes[:DIRECTIONS] @ root.T


def cut_down(filters: Floats, filter_shares: Floats) -> Floats:
    """The filters over the directions, of TERMS separable terms each, (detectors, DIRECTIONS, 10, 10)."""
    left, strength, right = np.linalg.svd(np.einsum("kp,dpyx->dkyx", filter_shares, filters))
    return (left[..., :TERMS] * strength[..., None, :TERMS]) @ right[..., :TERMS, :]


def rows_of(table: Floats) -> str:
    lines = []
    for row in table:
        texts = [f"{value:.4f}f" for value in row]
        text = ",\n     ".join(", ".join(texts[i : i + 10]) for i in range(0, len(texts), 10))
        lines.append("    {" + text + "}")
    return ",\n".join(lines)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("faces", type=Path, help="a folder or archive of pictures of faces")
    arguments.add_argument("table", type=Path, help="where the table goes; it is replaced")
    arguments.add_argument("--pictures", type=int, default=48, help="how many are made, of 36 faces each")
    options = arguments.parse_args()

    filters, thresholds = (part.astype(np.float64) for part in native().hog_model())
    random = np.random.default_rng(1)
    files = FileTree.open(options.faces)
    names = [name for name in files.names if Path(name).suffix.lower() in {".jpg", ".png", ".webp"}]
    step = CELLS * CELLS
    faces = [names[i] for i in random.permutation(len(names))[: options.pictures * step]]
    features = [levels(mosaic(files, faces[i : i + step], random)) for i in range(0, len(faces), step)]
    halves = [[level for one in half for level in one] for half in (features[::2], features[1::2])]

    feature_shares, filter_shares = (np.round(table, 4) for table in fit(halves[0], filters))
    estimate = cut_down(filters, filter_shares)
    slack = np.zeros(len(filters))
    for name, half in zip(("fitted", "other"), halves, strict=True):
        windows = positives = lost = passed = asked = 0
        for level in half:
            least = thresholds[:, None, None]
            faces_there = scores(level, filters) >= least
            guess = scores(np.einsum("kp,pyx->kyx", feature_shares, level), estimate) - least
            if name == "fitted":
                slack = np.maximum(slack, np.where(faces_there, -guess, 0).max((1, 2)))
            else:
                passes = guess >= -slack[:, None, None]
                windows += guess[0].size
                positives += int(faces_there.sum())
                lost += int((faces_there & ~passes).sum())
                passed += int(passes.any(0).sum())
                asked += int(passes.sum())
        if name == "fitted":
            slack = np.round(slack + MARGIN, 2)
    print(
        f"slack {slack}; of {windows} other windows {passed / windows:.2%} pass, {asked / windows:.4f} scores a window;"
    )
    print(f"of {positives} scores above the threshold {lost} are lost")
    table = f"""\
// Made by scripts/fit_hog_estimate.py from faces of FairFace (CC BY 4.0).
constexpr int kDirections = {DIRECTIONS};
/// How the features of a cell give its share of each direction.
constexpr float kFeatureShares[kDirections][HogFeatures::kPlanes] = {{
{rows_of(feature_shares)}}};
/// How the filters over the planes give those over the directions.
constexpr float kFilterShares[kDirections][HogFeatures::kPlanes] = {{
{rows_of(filter_shares)}}};
/// How far below a detector's threshold its estimate may lie where there is a face.
constexpr double kSlack[HogEstimate::kDetectors] = {{{", ".join(f"{value:.2f}" for value in slack)}}};
"""
    write_atomically(options.table, table.encode())


if __name__ == "__main__":
    main()
