"""The notebooks of the documentation run from top to bottom, and are committed without what they printed."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "docs/notebooks").glob("*.ipynb"))


def read(path: Path) -> Any:
    return nbformat.read(path, as_version=4)


def outputs(notebook: Any, kind: str) -> list[Any]:
    """Of one type of data, such as "text/html", from all cells."""
    found = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return [output["data"][kind] for output in found if kind in output.get("data", {})]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("notebooks")
    for name in ("samples", "scripts"):
        (folder / name).symlink_to(ROOT / name)

    def execute(name: str) -> Any:
        notebook = read(ROOT / f"docs/notebooks/{name}.ipynb")
        # The command `agegender` of this environment, also where nobody has activated it.
        before = os.environ["PATH"]
        os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{before}"
        try:
            NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(folder)}}).execute()
        finally:
            os.environ["PATH"] = before
        return notebook, folder

    return execute


@pytest.mark.parametrize("path", NOTEBOOKS, ids=[path.stem for path in NOTEBOOKS])
def test_a_notebook_is_valid_and_without_outputs(path: Path) -> None:
    notebook = read(path)
    nbformat.validate(notebook)
    assert notebook.cells[0].source.startswith("# ")
    for cell in notebook.cells:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None
    assert f"notebooks/{path.name}" in (ROOT / "docs/notebooks.md").read_text()


def test_there_are_three() -> None:
    assert [path.stem for path in NOTEBOOKS] == ["people-of-a-video", "photo-to-table", "train-on-your-own"]


@pytest.mark.slow
def test_photo_to_table(run: Any) -> None:
    notebook, folder = run("photo-to-table")
    pages = outputs(notebook, "text/html")
    assert any("<img" in page for page in pages)
    rows = (folder / "faces.csv").read_text().splitlines()
    assert len(rows) > 25
    assert "age" in rows[0].split(",")


@pytest.mark.slow
def test_people_of_a_video(run: Any) -> None:
    notebook, _ = run("people-of-a-video")
    assert len(outputs(notebook, "image/png")) >= 1  # the plot
    people = outputs(notebook, "text/plain")[-2]
    assert "came" in people
    assert len(people.splitlines()) == 3  # two of a header, and one person


@pytest.mark.slow
def test_train_on_your_own(run: Any) -> None:
    notebook, folder = run("train-on-your-own")
    assert (folder / "run/model.onnx").is_file()
    assert (folder / "report/report.html").is_file()
    assert any("1 face" in text for text in outputs(notebook, "text/plain"))
