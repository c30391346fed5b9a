"""Print the mean places of eyes, nose and mouth in aligned chips, as YuNet finds them.

    uv run --no-dev python scripts/measure_chip_points.py STORE

These are `MEAN_POINTS` of agegender_train/baselines/insightface/points.py, and the distances of faces from them.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from agegender_train.baselines.insightface import points
from agegender_train.store import Store


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("store", type=Path)
    parser.add_argument("--faces", type=int, default=5000)
    args = parser.parse_args()
    store, find = Store.open(args.store), points.YuNetPoints()
    rows = np.arange(0, len(store), max(1, len(store) // args.faces))
    found = np.concatenate([find(store.decode(rows[i : i + 256])) for i in range(0, len(rows), 256)])
    found = found[~np.isnan(found[:, 0, 0])]
    mean = np.median(found, axis=0)
    far = np.linalg.norm(found - mean, axis=2).mean(axis=1) / points.CHIP_SIDE
    print(f"points in {len(found)} of {len(rows)} chips of {store.name}; medians in pixels:")
    print(np.round(mean, 1).tolist())
    print("distance from there in parts of the side, at 50, 90, 99 and 100 %:", np.quantile(far, [0.5, 0.9, 0.99, 1]))


if __name__ == "__main__":
    main()
