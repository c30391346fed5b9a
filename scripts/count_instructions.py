"""Print how many instructions a call of each C++ stage takes, a number that other work on the machine doesn't change.

uv run python scripts/count_instructions.py
uv run python scripts/count_instructions.py track landmarks

Valgrind counts those of a process that makes a few calls and of one that makes more; the difference belongs to the
calls. WORD is the beginning of a name that `agegender benchmark peers` prints. Networks are left out: ONNX Runtime uses
whatever the CPU has, and Valgrind doesn't know AVX-512.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys

from agegender_core.benchmark import known_peers

FEW, MORE = 5, 25
STAGES = ("decode", "detect by HOG", "detect by hog-fast", "landmarks", "preprocess", "track")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("word", nargs="*", default=STAGES, metavar="WORD", help=", ".join(STAGES))
    parser.add_argument("--calls", nargs=2, metavar=("WHAT", "N"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    stages = {one.what: one for one in known_peers() if one.what.startswith(STAGES)}
    if options.calls:
        what, number = options.calls
        call = stages[what].make().ours
        for _ in range(int(number)):
            call()
        return
    if shutil.which("valgrind") is None:
        parser.error("valgrind isn't installed")
    for what in stages:
        if what.startswith(tuple(options.word)):
            few, more = (instructions(what, number) for number in (FEW, MORE))
            print(f"{what:<56}{(more - few) // (MORE - FEW):>14,} instructions a call", flush=True)


def instructions(what: str, calls: int) -> int:
    """Of a whole process on one thread."""
    valgrind = ["valgrind", "--tool=cachegrind", "--cache-sim=no", f"--cachegrind-out-file={os.devnull}"]
    words = [*valgrind, sys.executable, __file__, "--calls", what, str(calls)]
    still = {"PYTHONHASHSEED": "0", "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(words, env={**os.environ, **still}, capture_output=True, text=True)
    found = re.search(r"I\s+refs:\s+([\d,]+)", done.stderr)
    if done.returncode or not found:
        sys.exit(f"{' '.join(words)} failed:\n{done.stderr}")
    return int(found[1].replace(",", ""))


if __name__ == "__main__":
    main()
