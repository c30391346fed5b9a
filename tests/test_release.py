"""What would publish: the workflows, and what cibuildwheel builds."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
CORE = ROOT / "packages/agegender-core"
each_workflow = pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)


def workflow(name: str) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((ROOT / ".github/workflows" / name).read_text())
    return content


def test_workflows_fit_the_schema_of_github() -> None:
    assert [path.name for path in WORKFLOWS] == ["ci.yml", "wheels.yml"]
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows"]
    done = subprocess.run([*command, *WORKFLOWS], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_the_schema_would_see_a_mistake(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.yml"
    wrong.write_text(WORKFLOWS[0].read_text().replace("runs-on", "run-on"))
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows", wrong]
    assert subprocess.run(command, capture_output=True).returncode == 1


@each_workflow
def test_workflows_may_do_what_they_must_and_no_more(path: Path) -> None:
    content = workflow(path.name)
    assert content["permissions"] == {"contents": "read"}
    for name, job in content["jobs"].items():
        assert job.get("permissions") == ({"id-token": "write"} if name == "publish" else None)
        assert job["timeout-minutes"] <= 90
        needed = job.get("needs", [])
        assert set([needed] if isinstance(needed, str) else needed) <= set(content["jobs"])
        for step in job["steps"]:
            if used := step.get("uses"):
                assert re.fullmatch(r"[\w-]+/[\w-]+@(v\d+|release/v\d+|[0-9a-f]{40})", used), used
            if used and used.startswith("actions/checkout@"):
                assert step["with"]["persist-credentials"] is False
            # What GitHub puts into a script before a shell reads it could be a command of somebody else's.
            assert "${{" not in step.get("run", "")
    assert "secrets." not in path.read_text()


def test_ci_runs_the_script_that_everybody_runs() -> None:
    (job,) = workflow("ci.yml")["jobs"].values()
    assert job["steps"][-1]["run"] == "bash .ci/run"


def test_a_tag_alone_publishes_and_everything_is_built_before() -> None:
    content = workflow("wheels.yml")
    jobs = content["jobs"]
    assert jobs["publish"]["needs"] == ["sdists", "wheels"]
    assert "startsWith(github.ref, 'refs/tags/v')" in jobs["publish"]["if"]
    assert jobs["publish"]["environment"] == "pypi"
    build = " ".join(step.get("run", "") for step in jobs["sdists"]["steps"])
    for folder in (ROOT / "packages").iterdir():
        assert re.search(rf"(?<![\w-]){folder.name}(?![\w-])", build)
    version = tomllib.loads((CORE / "pyproject.toml").read_text())["project"]["version"]
    (check,) = (step for step in jobs["sdists"]["steps"] if "tag" in step.get("name", ""))
    for tag, code in ((f"v{version}", 0), ("v99.0", 1), (f"v{version}.post1", 1)):
        environment = {**os.environ, "GITHUB_REF_NAME": tag}
        assert subprocess.run(["bash", "-c", check["run"]], cwd=ROOT, env=environment).returncode == code


@pytest.mark.parametrize(
    ("platform", "architecture", "expected"),
    [
        ("linux", "x86_64", "cp{}-manylinux_x86_64"),
        ("linux", "aarch64", "cp{}-manylinux_aarch64"),
        ("macos", "arm64", "cp{}-macosx_arm64"),
        ("macos", "x86_64", "cp{}-macosx_x86_64"),
        ("windows", "AMD64", "cp{}-win_amd64"),
    ],
)
def test_wheels_are_built_for_every_python_and_system(
    platform: str, architecture: str, expected: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = pytest.importorskip("cibuildwheel.__main__")
    monkeypatch.setenv("CIBW_ARCHS", architecture)
    monkeypatch.setattr(sys, "argv", ["cibuildwheel", "--print-build-identifiers", "--platform", platform, str(CORE)])
    with pytest.raises(SystemExit) as ended:
        command.main()
    assert ended.value.code == 0
    classifiers = tomllib.loads((CORE / "pyproject.toml").read_text())["project"]["classifiers"]
    versions = [match[1] for name in classifiers if (match := re.fullmatch(r".*:: 3\.(\d+)", name))]
    assert versions == ["11", "12", "13", "14"]
    if expected.endswith("macosx_x86_64"):
        versions.remove("14")
    assert capsys.readouterr().out.split() == [expected.format(f"3{version}") for version in versions]


def test_the_test_of_each_wheel_passes_here() -> None:
    command = tomllib.loads((CORE / "pyproject.toml").read_text())["tool"]["cibuildwheel"]["test-command"]
    program = re.fullmatch(r'python -c "(.*)"', command)
    assert program is not None
    assert '"' not in program[1]
    done = subprocess.run([sys.executable, "-c", program[1]], capture_output=True, text=True, cwd="/")
    assert done.returncode == 0, done.stderr
