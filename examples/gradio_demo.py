"""A page for one picture: drop it, or take one with the camera, and see ages and genders.

pip install "gradio>=6"
python examples/gradio_demo.py
"""

import os

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # Gradio tells its makers about each start otherwise.

import gradio
import numpy as np
import pandas

import agegender as ag

COLUMNS = ["age", "nine of ten are", "gender", "probability", "quality"]


def look(picture: np.ndarray | None, min_face: float) -> tuple[np.ndarray | None, pandas.DataFrame]:
    """The picture with its faces drawn in, and a row for each of them."""
    if picture is None:
        return None, pandas.DataFrame(columns=COLUMNS)
    faces, rows = ag.analyze(picture, min_face=min_face), []
    for face in faces:
        low, high = face.age_interval
        sure = max(face.p_male, 1 - face.p_male)
        rows.append([round(face.age), f"{low:.0f} to {high:.0f}", face.gender, f"{sure:.0%}", round(face.quality, 2)])
    return np.asarray(faces.annotate()), pandas.DataFrame(rows, columns=COLUMNS)


page = gradio.Interface(
    look,
    [
        gradio.Image(sources=["upload", "webcam", "clipboard"], label="Picture"),
        gradio.Slider(10, 100, 24, step=2, label="Smallest face in pixels"),
    ],
    # Without Gradio's button to share, which sends the picture elsewhere.
    [gradio.Image(label="Faces", buttons=["download", "fullscreen"]), gradio.Dataframe(label="What the network says")],
    title="Age and gender from faces",
    description="Estimates of a network: do not decide about people with them. The picture stays on this machine.",
    flagging_mode="never",
)

if __name__ == "__main__":
    page.launch()
