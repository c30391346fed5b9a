from __future__ import annotations

from pathlib import Path

import pytest

from agegender_core import Frame, read_image


@pytest.fixture(scope="session")
def portrait() -> Frame:
    """512 x 400 pixels, one face."""
    return read_image(Path(__file__).resolve().parents[1] / "samples" / "astronaut.jpg")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """The medians of each group as ratios to our own: a ratio survives a busy machine, a time does not."""
    session = getattr(config, "_benchmarksession", None)
    groups: dict[str, dict[str, float]] = {}
    for bench in getattr(session, "benchmarks", []):
        if bench.group and bench.stats.data:
            groups.setdefault(bench.group, {})[bench.param or bench.name] = bench.stats.median
    for name, medians in groups.items():
        is_ours = {who: "ours" in who or "native" in who for who in medians}
        ours = next((median for who, median in medians.items() if is_ours[who]), None)
        if ours:
            others = ", ".join(f"{who} {median / ours:.2f}x" for who, median in medians.items() if not is_ours[who])
            terminalreporter.write_line(f"{name}: ours {ours * 1e3:.3f} ms; {others}")
