"""The documentation: its pages say what the program does, and the site is built of them without a network."""

from __future__ import annotations

import ast
import functools
import http.server
import importlib.util
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import agegender_core

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))]
CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))


def commands() -> dict[str, Any]:
    from typer.main import get_command

    from agegender_cli.main import app

    found: dict[str, Any] = get_command(app).commands  # type: ignore[attr-defined]
    return found


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


# Commands


def parse(line: str) -> None:
    """The program's own parser takes the line: the command, its options, their values and the number of arguments."""
    words = shlex.split(line, comments=True)
    for stop in ("|", ">", "2>"):
        words = words[: words.index(stop)] if stop in words else words
    if "agegender" not in words or words[:2] == ["docker", "build"]:
        return
    name, *arguments = words[words.index("agegender") + 1 :]
    assert name in commands(), line
    try:
        commands()[name].make_context(name, arguments)
    except Exception as error:
        raise AssertionError(f"{line}: {getattr(error, 'message', error)}") from error


@each_page
def test_commands_of_a_page_are_parsed_by_the_program(page: Path) -> None:
    for block in blocks(page.read_text(), "console"):
        for line in block.splitlines():
            if line.startswith("$ "):
                parse(line[2:])


@each_page
def test_commands_in_the_text_of_a_page_name_options_that_exist(page: Path) -> None:
    for words in re.findall(r"`agegender ([^`]+)`", page.read_text()):
        name, *rest = words.split()
        if name == "COMMAND":
            continue
        assert name in commands(), words
        options = {o for p in commands()[name].params for o in [*p.opts, *p.secondary_opts]}
        for word in rest:
            if word.startswith("-"):
                assert word.split("=")[0] in {*options, "--help"}, words


def test_a_wrong_command_would_be_seen() -> None:
    for line in ("agegender predit x.jpg", "agegender predict x.jpg --modell y", "agegender runs r --format xml"):
        with pytest.raises(AssertionError, match=r"agegender"):
            parse(line)


@pytest.mark.parametrize("name", sorted(commands()))
def test_examples_of_the_help_are_parsed_by_the_program(name: str) -> None:
    _, _, examples = (commands()[name].help or "").partition("Examples:\n")
    lines = [line.strip() for line in examples.splitlines() if line.strip()]
    assert lines
    for line in lines:
        parse(re.split(r"\s{3,}", line)[0])


@pytest.mark.slow
def test_json_of_the_page_is_what_the_commands_print(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from agegender_cli.main import app

    monkeypatch.chdir(ROOT)
    pages = (DOCS / name for name in ("predict-and-stream.md", "live-video.md"))
    picture, frame = (json.loads(block) for page in pages for block in blocks(page.read_text(), "json"))
    result = CliRunner().invoke(app, ["predict", "samples/astronaut.jpg", "--format", "json"])
    assert json.loads(result.stdout) == approximately(picture)
    tracks = tmp_path / "tracks.jsonl"
    CliRunner().invoke(app, ["stream", "samples/astronaut.mp4", "--no-show", "--tracks", str(tracks), "-q"])
    assert json.loads(tracks.read_text().splitlines()[30]) == approximately(frame)


def approximately(shown: Any) -> Any:
    """Numbers differ a little from CPU to CPU."""
    if isinstance(shown, dict):
        return {key: approximately(value) for key, value in shown.items()}
    if isinstance(shown, list):
        return [approximately(value) for value in shown]
    return pytest.approx(shown, abs=0.05) if isinstance(shown, float) else shown


# Python


@functools.cache
def hooks() -> ModuleType:
    return load(DOCS / "hooks.py")


def expanded(page: Path) -> str:
    """The page with the parts of other files that it includes."""
    return re.sub(r"^<!-- include: (.*) -->$", lambda m: hooks().include(m[1]), page.read_text(), flags=re.MULTILINE)


@each_page
def test_python_of_a_page_compiles_and_names_what_there_is(page: Path) -> None:
    for block in blocks(page.read_text(), "python"):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("agegender"):
                # Read from the sources: an import would bring Keras along.
                package, _, rest = node.module.partition(".")
                module = hooks().package(package)[rest] if rest else hooks().package(package)
                assert [alias.name for alias in node.names if alias.name not in module.members] == [], node.module
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "ag":
                assert node.attr in agegender_core.__all__


@pytest.mark.parametrize("name", ["index.md", "python.md", "api/core.md"])
def test_snippets_of_the_quickstart_run(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "samples").symlink_to(ROOT / "samples")
    monkeypatch.chdir(tmp_path)
    snippets = blocks(expanded(DOCS / name), "python")
    assert snippets
    for snippet in snippets:
        # A whole video is for another test; the first frames show that the names are right.
        short = snippet.replace('ag.open_source("samples/astronaut.mp4")', "first_frames()")
        exec(compile(short, name, "exec"), {"first_frames": first_frames})


def first_frames() -> Iterator[agegender_core.TimedFrame]:
    with agegender_core.open_source("samples/astronaut.mp4") as source:
        for frame, _ in zip(source, range(3), strict=False):
            yield frame


# Text


@each_page
def test_a_paragraph_is_one_line(page: Path) -> None:
    fenced, before = False, ""
    for number, line in enumerate(page.read_text().splitlines(), 1):
        fence = line.startswith("```")
        fenced ^= fence
        # A new block; the rest would go on with the paragraph of the line before.
        begins = re.match(r"\s*([-*]|\d+\.) |[#|<!{:]|$", line)
        goes_on = before and not re.match(r"[#|<!]", before) and not begins
        assert fenced or fence or not goes_on, f"{page}:{number} goes on with the line before"
        before = "" if fence or fenced else line


@each_page
def test_links_of_a_page_lead_to_files(page: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    # Cards are made beside `docs/cards`, one folder up.
    folder = DOCS if page.parent == DOCS / "cards" else page.parent
    missing = [
        target
        for target in re.findall(r"\]\(([^)\s]+)\)", text)
        if not target.startswith(("http", "#")) and not (folder / target.split("#")[0]).is_file()
    ]
    assert missing == []


def test_drawings_are_those_of_the_script() -> None:
    script = load(ROOT / "scripts/draw_architecture.py")
    for name, draw in script.DRAWINGS.items():
        assert (DOCS / "images" / name).read_text(encoding="utf-8") == draw(), (
            f"run scripts/draw_architecture.py: {name}"
        )
    packages = {
        path.parent.name for path in (ROOT / "packages/agegender-train/src/agegender_train").glob("*/__init__.py")
    }
    assert {name for layer in script.layers() for name in layer} == packages


# The site


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site") / "site"
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1", "https_proxy": "http://127.0.0.1:9", "no_proxy": ""},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert built.returncode == 0, built.stderr[-3000:]
    assert "WARNING" not in built.stderr
    return folder


def ids(page: Path) -> set[str]:
    return set(re.findall(r'\bid="([^"]+)"', page.read_text()))


@pytest.mark.slow
def test_every_public_name_of_the_runtime_is_on_its_page(site: Path) -> None:
    found = ids(site / "api/core.html")
    assert [
        name
        for name in agegender_core.__all__
        if not {f"agegender_core.{name}", f"agegender_core.{name}.{name}"} & found
    ] == []


@pytest.mark.slow
def test_what_the_commands_call_is_on_the_page_of_the_training_package(site: Path) -> None:
    """Every function and class that a command takes from a package of agegender_train itself, not from its insides."""
    named = {
        f"{node.module}.{alias.name}"
        for path in (ROOT / "packages/agegender-cli/src/agegender_cli").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and node.module and re.fullmatch(r"agegender_train\.\w+", node.module)
        for alias in node.names
        if node.module != "agegender_train.files"
    }
    found = ids(site / "api/train.html")
    assert len(named) > 20
    # A function with the name of its module is there by its full path.
    assert sorted(n for n in named if not {n, f"{n}.{n.rpartition('.')[2]}"} & found) == []
    last = {name.rpartition(".")[2] for name in found}
    for name in ("cross_validate", "Settings", "find_runs", "write_label_table", "open_session", "read_split", "Store"):
        assert name in last


@pytest.mark.slow
def test_every_command_and_option_is_on_the_site(site: Path) -> None:
    text = (site / "command-line.html").read_text()
    for name, command in commands().items():
        if command.hidden:
            continue
        section = text.partition(f'id="agegender-{name}"')[2].partition("<h2")[0]
        for parameter in command.params:
            if parameter.param_type_name == "option" and not parameter.hidden:
                for option in [*parameter.opts, *parameter.secondary_opts]:
                    assert re.search(rf"<code[^>]*>{option}</code>", section), f"{name} {option}"


class Loads(HTMLParser):
    """The addresses from which a page loads something by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        if tag == "link" and attributes.get("rel") not in {"canonical", "next", "prev"}:
            self.addresses.append(attributes.get("href", ""))
        self.addresses += [attributes[name] for name in ("src", "srcset", "poster", "data") if name in attributes]
        self.addresses += re.findall(r"url\(([^)]*)\)", attributes.get("style", ""))


@pytest.mark.slow
def test_pages_load_nothing_from_elsewhere(site: Path) -> None:
    remote = re.compile(r"\s*[\"']?(https?:)?//")
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 20
    for page in pages:
        parser = Loads()
        text = page.read_text()
        parser.feed(text)
        styles = " ".join(re.findall(r"<style[^>]*>(.*?)</style>", text, re.DOTALL))
        addresses = parser.addresses + re.findall(r"url\(([^)]*)\)|@import\s+([^;]*)", styles)
        assert [a for a in addresses if remote.match(a if isinstance(a, str) else "".join(a))] == [], page
    for sheet in site.rglob("*.css"):
        addresses = [a or b for a, b in re.findall(r"url\(([^)]*)\)|@import\s+([^;]*)", sheet.read_text())]
        assert [a for a in addresses if remote.match(a)] == [], sheet


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None or DRIVER is None, reason="chromium and chromedriver are not on this machine")
def test_in_a_browser_every_page_is_whole_local_and_fits_a_phone(site: Path) -> None:
    pytest.importorskip("selenium")
    from selenium.webdriver import Chrome, ChromeOptions
    from selenium.webdriver.chrome.service import Service

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(site)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    served = f"http://127.0.0.1:{server.server_port}/"
    options = ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for argument in ("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"):
        options.add_argument(argument)
    look = """return {
        remote: performance.getEntriesByType('resource').map(e => e.name).filter(n => !n.startsWith(arguments[0])),
        broken: [...document.images].filter(i => i.complete && !i.naturalWidth).map(i => i.src),
        width: document.documentElement.scrollWidth}"""
    driver = Chrome(options, Service(str(DRIVER)))
    try:
        size = {"width": 390, "height": 800, "deviceScaleFactor": 1, "mobile": False}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        for page in sorted(site.rglob("*.html")):
            name = page.relative_to(site)
            if name.parts[0] == "examples":  # a report has tests of its own
                continue
            for start in (served, f"{site.as_uri()}/"):
                if name.name == "404.html" and start != served:
                    continue
                driver.get(f"{start}{name.as_posix()}")
                assert driver.execute_script(look, start) == {"remote": [], "broken": [], "width": 390}, (
                    f"{start}{name}"
                )
    finally:
        driver.quit()
        server.shutdown()
        server.server_close()
