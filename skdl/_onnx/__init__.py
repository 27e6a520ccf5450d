"""Fitted estimators and Pipelines as ONNX models: `to_onnx`.

`to_onnx` converts whole Pipelines (``_to_onnx``) with the converters that ``_converters`` registers with
skl2onnx; ``_onnx_network`` writes one network.
"""

from skdl._onnx._converters import register_if_used, tabular_parts
from skdl._onnx._onnx_network import NetworkParts, functional_model, network_parts, output_units
from skdl._onnx._to_onnx import to_onnx
