"""What the pages of the site take from the code: option tables, the public API, and parts of the README.

A directive is an HTML comment on a line of its own, which a Markdown viewer such as GitHub's doesn't show:

    <!-- options: train -->                 the options of `agegender train`
    <!-- options: train --folds --fold-seed -->   some of them
    <!-- commands -->                       each command with the first sentence of its help
    <!-- command-line -->                   each command with its help, examples, arguments and options
    <!-- api: agegender_core from faces,images -->   the names of `agegender_core.__all__` that these modules define
                                            (a module may define none)
    <!-- api: agegender_train.store -->     all names of `__all__`
    <!-- api: agegender_train.runs.table.find_runs -->   a function or class that is in no `__all__`
    <!-- include: README.md#use -->         the part of a file between `<!-- part: use -->` and `<!-- end -->`

Every name of `agegender_core.__all__` has to be on a page: a build without one of them fails.
"""

from __future__ import annotations

import html
import re
from functools import cache
from pathlib import Path
from typing import Any

import griffe
from mkdocs.exceptions import PluginError
from typer.main import get_command

from agegender_cli.main import app

ROOT = Path(__file__).resolve().parents[1]
DIRECTIVE = re.compile(r"^<!-- (options|commands|command-line|api|include)(?:: *(.*?))? -->$", re.MULTILINE)
NOTES = re.compile(r"\s*\[([^\[\]]*)\]$")
SOURCES = [ROOT / f"packages/{name}/src" for name in ("agegender", "agegender-core", "agegender-train")]

_shown: set[str] = set()


def on_pre_build(config: Any) -> None:
    """Forget what an earlier build of `mkdocs serve` has shown."""
    _shown.clear()


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Put what they stand for in the place of a page's directives."""

    def replace(match: re.Match[str]) -> str:
        try:
            return DIRECTIVES[match[1]](match[2] or "")
        except (KeyError, ValueError, OSError) as error:
            raise PluginError(f"{page.file.src_uri}: {match[0]}: {error}") from error

    return DIRECTIVE.sub(replace, markdown)


def on_page_content(content: str, **_: Any) -> str:
    """Short cells of tables, such as 20-29 or 140 px, and names such as --folds stay on one line."""
    content = re.sub(r"<td>([^<>]{1,12})</td>", r'<td class="short">\1</td>', content)
    return re.sub(r"<code>([^<>\s]{1,24})</code>", r'<code class="short">\1</code>', content)


def on_post_build(config: Any) -> None:
    """Every public name of the runtime is on a page."""
    missing = {f"agegender_core.{name}" for name in exported("agegender_core")} - _shown
    if missing:
        raise PluginError(f"{', '.join(sorted(missing))}: on no page; name the module in docs/api/core.md")


def commands() -> dict[str, Any]:
    """Every command of `agegender` by its name."""
    found: dict[str, Any] = get_command(app).commands  # type: ignore[attr-defined]
    return {name: command for name, command in found.items() if not command.hidden}


def option_table(words: str) -> str:
    """The options of a command, or some of them: `train --folds --fold-seed`."""
    name, *wanted = words.split()
    parameters = [p for p in commands()[name].params if p.param_type_name == "option" and not p.hidden]
    if wanted:
        by_name = {option: parameter for parameter in parameters for option in parameter.opts}
        if unknown := [option for option in wanted if option not in by_name]:
            raise ValueError(f"agegender {name} has no {', '.join(unknown)}")
        return _table(name, [by_name[option] for option in wanted])
    groups: dict[str | None, list[Any]] = {}
    for parameter in parameters:
        groups.setdefault(getattr(parameter, "rich_help_panel", None), []).append(parameter)
    return "\n\n".join(
        (f"**{title}**\n\n" if title else "") + _table(name, members) for title, members in groups.items()
    )


def _table(name: str, parameters: list[Any]) -> str:
    rows = [_row(name, parameter) for parameter in parameters]
    head = "<thead><tr><th>option</th><th>default</th><th>meaning</th></tr></thead>"
    return f'<div class="options"><table>{head}<tbody>{"".join(rows)}</tbody></table></div>'


def _row(name: str, parameter: Any) -> str:
    command = commands()[name]
    signature, text = parameter.get_help_record(command.make_context(name, [], resilient_parsing=True))
    default = ""
    notes: list[str] = []
    while found := NOTES.search(text):
        text, note = text[: found.start()], found[1]
        # As `--help` has it: a default in words stands in brackets, and may hold a semicolon.
        if stated := re.match(r"default: (\(.*\)|[^;]*)(?:; )?", note):
            default, note = stated[1].removeprefix("(").removesuffix(")"), note[stated.end() :]
        notes += note.split("; ")
    if "required" in notes:
        default = "required"
    for note in notes:
        if limits := re.fullmatch(r"(?:(.+)<=)?x(?:<=(.+)|>=(.+))?", note):
            low, high = limits[1] or limits[3], limits[2]
            text += f" From {low} to {high}." if low and high else f" At least {low}." if low else f" At most {high}."
    meaning = re.sub(r"(?<![\w-])(--[a-z][\w-]*)", r"<code>\1</code>", html.escape(text))
    kind = ' class="required"' if default == "required" else ""
    return f"<tr><td>{_signature(signature)}</td><td{kind}>{html.escape(default)}</td><td>{meaning}</td></tr>"


def _signature(signature: str) -> str:
    """`-o, --output FOLDER` with its names as code, the long one first, and what it takes in grey."""
    flags, metavar = re.fullmatch(r"((?:-[^\s,]+(?:, | / )?)+|[^\s<]+)\s*(.*)", signature).groups()  # type: ignore[union-attr]
    names = sorted(flags.strip().split(", "), key=lambda flag: not flag.startswith("--"))
    names = [name for flag in names for name in flag.split(" / ")]
    metavar = metavar.strip().removeprefix("<").removesuffix(">").removesuffix(" range")
    metavar = {"float": "NUMBER", "int": "N", "str": "TEXT", "path": "PATH", "list[str]": "", "list[Path]": ""}.get(
        metavar, metavar
    )
    shown = [f"<code>{html.escape(name)}</code>" for name in names]
    if metavar:
        # A long list of choices may break after each.
        shown.append(f'<span class="metavar">{html.escape(metavar).replace("|", "|<wbr>")}</span>')
    return " ".join(shown)


def command_list(_words: str) -> str:
    """Each command with the first sentence of its help, linked to its section."""
    lines = []
    for name, command in commands().items():
        summary = re.split(r"(?<=\.)\s|\n\n", command.help or "")[0].replace("\n", " ")
        lines.append(f"- [`agegender {name}`](command-line.md#agegender-{name}): {_sentence(summary)}")
    return "\n".join(lines)


def _sentence(text: str) -> str:
    return html.escape(text[:1].lower() + text[1:]) if not text.startswith("URL") else html.escape(text)


def command_line(_words: str) -> str:
    """Each command with its help, its examples, its arguments and its options."""
    sections = []
    for name, command in commands().items():
        about, _, examples = (command.help or "").partition("\b\nExamples:\n")
        parts = [f"## agegender {name}", re.sub(r"(?<!\n)\n(?!\n)", " ", html.escape(about.strip(), quote=False))]
        if examples.strip():
            lines = [f"$ {line.strip()}" for line in examples.strip().splitlines() if line.strip()]
            parts.append("```console\n" + "\n".join(lines) + "\n```")
        arguments = [p for p in command.params if p.param_type_name == "argument" and not p.hidden]
        if arguments:
            rows = "".join(_row(name, argument) for argument in arguments)
            head = "<thead><tr><th>argument</th><th>default</th><th>meaning</th></tr></thead>"
            parts.append(f'<div class="options"><table>{head}<tbody>{rows}</tbody></table></div>')
        parts.append(option_table(name))
        sections.append("\n\n".join(parts))
    return "\n\n".join(sections)


@cache
def package(name: str) -> Any:
    """The package as griffe reads it from the sources, without an import."""
    return griffe.load(name, search_paths=SOURCES, resolve_aliases=True, try_relative_path=False)


def exported(path: str) -> dict[str, Any]:
    """The names of a package's `__all__`, in the order of their definitions."""
    root, _, rest = path.partition(".")
    module = package(root)[rest] if rest else package(root)
    if not module.exports:
        raise ValueError(f"{path} has no __all__")
    members = {str(name): module[str(name)] for name in module.exports}
    # `agegender_core.preprocess` is a function, and the module that it is in.
    members = {name: member[name] if member.is_module else member for name, member in members.items()}
    return dict(
        sorted(members.items(), key=lambda item: (item[1].canonical_path.rpartition(".")[0], item[1].lineno or 0))
    )


def api(words: str) -> str:
    """`package`, or `package from module,module`: a section for each public name."""
    path, _, modules = words.partition(" from ")
    root, _, rest = path.partition(".")
    if rest and not (found := package(root)[rest]).is_module:
        return _entry(path, found)
    members = exported(path)
    chosen = list(members)
    if modules:
        homes = [f"{path}.{m.strip()}" if m.strip() != "." else path for m in modules.split(",")]
        chosen = [name for home in homes for name, m in members.items() if m.canonical_path.rpartition(".")[0] == home]
    _shown.update(f"{path}.{name}" for name in chosen)
    return "\n\n".join(_entry(f"{path}.{name}", members[name]) for name in chosen)


def _entry(identifier: str, member: Any) -> str:
    inherits = member.is_class and any("_core." in str(base) for base in member.bases)
    options = "    options:\n      inherited_members: true\n" if inherits else ""
    if member.path == f"{identifier}.{member.name}":
        identifier = member.path
    return f"::: {identifier}\n{options}"


def include(words: str) -> str:
    """A marked part of a file of the repository, or all of it below its title; links hold on the site, too."""
    name, _, part = words.partition("#")
    text = (ROOT / name).read_text(encoding="utf-8")
    if part:
        found = re.search(rf"^<!-- part: {re.escape(part)} -->\n(.*?)^<!-- end -->$", text, re.DOTALL | re.MULTILINE)
        if found is None:
            raise ValueError(f"{name} has no part {part}")
        text = found[1]
    else:
        text = text.partition("\n")[2]
    return text.replace("](docs/", "](").strip()


DIRECTIVES = {
    "options": option_table,
    "commands": command_list,
    "command-line": command_line,
    "api": api,
    "include": include,
}
