"""Fitted estimators and Pipelines as ONNX models: `to_onnx`.

`ConvertsToOnnx` gives each estimator of skdl its parts as values (`NetworkParts`) and registers a converter
with skl2onnx. Files: ``_to_onnx`` (whole Pipelines: start here), ``_onnx_steps`` (steps that skl2onnx lacks),
``_onnx_register`` (what skl2onnx is told), ``_onnx_network`` (one network with its decoding), ``_onnx_table``
(what the tabular estimators do besides), ``_onnx_graph`` (nodes of a graph, and the activations).
"""

from skdl._onnx._onnx_network import NetworkParts
from skdl._onnx._onnx_register import ConvertsToOnnx
from skdl._onnx._onnx_table import add_average, add_table
from skdl._onnx._to_onnx import to_onnx

__all__ = ["ConvertsToOnnx", "NetworkParts", "add_average", "add_table", "to_onnx"]
