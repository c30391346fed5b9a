from __future__ import annotations

import os
import string
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agegender_train.store import Decision, in_force, read_decisions
from agegender_train.store.decisions import (
    BOX_HEADER,
    HEADER,
    DecisionLog,
    format_decision,
    parse_decision,
    parse_decisions,
)

keys = st.text(st.characters(exclude_categories=["Cs"]), min_size=1) | st.text(",\"'\\\n\r\t ab", min_size=1)
ages = st.floats(0, 100) | st.integers(0, 100)
sides = st.integers(1, 999)
times = st.sampled_from(["", "2026-01-31T23:59:59Z"])


@st.composite
def decisions(draw: st.DrawFn) -> Decision:
    key, face, time = draw(keys), draw(st.integers(0, 2**15 - 1)), draw(times)
    action = draw(st.sampled_from(["accept", "reject", "correct", "undo"]))
    if action != "correct":
        return Decision(key, face, action, time=time)
    low, high = draw(st.just((None, None)) | st.tuples(ages, ages).map(lambda pair: tuple(sorted(pair))))
    left, top = draw(st.integers(-99, 9999)), draw(st.integers(-99, 9999))
    box = draw(st.sampled_from([None, (left, top, left + draw(sides), top + draw(sides))]))
    gender = draw(st.sampled_from([0, 1] if low is None and box is None else [None, 0, 1]))
    return Decision(key, face, action, low, high, gender, time, box)


@given(st.lists(decisions(), max_size=5))
def test_what_is_written_is_read_one_line_each(written: list[Decision]) -> None:
    lines = [format_decision(decision) for decision in written]
    assert all(line.count("\n") == 1 and line.endswith("\n") for line in lines)
    assert [parse_decision(line) for line in lines] == written
    content = "".join([HEADER + "\n", *lines]).encode()
    assert parse_decisions(content, "review.csv") == written
    assert parse_decisions(content.replace(b"\n", b"\r\n"), "review.csv") == written


@given(st.lists(decisions(), min_size=1, max_size=4), st.data())
def test_a_line_that_is_cut_off_anywhere_does_not_count(written: list[Decision], data: st.DataObject) -> None:
    whole = "".join([HEADER + "\n", *map(format_decision, written[:-1])]).encode()
    last = format_decision(written[-1]).encode()
    cut = data.draw(st.integers(0, len(last) - 1))
    assert parse_decisions(whole + last[:cut], "review.csv") == written[:-1]


@given(st.text() | st.lists(st.text(string.digits + ',"\\n.-e', max_size=6), min_size=6, max_size=9).map(",".join))
def test_no_text_does_worse_than_to_be_refused(line: str) -> None:
    try:
        decision = parse_decision(line)
    except ValueError:
        return
    assert parse_decision(format_decision(decision)) == decision


def test_the_file_looks_as_documented() -> None:
    time = "2026-01-31T23:59:59Z"
    written = [
        Decision("a,b.jpg", 0, "reject", time=time),
        Decision("c.jpg", 2, "correct", 20.0, 29.0, 0, time),
        Decision("d\n.jpg", 0, "correct", age_low=3.5, age_high=3.5),
        Decision("e.jpg", 0, "correct", box=(-4, 80, 116, 200)),
    ]
    assert [format_decision(decision) for decision in written] == [
        '2026-01-31T23:59:59Z,"a,b.jpg",0,reject,,,\n',
        "2026-01-31T23:59:59Z,c.jpg,2,correct,20,29,0\n",
        ",d\\n.jpg,0,correct,3.5,3.5,\n",
        ",e.jpg,0,correct,,,,-4 80 116 200\n",
    ]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"key": ""}, "key must be"),
        ({"key": "\udc80.jpg"}, "in Unicode"),
        ({"face": -1}, "face must be in"),
        ({"face": 2**15}, "face must be in"),
        ({"action": "maybe"}, "action must be one of accept, reject, correct, undo, got 'maybe'"),
        ({"action": "correct"}, "goes with"),
        ({"gender": 1}, "goes with"),
        ({"action": "undo", "age_low": 1, "age_high": 2}, "goes with"),
        ({"action": "correct", "age_low": 3}, "go together"),
        ({"action": "correct", "age_low": 30, "age_high": 20}, "ages must rise"),
        ({"action": "correct", "age_low": 90, "age_high": 101}, r"within 0\.\.100"),
        ({"action": "correct", "age_low": float("nan"), "age_high": 4}, "ages must rise"),
        ({"action": "correct", "gender": 2}, "gender must be"),
        ({"box": (0, 0, 9, 9)}, "goes with"),
        ({"action": "correct", "box": (9, 0, 9, 9)}, "box must be left, top, right and bottom"),
        ({"time": "yesterday"}, "time must look like"),
    ],
)
def test_values_are_checked(values: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(Decision("a.jpg", 0, "accept"), **values)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("a.jpg,reject", "7 values"),
        (',"a.jpg,0,reject,,,', "one line of values"),
        (",a.jpg,zero,reject,,,", "face must be a whole number"),
        (",a\\x.jpg,0,reject,,,", "in a key"),
        (",a.jpg,0,correct,-1,4,", "age_low must be a number"),
        (",a.jpg,0,correct,nan,nan,", "age_low must be a number"),
        (",a.jpg,0,correct,,,m", "gender must be 1 for male"),
        (",a.jpg,0,correct,,,,1 2 3", "box must be four whole numbers"),
        (",a.jpg,0,correct,,,,1 2 3 4,5", "7 values"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, line: str, message: str) -> None:
    file = tmp_path / "review.csv"
    file.write_text(f"{HEADER}\n,fine.jpg,0,accept,,,\n{line}\n", encoding="utf-8")
    with pytest.raises(ValueError, match=rf"review\.csv, line 3: .*{message}"):
        read_decisions(file)


def test_the_first_line_must_be_the_names(tmp_path: Path) -> None:
    file = tmp_path / "review.csv"
    assert read_decisions(file) == []
    for content in (b"", HEADER[:10].encode(), HEADER.encode(), f"\ufeff{HEADER}\r\n\r\n".encode()):
        file.write_bytes(content)
        assert read_decisions(file) == []
    for content in (b",a.jpg,0,reject,,,\n", b"\xff\xfe\n"):
        file.write_bytes(content)
        with pytest.raises(ValueError, match=r"review\.csv, line 1"):
            read_decisions(file)


def test_the_last_decision_that_was_not_taken_back_counts() -> None:
    def of(*actions: str, key: str = "a.jpg", face: int = 0) -> list[Decision]:
        return [Decision(key, face, action, gender=1 if action == "correct" else None) for action in actions]

    def action(*actions: str) -> str | None:
        found = in_force(of(*actions))
        return found["a.jpg", 0].action if found else None

    assert action("accept", "reject") == "reject"
    assert action("accept", "correct", "undo") == "accept"
    assert action("accept", "correct", "undo", "undo", "undo") is None
    assert action("undo", "reject", "undo", "accept") == "accept"
    both = in_force(of("reject") + of("accept", face=1) + of("undo", key="b.jpg"))
    assert {face: decision.action for face, decision in both.items()} == {
        ("a.jpg", 0): "reject",
        ("a.jpg", 1): "accept",
    }


def test_a_log_goes_on_where_a_crash_cut_it_off(tmp_path: Path) -> None:
    file = tmp_path / "review.csv"
    first, second, third = (Decision(f"{i}.jpg", 0, "reject") for i in range(3))
    log = DecisionLog(file)
    log.append([first, second])
    assert (log.repaired, log.decisions) == (False, [first, second])
    whole = file.read_bytes()
    for cut in (1, len(format_decision(second)) - 1):
        file.write_bytes(whole[:-cut])
        mended = DecisionLog(file)
        assert (mended.repaired, mended.decisions) == (True, [first])
        mended.append([third])
        assert read_decisions(file) == [first, third]
    file.write_bytes(HEADER.encode()[:20])
    DecisionLog(file).append([first])
    assert file.read_text() == HEADER + "\n" + format_decision(first)


def test_the_first_line_names_the_box_once_there_is_one(tmp_path: Path) -> None:
    file = tmp_path / "review.csv"
    plain, boxed = Decision("a.jpg", 0, "reject"), Decision("b.jpg", 0, "correct", box=(1, 2, 3, 4))
    DecisionLog(file).append([plain])
    assert file.read_text() == HEADER + "\n,a.jpg,0,reject,,,\n"
    log = DecisionLog(file)
    log.append([boxed])
    log.append([plain])
    DecisionLog(file).append([plain])
    lines = [BOX_HEADER, ",a.jpg,0,reject,,,", ",b.jpg,0,correct,,,,1 2 3 4", *2 * [",a.jpg,0,reject,,,"]]
    assert file.read_text() == "\n".join(lines) + "\n"
    assert read_decisions(file) == [plain, boxed, plain, plain]
    file.unlink()
    DecisionLog(file).append([boxed])
    assert file.read_text() == f"{BOX_HEADER}\n,b.jpg,0,correct,,,,1 2 3 4\n"


def test_a_full_disk_leaves_no_half_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "review.csv"
    log = DecisionLog(file)
    log.append([Decision("0.jpg", 0, "accept")])
    before = file.read_bytes()
    calls = []

    def write(descriptor: int, data: bytes) -> int:
        calls.append(len(data))
        if len(calls) > 1:
            raise OSError(28, "No space left on device")
        return real(descriptor, data[:9])

    real = os.write
    with monkeypatch.context() as patch:
        patch.setattr("agegender_train.store.decisions.os.write", write)
        with pytest.raises(OSError, match=r"No space left on device.*review\.csv"):
            log.append([Decision("1.jpg", 0, "accept")])
    assert file.read_bytes() == before
    assert len(log.decisions) == 1
    log.append([Decision("2.jpg", 0, "accept")])
    assert [decision.key for decision in read_decisions(file)] == ["0.jpg", "2.jpg"]
