from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import threading
from collections.abc import Callable, Sequence
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from agegender_core.plotting import drawable
from agegender_train.audit import Summary, write_audit, write_page
from agegender_train.audit.plots import faces_per_year
from agegender_train.audit.sheets import rejected_sheets, sample
from agegender_train.audit.summary import match_sources
from agegender_train.datasets.archives import FileTree
from agegender_train.files import write_atomically
from agegender_train.pages.html import document, escape, table
from agegender_train.store import Store, encode_chip, encode_shard
from agegender_train.store.labels import Labels

MakeStore = Callable[..., Store]
PNG, JPEG = b"\x89PNG", b"\xff\xd8"


def chip(seed: int, size: int = 48) -> np.ndarray:
    noise = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), np.uint8)
    return np.asarray(cv2.resize(noise, (size, size), interpolation=cv2.INTER_CUBIC), np.uint8)


def store_of(
    folder: Path,
    rows: Sequence[dict[str, Any]],
    rejected: Sequence[tuple[str, str, str]] = (),
    dataset: str = "made",
    about: dict[str, Any] | None = None,
) -> Path:
    """A store with these rows and rejections, as `preprocess` would leave it."""
    folder.mkdir(parents=True, exist_ok=True)
    full = [
        {
            "image": {"bytes": encode_chip(chip(number)), "path": ""},
            "dataset": dataset,
            "key": f"{number}.jpg",
            "face": 0,
            "box_from": "detected",
            **row,
        }
        for number, row in enumerate(rows)
    ]
    shards = []
    if full:
        content = encode_shard(full)
        write_atomically(folder / "shard-00000.parquet", content)
        shards = [{"name": "shard-00000.parquet", "rows": len(full), "bytes": len(content)}]
        shards[0]["sha256"] = hashlib.sha256(content).hexdigest()
    columns = list(zip(*rejected, strict=True)) or [(), (), ()]
    names = ["source", "reason", "value"]
    table = pa.table({name: pa.array(column, pa.string()) for name, column in zip(names, columns, strict=True)})
    pq.write_table(table, folder / "audit.parquet")
    write_atomically(folder / "audit.json", {"dataset": dataset, "faces": len(full)})
    write_atomically(
        folder / "store.json",
        {
            "format": 2,
            "complete": True,
            "dataset": dataset,
            "chip_size": 48,
            "chip_padding": 0.4,
            "pictures": len(rows) + len(rejected),
            "shards": shards,
            **(about or {}),
        },
    )
    return folder


def person(age: float | None = 30, gender: int | None = 1, high: float | None = None, **more: Any) -> dict[str, Any]:
    return {"age_low": age, "age_high": age if high is None else high, "gender": gender, **more}


def some_people(n: int = 60) -> list[dict[str, Any]]:
    groups, splits = ["East Asian", "White", "Black"], ["train", "val"]
    return [person(i * 7 % 90, i % 2, group=groups[i % 3], split=splits[i % 2], subject=f"s{i % 20}") for i in range(n)]


@pytest.fixture
def pictures(tmp_path: Path) -> FileTree:
    folder = tmp_path / "source"
    folder.mkdir()
    for number in range(8):
        (folder / f"r{number}.png").write_bytes(cv2.imencode(".png", chip(100 + number, 300))[1].tobytes())
    (folder / "broken.jpg").write_bytes(b"no picture")
    return FileTree.open(folder)


def test_every_part_of_an_audit_is_written(tmp_path: Path, pictures: FileTree) -> None:
    left_out = [
        ("r0.png", "no face", ""),
        ("r1.png", "conflicting labels", "r2.png"),
        ("r2.png", "conflicting labels", "r1.png"),
        ("r3.png#2", "too small", "11 x 12"),
        ("broken.jpg", "unreadable", "not a picture"),
        ("gone.jpg", "missing from the archive", ""),
    ]
    folder = store_of(tmp_path / "store", some_people(), left_out)
    page = write_audit(folder, pictures)
    assert page == folder / "audit.html"
    names = {path.name for path in (folder / "audit").iterdir()}
    plots = {"ages.png", "gender.png", "gender-by-age.png", "groups.png", "rejected.png", "boxes.png"}
    reasons = {"no-face", "conflicting-labels", "too-small", "unreadable", "missing-from-the-archive"}
    assert names == plots | {"accepted.jpg", "copies.csv"} | {f"rejected-{reason}.jpg" for reason in reasons}
    for name in names - {"copies.csv"}:
        content = (folder / "audit" / name).read_bytes()
        assert content.startswith(PNG if name in plots else JPEG), name
        assert len(content) < 400_000
    text = page.read_text()
    assert "made: 60 faces of 66 entries; 6 (9.1%) were rejected." in text
    for word in ("East Asian", "conflicting labels", "11 x 12", "can&#x27;t be decoded", "no such picture", "r3.png#2"):
        assert word in text, word
    # 60 accepted, the plots, one of each reason, and the pair of the conflict once.
    assert text.count("<img") == 60 + 6 + 1 + 2 + 1
    assert page.stat().st_size < 5_000_000


@pytest.mark.slow
def test_an_audit_is_the_same_every_time_and_leaves_nothing_of_the_one_before(
    tmp_path: Path, pictures: FileTree, monkeypatch: pytest.MonkeyPatch
) -> None:
    import matplotlib

    folder = store_of(tmp_path / "store", some_people(), [("r0.png", "no face", ""), ("r1.png", "odd", "")])
    write_audit(folder, pictures)
    first = {path.name: path.read_bytes() for path in (folder / "audit").iterdir()} | {
        "page": (folder / "audit.html").read_bytes()
    }
    monkeypatch.setitem(matplotlib.rcParams, "font.size", 30)  # a user's own settings
    write_audit(folder, pictures)
    second = {path.name: path.read_bytes() for path in (folder / "audit").iterdir()} | {
        "page": (folder / "audit.html").read_bytes()
    }
    assert first == second
    assert b"Software" not in first["ages.png"]
    (folder / "audit" / "mine.png").write_bytes(b"not ours")
    store_of(folder, some_people(), [("r0.png", "no face", "")])
    write_audit(folder, pictures)
    names = {path.name for path in (folder / "audit").iterdir()}
    assert "rejected-odd.jpg" not in names
    assert {"rejected-no-face.jpg", "mine.png"} <= names


@pytest.mark.parametrize(
    ("rows", "rejected", "plots"),
    [
        ([], [], set()),
        ([], [("a.jpg", "no face", "")], {"rejected.png"}),
        ([person(None, None)], [], {"gender.png", "gender-by-age.png", "boxes.png"}),
        ([person(None, 1)] * 3, [], {"gender.png", "gender-by-age.png", "boxes.png"}),
        ([person(25, None)] * 3, [], {"ages.png", "gender.png", "gender-by-age.png", "boxes.png"}),
        ([person(70, 0, high=100)], [], {"ages.png", "gender.png", "gender-by-age.png", "boxes.png"}),
    ],
    ids=["nothing", "all left out", "no labels", "no ages", "no genders", "one face"],
)
def test_stores_with_little_in_them(
    rows: list[dict[str, Any]], rejected: list[tuple[str, str, str]], plots: set[str], tmp_path: Path
) -> None:
    folder = store_of(tmp_path / "store", rows, rejected)
    text = write_audit(folder).read_text()
    found = {path.name for path in (folder / "audit").glob("*.png")}
    assert found == plots
    assert ("There are no faces, and nothing was rejected." in text) == (not plots)
    assert "nan" not in re.sub(r"base64,[^\"]*", "", text)
    assert f"{len(rows):,} faces" in text


HOSTILE = '<script>alert("1")</script>&\u202e\x00\x1b[31m' + "日本語-" * 60 + "$x^2$"


def test_names_from_a_dataset_do_no_harm(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    rows = [person(20, 1, key=HOSTILE, group=HOSTILE, subject=HOSTILE, split=HOSTILE)] * 2
    left_out = [(HOSTILE, HOSTILE, HOSTILE)] * 3 + [(f"{i}.jpg", f"reason {i:04}", f"{i}") for i in range(3000)]
    folder = store_of(tmp_path / "store", rows, left_out, dataset=HOSTILE)
    (source / "any.jpg").write_bytes(b"")
    page = write_audit(folder, FileTree.open(source))
    text = page.read_text()
    assert "<script" not in text
    assert "&lt;script&gt;" in text
    assert not re.search(r"[\x00-\x08\x0b-\x1f\u202e]", text)
    assert "2,986 rarer reasons of" in text
    assert len(list((folder / "audit").glob("rejected-*.jpg"))) == 15
    assert page.stat().st_size < 1_000_000
    assert text.count("<tr>") < 300


@pytest.mark.slow
def test_a_large_audit_stays_small(tmp_path: Path, pictures: FileTree) -> None:
    noisy = np.random.default_rng(0).integers(0, 256, (48, 48, 3), np.uint8)
    data = {"image": {"bytes": encode_chip(noisy), "path": ""}}
    left_out = [(f"r{i % 8}.png", f"reason {i % 12}", f"{i}") for i in range(3000)]
    folders = [
        store_of(tmp_path / f"store{number}", [person(30, 1, **data)] * 300, left_out, dataset=f"set {number}")
        for number in range(4)
    ]
    summaries = [Summary.of(Store.open(folder)) for folder in folders]
    page = write_page(summaries, tmp_path / "out", dict.fromkeys(range(4), pictures))
    assert page.stat().st_size < 5_000_000
    assert "set 3, reason 11: 250" in page.read_text()


def test_ages_of_groups_are_spread_over_their_years() -> None:
    columns = {"group": [None] * 5, "subject": [None] * 5, "split": [None] * 5, "key": [""] * 5, "gender": [None] * 5}
    labels = Labels.from_columns(age_low=[30, 30.7, 20, 70, None], age_high=[30, 30.7, 29, 100, None], **columns)
    exact, spread = faces_per_year(labels)
    assert exact[30] == 2
    assert exact.sum() == 2
    np.testing.assert_allclose(spread[20:30], 0.1)
    np.testing.assert_allclose(spread[70:], 1 / 31)
    assert spread.sum() == pytest.approx(2)


def test_figures_of_a_store(tmp_path: Path) -> None:
    rows = [person(5, 1, subject="a"), person(20, 0, high=29, subject="a"), person(None, None, box_from="known")]
    folder = store_of(tmp_path / "store", rows, [("x", "no face", ""), ("y", "no face", ""), ("z", "duplicate", "x")])
    found = Summary.of(Store.open(folder)).figures()
    assert (found["pictures"], found["faces"], found["exact_ages"], found["age_groups"]) == (6, 3, 1, 1)
    assert found["mean_age"] == pytest.approx((5 + 24.5) / 2)
    assert found["genders"] == {"female": 1, "male": 1, "unknown": 1}
    assert found["gender_by_band"]["0-9"] == {"female": 0, "male": 1, "unknown": 0}
    assert found["gender_by_band"]["no age"] == {"female": 0, "male": 0, "unknown": 1}
    assert found["box_from"] == {"detected": 2, "known": 1}
    assert list(found["rejected"].items()) == [("no face", 2), ("duplicate", 1)]
    assert found["subjects"] == 1
    assert found["splits"] == {}


def test_a_review_is_told(tmp_path: Path) -> None:
    folder = store_of(tmp_path / "store", some_people(4))
    review = "time,key,face,action,age_low,age_high,gender\n,0.jpg,0,reject,,,\n,1.jpg,0,correct,9,9,\n"
    (folder / "review.csv").write_text(review)
    text = write_audit(folder).read_text()
    assert "made: 3 faces of 4 entries; a review rejected 1 and corrected 1." in text


def test_labels_without_pictures_are_shown_beside_stores(tmp_path: Path) -> None:
    table = {"key": ["a", "b"], "age_low": [20.0, None], "age_high": [29.0, None], "gender": [1, None]}
    table |= {name: [None, None] for name in ("group", "subject", "split")}
    folder = tmp_path / "labels"
    folder.mkdir()
    pq.write_table(pa.table(table), folder / "labels.parquet")
    write_atomically(folder / "audit.json", {"dataset": "wiki"})
    labels = Summary.of_labels(folder)
    assert (labels.name, len(labels), labels.genders) == ("wiki", 2, {"female": 0, "male": 1, "unknown": 1})
    store = Summary.of(Store.open(store_of(tmp_path / "store", some_people(5))))
    text = write_page([store, labels], tmp_path / "out", {}).read_text()
    assert "wiki: 2 faces." in text
    assert {path.name for path in (tmp_path / "out" / "audit").glob("*.jpg")} == {"made-accepted.jpg"}


def test_damaged_lists_are_named(tmp_path: Path) -> None:
    folder = store_of(tmp_path / "store", some_people(3))
    (folder / "audit.parquet").write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"audit.parquet is no table of source, reason, value"):
        write_audit(folder)
    store_of(folder, some_people(3))
    (folder / "audit.json").write_text("[")
    with pytest.raises(ValueError, match=r"audit.json is damaged"):
        write_audit(folder)
    with pytest.raises(ValueError, match="summaries must hold at least one"):
        write_page([], folder, {})


def test_a_sample_depends_on_names_alone() -> None:
    names = [f"{i}.jpg" for i in range(1000)]
    first = sample(names, 50)
    assert len(first) == 50
    assert sorted(names[row] for row in first) != [names[row] for row in first]  # random, not as they are named
    assert [names[row] for row in first] == [names[::-1][row] for row in sample(names[::-1], 50)]
    assert sorted(sample(names[:3], 50)) == [0, 1, 2]
    assert sample([], 5) == []


def test_without_the_dataset_what_was_left_out_is_still_named(tmp_path: Path) -> None:
    folder = store_of(tmp_path / "store", some_people(3), [("a.jpg", "duplicate", "b.jpg")])
    (sheet,) = rejected_sheets(Summary.of(Store.open(folder)), None, 24, 15)
    (cell,) = sheet.cells
    assert cell.pictures[0].missing == "the dataset's files are not available"
    assert cell.caption == "b.jpg"
    page = write_audit(folder).read_text()
    assert "<td class=text>a.jpg</td><td class=text>b.jpg</td>" in page
    assert not list((folder / "audit").glob("rejected-*.jpg"))


def test_the_dataset_is_found_among_those_given(tmp_path: Path) -> None:
    folders = []
    for name in ("one", "two", "three"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / f"{name}.jpg").write_bytes(name.encode())
        folders.append(folder)
    one, two, three = folders

    def made_of(*paths: Path) -> Summary:
        about = {"source": {"sha256": FileTree.open(*paths).signature()}}
        name = "-".join(path.name for path in paths)
        return Summary.of(Store.open(store_of(tmp_path / f"store-{name}", [], dataset=name, about=about)))

    found = match_sources([made_of(one), made_of(two)], [two])
    assert {index: files.names for index, files in found.items()} == {1: ("two.jpg",)}
    found = match_sources([made_of(one), made_of(two)], [two, one])
    assert {index: files.names for index, files in found.items()} == {0: ("one.jpg",), 1: ("two.jpg",)}
    found = match_sources([made_of(one, two)], [one, two])
    assert found[0].names == ("one.jpg", "two.jpg")
    with pytest.raises(ValueError, match=r"three isn't what one was made of, or has changed since"):
        match_sources([made_of(one)], [three])
    with pytest.raises(ValueError, match=r"three isn't what one was made of, or has changed since"):
        match_sources([made_of(one)], [one, three])
    with pytest.raises(FileNotFoundError, match="absent does not exist"):
        match_sources([made_of(one)], [tmp_path / "absent"])


def test_texts_are_made_fit_for_pictures_and_pages() -> None:
    assert drawable("plain $x$ é") == "plain $x$ é"
    assert drawable("日本\n") == "□□□"
    assert drawable("a" * 100, 9) == "aaaa…aaaa"
    assert escape("<a href='x'>") == "&lt;a href=&#x27;x&#x27;&gt;"
    assert escape("a\x00b\u202e") == "a�b�"


BROWSER = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)
PROBE = """<!doctype html><body><iframe id=f src=audit.html style="width:{width}px;height:800px;border:0"></iframe>
<script>
f.onload = () => {{
  const page = f.contentDocument.documentElement;
  const images = [...f.contentDocument.images];
  const wide = [...f.contentDocument.querySelectorAll("body *")].filter(
    e => !e.closest(".scroll") && e.getBoundingClientRect().right > {width} + 0.5).map(e => e.outerHTML.slice(0, 80));
  const broken = images.filter(i => !i.complete || !i.naturalWidth).length;
  document.title = "done";
  document.body.textContent =
    `width=${{page.scrollWidth}} images=${{images.length}} broken=${{broken}} wide=${{wide}};`;
}};
</script>"""


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None, reason="Chromium is not on this machine")
def test_a_table_that_goes_on_to_the_right_has_a_shadow_there(tmp_path: Path) -> None:
    shown = {}
    for columns in (2, 40):
        rows = [["row", *range(1000, 999 + columns)] for _ in range(30)]
        page = document("Wide", "", [("wide", "Wide", table(["", *map(str, range(columns - 1))], rows))])
        (tmp_path / "page.html").write_bytes(page)
        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--window-size=500,900"]
        picture = tmp_path / f"{columns}.png"
        subprocess.run(
            [
                str(BROWSER),
                *flags,
                f"--user-data-dir={tmp_path / 'profile'}",
                f"--screenshot={picture}",
                (tmp_path / "page.html").as_uri(),
            ],
            capture_output=True,
            timeout=120,
            check=True,
        )
        grey = cv2.imread(str(picture), cv2.IMREAD_GRAYSCALE)[300:700, 440:484]
        shown[columns] = np.median(grey, axis=0)  # the paper between letters and lines
    assert shown[2].min() > 250
    assert shown[40][-3:].max() < 180
    assert shown[40][:10].min() > 250


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None, reason="Chromium is not on this machine")
@pytest.mark.parametrize("width", [390, 1280])
def test_the_page_fits_a_phone_and_asks_the_network_for_nothing(width: int, tmp_path: Path, pictures: FileTree) -> None:
    left_out = [(f"r{i % 8}.png", "no face", "long" * 40) for i in range(20)]
    left_out += [
        ("r1.png", "conflicting labels", "r2.png"),
        ("W" * 300, "a reason without spaces " + "x" * 200, HOSTILE),
    ]
    folders = [
        store_of(tmp_path / f"store{i}", some_people(), left_out, dataset=f"a_rather_long_name_{i}") for i in range(3)
    ]
    summaries = [Summary.of(Store.open(folder)) for folder in folders]
    out = tmp_path / "out"
    write_page(summaries, out, dict.fromkeys(range(3), pictures))
    (out / "probe.html").write_text(PROBE.format(width=width))
    asked: list[str] = []

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            asked.append(self.path)

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(out))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=20000", "--dump-dom"]
        url = f"http://127.0.0.1:{server.server_port}/probe.html"
        result = subprocess.run(
            [
                str(BROWSER),
                *flags,
                f"--user-data-dir={tmp_path / 'profile'}",
                f"--window-size={max(width, 500)},900",
                url,
            ],
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        )
        server.shutdown()
    found = re.search(r"width=(\d+) images=(\d+) broken=(\d+) wide=(.*?);", result.stdout, re.DOTALL)
    assert found, result.stdout[:500]
    assert found[4] == ""
    assert int(found[1]) <= width
    assert int(found[2]) > 200
    assert int(found[3]) == 0
    assert set(asked) - {"/favicon.ico"} == {"/probe.html", "/audit.html"}
