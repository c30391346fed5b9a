"""The build backend of the repository's root, which is no package: says what to install instead (PEP 517)."""

import sys
from typing import Any, NoReturn

INSTEAD = """
This folder is no package; the packages are in its folder packages. With pip:

    pip install packages/agegender-core packages/agegender-cli packages/agegender
    pip install packages/agegender-train    # to train models as well

With uv, in this folder: uv run agegender
"""


def _refuse(*_: Any, **__: Any) -> NoReturn:
    sys.exit(INSTEAD)


get_requires_for_build_wheel = get_requires_for_build_editable = get_requires_for_build_sdist = _refuse
build_wheel = build_editable = build_sdist = _refuse
