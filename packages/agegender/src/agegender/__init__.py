"""Age and gender from faces, in three lines: all of `agegender_core`, and the command `agegender` beside it.

Nothing heavy is loaded before the first name is used, so that this import costs a program next to nothing.
"""

import os as _os

TYPE_CHECKING = False  # what type checkers take for true; `typing` would be a third of this import

# Before anybody imports ONNX Runtime, which reports to its makers as soon as it is: see agegender_core.onnx_runtime.
_os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

if TYPE_CHECKING:
    from agegender_core import *  # noqa: F403
    from agegender_core import __all__ as __all__
    from agegender_core import __version__ as __version__
else:

    def __getattr__(name: str) -> object:
        # Of what Python looks for in any module, such as __path__, only these two are ours.
        if name.startswith("__") and name not in ("__all__", "__version__"):
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        import agegender_core

        try:
            value = getattr(agegender_core, name)
        except AttributeError:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
        globals()[name] = value
        return value

    def __dir__() -> list[str]:
        import agegender_core

        return sorted({*globals(), *agegender_core.__all__})
