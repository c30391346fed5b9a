"""Real processes of the real command, killed and starved. Run as a script, this file runs it as its arguments say."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from agegender_train.store import Store

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs SIGKILL and fork")

SHARD_PICTURES = 12
KILLS = 10


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Chips as UTKFace's: noise, with copies, near-duplicates, conflicts, wrong labels and a broken file."""
    folder = tmp_path_factory.mktemp("chips")
    noise = np.random.default_rng(7)
    for i in range(100):
        chip = cv2.resize(noise.integers(0, 250, (25, 25, 3), np.uint8), (200, 200), interpolation=cv2.INTER_CUBIC)
        chip = np.minimum(chip, 250)
        versions = {f"{i}_{i % 2}_0": chip}
        if i in (20, 40, 90):
            versions[f"{i}_{i % 2}_1"] = chip  # a copy
            versions[f"{i}_{i % 2}_2"] = chip + np.uint8(5)  # a near-duplicate
        if i in (30, 95):
            versions[f"{i + 1}_{i % 2}_3"] = chip + np.uint8(5)  # of another age
        for name, version in versions.items():
            data = cv2.imencode(".png", version)[1].tobytes()
            (folder / f"{name}_{20170101000000000 + i}.png.chip.png").write_bytes(data)
    (folder / "10_1_4_20170101000000000.jpg.chip.jpg").write_bytes(b"\xff\xd8 no picture")
    (folder / "who.jpg").write_bytes(b"no label")
    return folder


def command(source: Path, out: Path, *how: str) -> list[str]:
    """This file as a script; `how` it shall end, then the real command's arguments."""
    arguments = ["preprocess", "utkface", str(source), "--output", str(out), "--boxes", "known", "--workers", "2"]
    return [sys.executable, __file__, *how, "--", *arguments, "--no-report", "--quiet"]


def finish(source: Path, out: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(source, out), capture_output=True, text=True, timeout=120)


@pytest.fixture(scope="module")
def reference(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("reference") / "store"
    done = finish(source, out)
    assert done.returncode == 0, done.stderr
    audit = json.loads((out / "audit.json").read_text())
    assert audit["rejected"] == {
        "conflicting labels": 4,
        "duplicate": 3,
        "label not understood": 1,
        "near-duplicate": 3,
        "unreadable": 1,
    }
    return out


def assert_same(out: Path, reference: Path) -> None:
    compared = subprocess.run(["diff", "-r", str(out), str(reference)], capture_output=True, text=True)
    assert (compared.returncode, compared.stdout, compared.stderr) == (0, "", "")
    assert not (out / ".work").exists()
    assert sorted(path.name for path in out.iterdir()) == sorted(path.name for path in reference.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize(
    "moments", [random.Random(1).sample(range(1, 12), KILLS), [45, *random.Random(2).choices(range(4, 8), k=9)]]
)
def test_killed_at_ten_steps_it_goes_on_to_the_same_store(
    source: Path, reference: Path, tmp_path: Path, moments: list[int]
) -> None:
    """Each kill is at a file that is written, renamed or removed: before it, or in the middle of writing.

    The 45th step is among the first of the second pass, in which shards are finished.
    """
    out = tmp_path / "store"
    killed = subprocess.run(
        command(source, out, "steps", *map(str, moments)), capture_output=True, text=True, timeout=120
    )
    assert killed.stdout.split() == ["killed"] * KILLS, killed.stderr
    assert (out / "audit" / "near-duplicates.json").exists() == (moments[0] == 45)
    with pytest.raises(ValueError, match="not finished"):
        Store.open(out)
    assert finish(source, out).returncode == 0
    assert_same(out, reference)


@pytest.mark.slow
def test_killed_at_ten_random_times_it_goes_on_to_the_same_store(source: Path, reference: Path, tmp_path: Path) -> None:
    out = tmp_path / "store"
    killed = subprocess.run(command(source, out, "times", "3", str(KILLS)), capture_output=True, text=True, timeout=120)
    assert killed.stdout.split().count("killed") == KILLS, killed.stderr
    assert finish(source, out).returncode == 0
    assert_same(out, reference)
    for whole in tmp_path.glob("store-*"):
        assert_same(whole, reference)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="mounting a small disk needs root")
def test_a_full_disk_gives_one_sentence_and_leaves_nothing_broken(
    source: Path, reference: Path, tmp_path: Path
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=96k", "tmpfs", str(disk)], capture_output=True).returncode:
        pytest.skip("this root may not mount a small disk")
    try:
        out = disk / "store"
        sizes = [96, 400, 8000]
        for kilobytes in sizes:
            subprocess.run(["mount", "-o", f"remount,size={kilobytes}k", str(disk)], check=True)
            done = finish(source, out)
            if kilobytes == sizes[-1]:
                assert done.returncode == 0, done.stderr
                break
            assert done.returncode == 2
            assert done.stderr == (
                f"agegender: the disk of {out} is full: free some space and run the same command again to continue\n"
            )
            assert not list(out.rglob("*.tmp"))
            for part in [*out.glob(".work/part-*.json"), *out.glob("audit/part-*.json")]:
                json.loads(part.read_bytes())
        assert_same(out, reference)
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def _run(arguments: list[str]) -> None:
    from agegender_cli.main import main

    sys.argv = ["agegender", *arguments]
    try:
        main()
    except SystemExit as error:
        sys.stderr.flush()
        os._exit(int(error.code or 0))
    os._exit(0)


def _kill_at(step: int) -> None:
    """Lets the `step`-th operation on files kill this process."""
    left = [step]

    def arm(name: str, owner: type | object) -> None:
        plain = getattr(owner, name)

        def armed(*args: object) -> object:
            left[0] -= 1
            if left[0] == 0:
                if name == "write_bytes":
                    plain(args[0], args[1][: len(args[1]) // 2])  # type: ignore[index, arg-type]
                os.kill(os.getpid(), signal.SIGKILL)
            return plain(*args)

        setattr(owner, name, armed)

    for name, owner in (("write_bytes", Path), ("replace", Path), ("replace", os), ("unlink", os), ("rmdir", os)):
        arm(name, owner)


def _fork(arguments: list[str], step: int | None, seconds: float | None) -> bool:
    """Runs the command in a process of its own; true if it was killed."""
    child = os.fork()
    if child == 0:
        os.dup2(2, 1)
        if step is not None:
            _kill_at(step)
        _run(arguments)
    if seconds is not None:
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def _main() -> None:
    from agegender_train.preprocessing import making

    making.SHARD_PICTURES = SHARD_PICTURES
    split = sys.argv.index("--")
    how, arguments = sys.argv[1:split], sys.argv[split + 1 :]
    if not how:
        _run(arguments)
    elif how[0] == "steps":
        for step in how[1:]:
            killed = _fork(arguments, int(step), None)
            print("killed" if killed else "done", flush=True)
            if not killed:
                break
    else:
        chance, left = random.Random(int(how[1])), int(how[2])
        out, whole = Path(arguments[4]), 0
        while left:
            if _fork(arguments, None, chance.uniform(0.05, 0.8)):
                left -= 1
                print("killed", flush=True)
            else:
                whole += 1
                out.rename(f"{out}-{whole}")
                print("done", flush=True)


if __name__ == "__main__":
    # What the processes that are to be killed have in common.
    import pyarrow

    import agegender_cli.main  # noqa: F401
    import agegender_core  # noqa: F401
    import agegender_train.preprocessing  # noqa: F401

    pyarrow.array([1])  # it imports pandas, where that is

    _main()
