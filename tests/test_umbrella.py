"""The package `agegender`: all of agegender_core, loaded when it is used."""

from __future__ import annotations

import subprocess
import sys

import pytest

import agegender
import agegender_core


def run(program: str, **environment: str) -> str:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_it_has_every_name_of_the_core() -> None:
    for name in agegender_core.__all__:
        assert getattr(agegender, name) is getattr(agegender_core, name)
    assert set(agegender_core.__all__) <= set(dir(agegender))
    assert agegender.__all__ == agegender_core.__all__
    assert agegender.__version__ == agegender_core.__version__
    namespace: dict[str, object] = {}
    exec("from agegender import *; from agegender import Faces, analyze", namespace)
    assert namespace["analyze"] is agegender_core.analyze
    with pytest.raises(AttributeError, match="module 'agegender' has no attribute 'analyse'"):
        agegender.analyse  # noqa: B018
    assert not hasattr(agegender, "__path_to_nowhere__")


def test_importing_it_loads_nothing_and_sends_nothing() -> None:
    loaded = "{name for name in ('numpy', 'cv2', 'onnxruntime', 'agegender_core') if name in sys.modules}"
    program = f"import sys, os, agegender; print(*{loaded}, os.environ['ORT_DISABLE_TELEMETRY'])"
    assert run(program) == "1"
    assert run(program, ORT_DISABLE_TELEMETRY="0") == "0"
