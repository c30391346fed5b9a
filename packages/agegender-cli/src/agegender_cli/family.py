"""What all commands have in common: each is built only when it is asked for, and old spellings of options work."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import typer
from typer.core import TyperCommand

from .output import message


@dataclass(frozen=True)
class OldSpelling:
    """An option that is called otherwise now; the old spelling works for one more release.

    Attributes:
        old: how it was written.
        new: how it is written now; a command without this option isn't meant.
        command: the only command that is meant; all if ``None``.
        values: the only values with which it is meant; all if ``None``.
    """

    old: str
    new: str
    command: str | None = None
    values: frozenset[str] | None = None


OLD_SPELLINGS = (
    OldSpelling("--out", "--output"),
    OldSpelling("--report", "--format", "export"),
    OldSpelling("--format", "--to", "export", frozenset({"onnx", "tflite", "openvino", "keras"})),
)


_INNER_NAMES = {"output": ("out",), "format_": ("format",)}
"""What the library calls a value whose parameter has another name here."""


class Command(TyperCommand):
    """A command whose options are looked at when it runs: the list of all commands needs only names and help.

    Args:
        name: what the user types.
        function: what it does; its docstring is the help, its parameters are the arguments and options.
        more: gives further parameters, which `function` takes as keywords; called when the command is built.
    """

    def __init__(
        self, name: str, function: Callable[..., None], more: Callable[[], Sequence[inspect.Parameter]] | None = None
    ) -> None:
        super().__init__(name=name, help=inspect.getdoc(function), rich_markup_mode=None)
        self._function, self._more = function, more
        del self.params, self.callback

    def __getattr__(self, name: str) -> Any:
        if name not in ("params", "callback"):
            raise AttributeError(name)
        single = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
        single.command(self.name)(self._complete_function())
        built = typer.main.get_command(single)
        self.params, self.callback = built.params, built.callback
        return getattr(self, name)

    def _complete_function(self) -> Callable[..., None]:
        if self._more is None:
            return self._function
        function = self._function
        signature = inspect.signature(function, eval_str=True)
        own = [one for one in signature.parameters.values() if one.kind is not inspect.Parameter.VAR_KEYWORD]
        parameters = [*own, *self._more()]

        def complete(**arguments: Any) -> None:
            function(**arguments)

        complete.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        complete.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
        return complete

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """The options under the headings that they name, those without one first."""
        panels: dict[str, list[Any]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                is_option = parameter.param_type_name == "option"
                title = (getattr(parameter, "rich_help_panel", None) or "Options") if is_option else "Arguments"
                panels.setdefault(title, []).append(record)
        for title in sorted(panels, key=lambda title: title not in ("Arguments", "Options")):
            with formatter.section(title):
                formatter.write_dl(panels[title])

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """As `TyperCommand.parse_args`, with old spellings put right, and near ones of a choice named."""
        try:
            return super().parse_args(ctx, list(self._respelled(args, say=not ctx.resilient_parsing)))
        except typer.BadParameter as error:
            # Of a choice: "'tflit' is not one of 'onnx', 'tflite'", behind "Value error," in some versions.
            said, is_choice, listed = error.message.rstrip(".").partition(" is not one of ")
            if is_choice:
                from agegender_core.spelling import near_names

                wrong = said.rpartition(", ")[2].strip("'")
                near = near_names(wrong, re.findall(r"'(.*?)'", listed))
                hint = f". Did you mean {' or '.join(near)}?" if near else ""
                text = f"{wrong!r} is not one of {listed}{hint}"
                raise typer.BadParameter(text, error.ctx, error.param, error.param_hint) from None
            raise

    def invoke(self, ctx: Any) -> Any:
        """As `TyperCommand.invoke`; errors of the library name an option as people typed it."""
        try:
            return super().invoke(ctx)
        except ValueError as error:
            named = self._as_typed(str(error), ctx)
            if named == str(error):
                raise
            renamed = ValueError(named)
            for note in getattr(error, "__notes__", ()):
                renamed.add_note(note)
            raise renamed from error

    def _as_typed(self, text: str, ctx: Any) -> str:
        """The text with options instead of the names that their values have inside.

        At the beginning any name counts, as in "model must be one of ...", further on only one with an underscore.
        What a file or --set says under its inner name keeps that.
        """
        by_name = ctx.params.get("config") is not None or ctx.params.get("set_")
        for parameter in self.params:
            options = [option for option in parameter.opts if option.startswith("--")]
            # Compared by name: Typer brings a Click of its own along.
            typed = getattr(ctx.get_parameter_source(parameter.name), "name", "") == "COMMANDLINE"
            if not options or (by_name and not typed):
                continue
            names = [str(parameter.name), *_INNER_NAMES.get(str(parameter.name), ())]
            for name in names:
                text = re.sub(rf"^{name}(?= (?:must|needs|is|of|takes|'))", options[0], text)
                # As in "augmentation.flip must be ...".
                text = re.sub(rf"^{name}\.(\w+)(?= must)", rf"{options[0]} \1", text)
                if "_" in name:
                    text = re.sub(rf"(?<![\w./'\"-]){name}(?![\w./'\"=-])", options[0], text)
        return text

    def _respelled(self, words: Sequence[str], say: bool) -> Iterator[str]:
        options = {option for parameter in self.params for option in parameter.opts}
        known = [one for one in OLD_SPELLINGS if one.command in (None, self.name) and one.new in options]
        for number, word in enumerate(words):
            if word == "--":
                yield from words[number:]
                return
            option, equals, value = word.partition("=")
            given = value if equals else words[number + 1] if number + 1 < len(words) else ""
            for one in known:
                if one.old == option and (one.values is None or given in one.values):
                    if say:
                        message(f"agegender: {option} is now called {one.new}; the old name goes with the next release")
                    option = one.new
                    break
            yield f"{option}{equals}{value}"
