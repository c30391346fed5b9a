from __future__ import annotations

import sys
from pathlib import Path

import pytest

from agegender_train.registry import load_part, part_names


def test_a_file_is_a_part_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "made_parts"
    folder.mkdir()
    for name in ("__init__", "second", "first", "_shared"):
        (folder / f"{name}.py").write_text(f"NAME = {name!r}\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert part_names([str(folder)]) == ["first", "second"]
    assert "made_parts.first" not in sys.modules
    assert load_part("made_parts", [str(folder)], "first", "part").NAME == "first"
    for wrong in ("third", "_shared", "../first"):
        with pytest.raises(ValueError, match=f"part must be one of first, second, got '{wrong}'"):
            load_part("made_parts", [str(folder)], wrong, "part")
    for name in ("made_parts", "made_parts.first"):
        monkeypatch.delitem(sys.modules, name)
