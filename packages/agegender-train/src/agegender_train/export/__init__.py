"""Trained networks as files for use: the model file that the runtime reads, and other formats."""

from agegender_train.export.exporting import Exported, export_run
from agegender_train.export.model_file import export_onnx, parity

__all__ = ["Exported", "export_onnx", "export_run", "parity"]
