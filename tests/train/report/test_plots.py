from __future__ import annotations

import pytest

from agegender_train.report.plots import plot_bars


@pytest.mark.parametrize(
    ("title", "scale"), [("mean absolute error of the age (years)", 1.0), ("gender accuracy (%)", 100.0)]
)
def test_bars_with_long_names_leave_room_for_all_words(title: str, scale: float) -> None:
    rows = [
        {"model": f"ssrnet (runs/a-long-name-{i}/model.onnx)", "test_set": "appa-real", "figure": 0.1, "intervals": {}}
        for i in range(3)
    ]
    figure = plot_bars(rows, ("figure",), title, scale)
    figure.canvas.draw()
    for words in (figure._supxlabel, *figure.axes[0].get_yticklabels()):
        box = words.get_window_extent()
        assert words.get_text()
        assert box.x0 >= 0
        assert box.x1 <= figure.bbox.x1
        assert box.y0 >= 0
