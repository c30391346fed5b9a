"""What holds for the repository as a whole."""

from __future__ import annotations

import http.server
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import threading
import tomllib
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from agegender_core.predict import MODELS

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = sorted((ROOT / "packages").iterdir())
# What is in the archives is the same in half the time.
UNOPTIMIZED = ("CMAKE_CXX_FLAGS_RELEASE=-O0", "CMAKE_INTERPROCEDURAL_OPTIMIZATION=OFF")


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


def test_every_package_says_whose_it_is_and_under_which_licence() -> None:
    for folder in PACKAGES:
        metadata = project(folder)
        assert metadata["authors"]
        assert "Typing :: Typed" in metadata["classifiers"]
        assert (folder / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()
        assert all((folder / name).is_file() for name in metadata["license-files"])
    notice = (ROOT / "packages/agegender-core/NOTICE").read_text()
    assert "Boost Software License - Version 1.0" in notice
    yunet = (ROOT / "packages/agegender-core/src/agegender_core/models/detectors/LICENSE-yunet.txt").read_text()
    assert yunet.strip() in notice


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """The names of the files in each package's sdist and wheel, by the archive's name.

    The wheels are built from the sdists, unpacked in a folder of their own: what people without a checkout have. That
    of the core takes minutes: it may lie in the folder $AGEGENDER_DIST, beside the sdist that it was built from, which
    must be this one.
    """
    out, unpacked = tmp_path_factory.mktemp("dist"), tmp_path_factory.mktemp("unpacked")
    before = _sources()
    for folder in PACKAGES:
        command = ["uv", "build", "--quiet", "--sdist", "--out-dir", str(out), str(folder)]
        subprocess.run(command, check=True, cwd=out, timeout=1200)
        (archive,) = out.glob(f"{folder.name.replace('-', '_')}-[0-9]*.tar.gz")
        if folder.name == "agegender-core" and (built_before := os.environ.get("AGEGENDER_DIST")):
            (same,), (wheel,) = Path(built_before).glob("*.tar.gz"), Path(built_before).glob("*.whl")
            assert _contents(same) == _contents(archive)
            shutil.copy(wheel, out)
            continue
        with tarfile.open(archive) as sdist:
            sdist.extractall(unpacked, filter="data")
        alone = unpacked / archive.name.removesuffix(".tar.gz")
        command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(out), str(alone)]
        if folder.name == "agegender-core":
            command += [f"--config-settings=cmake.define.{setting}" for setting in UNOPTIMIZED]
        subprocess.run(command, check=True, cwd=alone, timeout=1200)
    assert _sources() == before, "a build changes the source tree"
    names: dict[str, list[str]] = {}
    for path in out.iterdir():
        if path.suffix == ".whl":
            with zipfile.ZipFile(path) as wheel:
                names[path.name] = wheel.namelist()
        elif path.name.endswith(".tar.gz"):
            with tarfile.open(path) as sdist:
                names[path.name] = [name.split("/", 1)[-1] for name in sdist.getnames()]
    return names


def _contents(sdist: Path) -> dict[str, bytes]:
    with tarfile.open(sdist) as archive:
        return {member.name: archive.extractfile(member).read() for member in archive if member.isfile()}


def _sources() -> set[Path]:
    skipped = {".venv", ".git", "__pycache__", "build"}
    found = {path for top in ("cpp", "packages") for path in (ROOT / top).rglob("*")}
    kept = {path for path in found if not skipped & set(path.relative_to(ROOT).parts)}
    return kept | {path for path in found if path.name == "build"}


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("uv") is None, reason="uv builds the packages")
def test_sdists_and_wheels_hold_licence_and_notices_and_nothing_too_much(built: dict[str, list[str]]) -> None:
    assert len(built) == 2 * len(PACKAGES)
    for folder in PACKAGES:
        (wheel,) = (
            names
            for name, names in built.items()
            if name.startswith(f"{folder.name.replace('-', '_')}-") and "whl" in name
        )
        (sdist,) = (
            names
            for name, names in built.items()
            if name.startswith(f"{folder.name.replace('-', '_')}-") and "tar" in name
        )
        for name in project(folder)["license-files"]:
            assert name in sdist
            assert [path for path in wheel if path.endswith(f".dist-info/licenses/{name}")], (folder.name, name)
        assert not [name for name in [*wheel, *sdist] if "__pycache__" in name or name.endswith(".pyc")]
    (core,) = (names for name, names in built.items() if name.startswith("agegender_core") and "tar" in name)
    assert "cpp/CMakeLists.txt" in core
    assert "cpp/include/agegender/align.hpp" in core
    assert not [name for name in core if name.startswith(("cpp/tests", "build"))]


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("cmake") is None, reason="cmake configures the build")
def test_a_build_that_cannot_fetch_dlib_says_how_to_give_it(tmp_path: Path) -> None:
    command = ["cmake", "-S", str(ROOT), "-B", str(tmp_path), f"-DPYTHON_EXECUTABLE={sys.executable}"]
    environment = {**os.environ, "PIP_NO_INDEX": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    said = " ".join(done.stderr.split())
    assert "The source of dlib 20.0.1 could not be fetched with" in said
    assert "pip install: -C cmake.define.AGEGENDER_DLIB_SOURCE_DIR=<folder>" in said


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("cmake") is None, reason="cmake configures the build")
def test_a_build_without_a_compiler_says_how_to_get_one(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    for tool in ("cmake", "ninja"):
        (tmp_path / "bin" / tool).symlink_to(str(shutil.which(tool)))
    command = ["cmake", "-G", "Ninja", "-S", str(ROOT / "packages/agegender-core"), "-B", str(tmp_path / "build")]
    environment = {"PATH": str(tmp_path / "bin"), "HOME": str(tmp_path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "no C++ compiler was found" in done.stderr
    assert "apt-get install g++" in done.stderr


def test_agegender_train_is_packages_only() -> None:
    folder = ROOT / "packages/agegender-train/src/agegender_train"
    assert sorted(path.name for path in folder.glob("*.py")) == ["__init__.py"]


def test_imports_keep_the_contracts() -> None:
    """No circle in the packages, in functions or not, and no import against the order of the layers."""
    linter = pytest.importorskip("importlinter.cli")
    assert linter.lint_imports(config_filename=str(ROOT / "pyproject.toml"), no_cache=True) == 0


def test_no_index_address_or_machine_path_is_committed() -> None:
    suspicious = re.compile(r"(index[-]url|extra[-]index|find[-]links|/simple[/]|file:/{3}|/root[/]|/work[/])")
    texts = []
    for folder, folders, names in os.walk(ROOT):
        folders[:] = [name for name in folders if name not in (".venv", "build", ".git")]
        texts += [Path(folder, name) for name in names]
    kinds = {".py", ".toml", ".md", ".txt", ".cmake", ".json", ".cpp", ".hpp"}
    texts = [path for path in texts if path.suffix in kinds]
    assert len(texts) > 100
    found = [f"{p}: {m[0]}" for p in texts if p != Path(__file__) and (m := suspicious.search(p.read_text("utf-8")))]
    assert found == []


def dockerfile() -> dict[str, list[str]]:
    """The lines of each stage by its name."""
    stages: dict[str, list[str]] = {}
    for line in (ROOT / "Dockerfile").read_text().replace("\\\n", " ").splitlines():
        if line.startswith("FROM "):
            stages[line.rpartition(" AS ")[2]] = [line]
        elif line and not line.startswith("#"):
            stages[next(reversed(stages))].append(line)
    return stages


def test_the_dockerfile_copies_and_installs_what_there_is() -> None:
    """CI has no engine: it runs the installation from what is copied; here is what it can't."""
    stages = dockerfile()
    lines = [line for stage in stages.values() for line in stage]
    copied = [line.split()[1] for line in lines if line.startswith("COPY") and "--from" not in line]
    assert all((ROOT / path).exists() for path in copied)
    allowed = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    assert sorted(allowed) == sorted(copied)
    assert list(stages) == ["sources", "serve-build", "serve", "train"]
    everything = {folder.name for folder in PACKAGES}
    for stage, packages in (("train", everything), ("serve-build", everything - {"agegender-train"})):
        line = next(line for line in stages[stage] if "pip install" in line)
        installed = re.findall(r"packages/([\w-]+)(?:\[(\w+)\])?", line)
        assert {name for name, _ in installed} == packages
        for name, extra in installed:
            assert not extra or extra in project(ROOT / "packages" / name)["optional-dependencies"]
    scripts = project(ROOT / "packages/agegender-cli")["scripts"]
    entries = [line for line in lines if line.startswith("ENTRYPOINT")]
    assert entries == 2 * [f'ENTRYPOINT ["{next(iter(scripts))}"]']


def test_the_container_that_serves_is_asked_for_its_health_and_reached_from_this_machine_alone() -> None:
    from typer.main import get_command

    from agegender_cli.main import app

    yaml = pytest.importorskip("yaml")
    stage = dockerfile()["serve"]
    started = json.loads(next(line for line in stage if line.startswith("CMD"))[4:])
    (service,) = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"].values()
    assert service["command"] == started
    assert service["build"] == {"context": ".", "target": "serve"}
    assert re.fullmatch(r"\$\{AGEGENDER_TOKEN:\?.+\}", service["environment"]["AGEGENDER_TOKEN"])
    command = get_command(app).commands[started[0]]  # type: ignore[attr-defined]
    parameters = command.make_context(started[0], started[1:]).params
    port = parameters["port"]
    assert parameters["host"] == "0.0.0.0"
    assert service["ports"] == [f"127.0.0.1:{port}:{port}"]
    assert f"EXPOSE {port}" in stage
    asked = json.loads(next(line for line in stage if line.startswith("HEALTHCHECK")).partition(" CMD ")[2])
    for status, code in ((200, 0), (503, 1)):
        with health(status) as free:
            words = [sys.executable, *asked[1:-1], asked[-1].replace(f":{port}/", f":{free}/")]
            assert asked[-1] != words[-1]
            assert subprocess.run(words, capture_output=True, check=False).returncode == code


@contextmanager
def health(status: int) -> Iterator[int]:
    """Something that answers /healthz with a status: its port."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/healthz" else 404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        yield server.server_port


@pytest.mark.parametrize("model", MODELS.values())
def test_the_cards_of_the_built_in_models_are_made_of_the_report(model: str) -> None:
    from agegender_train.report import make_card, read_report

    docs = ROOT / "docs"
    template = (docs / f"cards/{model}.md").read_text()
    assert (docs / f"model-card-{model}.md").read_text() == make_card(
        read_report(docs / "examples/report"), model, template
    )


def test_the_root_says_what_to_install_instead() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]
    code = f"import {settings['build-backend']} as backend; backend.get_requires_for_build_wheel({{}})"
    path = {"PYTHONPATH": str(ROOT / settings["backend-path"][0])}
    result = subprocess.run([sys.executable, "-c", code], env=os.environ | path, capture_output=True, text=True)
    assert result.returncode == 1
    install = re.compile(r"pip install packages/\S+(?: packages/\S+)*")
    assert install.findall(result.stderr) == install.findall((ROOT / "README.md").read_text())
    assert "Traceback" not in result.stderr
