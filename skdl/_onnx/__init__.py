"""Fitted estimators and Pipelines as ONNX models: `to_onnx`.

`to_onnx` converts whole Pipelines (``_to_onnx``) with the converters that ``_converters`` registers with
skl2onnx; ``_onnx_network`` writes one network.
"""

from skdl._onnx._converters import ConvertsToOnnx, add_average, add_table
from skdl._onnx._onnx_network import NetworkParts
from skdl._onnx._to_onnx import to_onnx

__all__ = ["ConvertsToOnnx", "NetworkParts", "add_average", "add_table", "to_onnx"]
