"""Make docs/images/near-duplicates.png: how alike the pairs of faces are that `agegender preprocess` compares.

    python scripts/plot_near_duplicates.py stores/utkface stores/fairface --out docs/images/near-duplicates.png

The stores must have been made with ``--near-duplicates 0``: otherwise they no longer hold the near-duplicates.
"""

from __future__ import annotations

import argparse
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import numpy as np

from agegender_core.plotting import BLUE, VERMILLION, new_figure, our_style, to_png
from agegender_train.duplicates import near_duplicates, same_picture
from agegender_train.store import Store


def compare(store: Store, bits: int) -> list[float]:
    """The correlation of each pair that is compared."""
    found: list[float] = []

    def keep(first: np.ndarray, second: np.ndarray) -> bool:
        found.append(same_picture.detail_correlation(first, second))
        return False

    hashes = store.columns("phash")["phash"].to_numpy()
    chips = [list(store.iter_encoded())]
    comparing = patch.object(near_duplicates, "is_same_picture", keep)
    with TemporaryDirectory() as scratch, ThreadPoolExecutor(os.cpu_count()) as executor, comparing:
        near_duplicates.near_pairs(hashes, lambda: chips, bits, Path(scratch), executor)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("stores", nargs="+", type=Path)
    parser.add_argument("--bits", type=int, default=8)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    stores = [Store.open(path) for path in arguments.stores]
    edges = np.arange(0.2, 1.0001, 0.02)
    with our_style():
        figure, axes = new_figure(1.6 * len(stores) + 0.3, len(stores), sharex=True)
        for axis, store in zip(axes, stores, strict=True):
            common = np.array(compare(store, arguments.bits))
            same = common >= same_picture.SAME
            print(f"{store.name}: {len(store)} faces, {len(common)} pairs compared, {same.sum()} the same picture")
            axis.hist(common[~same], edges, color=BLUE)
            axis.hist(common[same], edges, color=VERMILLION)
            counts = f"{(~same).sum():,} pairs of two pictures, {same.sum():,} of one"
            axis.set(yscale="log", ylabel="pairs", title=f"{store.name}, {len(store):,} faces: {counts}")
            axis.yaxis.set_major_formatter(lambda count, _: f"{count:,.0f}")
        axes[-1].set(xlabel="correlation of the fine detail")
        arguments.out.write_bytes(to_png(figure))


if __name__ == "__main__":
    main()
