from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest

Here = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Here:
    """Runs ``agegender`` with these words in this process, which saves the start of one: what it printed.

    It must end with the exit code `code`, 0 unless given.
    """
    from agegender_cli.main import main

    def run(*arguments: object, code: int = 0) -> subprocess.CompletedProcess[str]:
        words = ["agegender", *map(str, arguments)]
        monkeypatch.setattr(sys, "argv", words)
        monkeypatch.delenv("AGEGENDER_DEBUG", raising=False)
        with pytest.raises(SystemExit) as end:
            main()
        out, errors = capsys.readouterr()
        assert (end.value.code or 0) == code, errors
        assert "Traceback" not in errors
        return subprocess.CompletedProcess(words, code, out, errors)

    return run
