"""Fitted estimators and Pipelines as ONNX models: `to_onnx`.

`ConvertsToOnnx` gives each estimator of skdl its parts as values (`NetworkParts`) and registers a converter
with skl2onnx. Files: ``_onnx_graph`` (nodes of a graph, and the activations), ``_onnx_network`` (one network
with its decoding), ``_onnx_register`` (what skl2onnx is told), ``_to_onnx`` (whole Pipelines: start here).
"""

from skdl._onnx._onnx_network import NetworkParts
from skdl._onnx._onnx_register import ConvertsToOnnx
from skdl._onnx._to_onnx import to_onnx

__all__ = ["ConvertsToOnnx", "NetworkParts", "to_onnx"]
