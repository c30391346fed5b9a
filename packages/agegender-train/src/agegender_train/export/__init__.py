"""Trained networks as model files that the runtime reads."""

from agegender_train.export.model_file import export_onnx, parity

__all__ = ["export_onnx", "parity"]
