"""What holds for the repository as a whole."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = sorted((ROOT / "packages").iterdir())


def project(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    return content


def test_one_version_for_all() -> None:
    versions = {folder.name: project(folder)["version"] for folder in [ROOT, *PACKAGES]}
    assert len(set(versions.values())) == 1, versions
    version = versions["agegender-core"]
    for folder in PACKAGES:
        metadata = project(folder)
        for needs in [metadata["dependencies"], *metadata.get("optional-dependencies", {}).values()]:
            for need in needs:
                if need.startswith("agegender-"):
                    assert need.split("==")[1] == version
    assert f"## {version}" in (ROOT / "CHANGELOG.md").read_text()


def test_agegender_train_is_packages_only() -> None:
    folder = ROOT / "packages/agegender-train/src/agegender_train"
    assert sorted(path.name for path in folder.glob("*.py")) == ["__init__.py"]


def test_imports_keep_the_contracts() -> None:
    """No circle in the three packages, in functions or not, and no import against the order of the layers."""
    linter = pytest.importorskip("importlinter.cli")
    assert linter.lint_imports(config_filename=str(ROOT / "pyproject.toml"), no_cache=True) == 0


def test_no_index_address_or_machine_path_is_committed() -> None:
    suspicious = re.compile(r"(index[-]url|extra[-]index|find[-]links|/simple[/]|file:/{3}|/root[/]|/work[/])")
    texts = [
        p for p in ROOT.rglob("*") if p.suffix in {".py", ".toml", ".md", ".txt", ".cmake", ".json", ".cpp", ".hpp"}
    ]
    texts = [p for p in texts if not {".venv", "build", ".git"} & set(p.relative_to(ROOT).parts)]
    assert len(texts) > 100
    found = [f"{p}: {m[0]}" for p in texts if p != Path(__file__) and (m := suspicious.search(p.read_text("utf-8")))]
    assert found == []


def test_the_dockerfile_copies_and_installs_what_there_is() -> None:
    """CI has no engine: it runs the installation from what is copied; here is what it can't."""
    lines = (ROOT / "Dockerfile").read_text().replace("\\\n", " ").splitlines()
    copied = [line.split()[1] for line in lines if line.startswith("COPY")]
    assert all((ROOT / path).exists() for path in copied)
    allowed = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    assert sorted(allowed) == sorted(copied)
    installed = re.findall(r"packages/([\w-]+)(?:\[(\w+)\])?", next(line for line in lines if "pip install" in line))
    assert sorted(name for name, _ in installed) == [folder.name for folder in PACKAGES]
    for name, extra in installed:
        assert not extra or extra in project(ROOT / "packages" / name)["optional-dependencies"]
    scripts = project(ROOT / "packages/agegender-cli")["scripts"]
    assert [line for line in lines if line.startswith("ENTRYPOINT")] == [f'ENTRYPOINT ["{next(iter(scripts))}"]']


@pytest.mark.parametrize("model", ["mobilenetv2", "ssrnet"])
def test_the_cards_of_the_built_in_models_are_made_of_the_report(model: str) -> None:
    from agegender_train.report import make_card, read_report

    docs = ROOT / "docs"
    template = (docs / f"cards/{model}.md").read_text()
    assert (docs / f"model-card-{model}.md").read_text() == make_card(
        read_report(docs / "examples/report"), model, template
    )
