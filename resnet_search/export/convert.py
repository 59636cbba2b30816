"""The child process that converts a SavedModel to another format, so that both compute the same graph.

Started as `python -m resnet_search.export.convert REQUEST`, REQUEST being JSON: `format`; `saved_model`, the folder;
`target`, the file to write; `calibration`, a .npy of raw training images.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from resnet_search.export.formats import OPSET
from resnet_search.export.interface import INPUT


def main() -> None:
    """Convert, write and exit."""
    request = json.loads(sys.argv[1])
    make = {"onnx": to_onnx, "litert": to_litert, "litert-int8": to_litert_int8}[request["format"]]
    Path(request["target"]).write_bytes(make(request))


def to_onnx(request: dict[str, str]) -> bytes:
    """Convert the graph to standard ONNX operations; its batch dimension is called "batch"."""
    import onnx
    import tensorflow as tf
    import tf2onnx

    model = tf.saved_model.load(request["saved_model"])
    given = model.signatures["serving_default"].structured_input_signature[1][INPUT]
    signature = [tf.TensorSpec(given.shape, given.dtype, name=INPUT)]
    proto, _ = tf2onnx.convert.from_function(model.serve, input_signature=signature, opset=OPSET)
    for value in (*proto.graph.input, *proto.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    _keep_zeros(proto.graph)
    onnx.checker.check_model(proto, full_check=True)
    return bytes(proto.SerializeToString())


def _keep_zeros(graph: Any) -> None:
    """Put an identity operation before each max-pool.

    ONNX Runtime (1.31) merges zero padding before a max-pool into it, as padding that is never the maximum. After a
    bare convolution, in pre-activated networks, a zero can be the maximum. An identity operation prevents the merge.
    """
    import numpy as np
    from onnx import helper, numpy_helper

    if not any(node.op_type == "MaxPool" for node in graph.node):
        return
    lowest = "lowest"
    graph.initializer.append(numpy_helper.from_array(np.array(np.finfo("float32").min), lowest))
    nodes = []
    for node in graph.node:
        if node.op_type == "MaxPool":
            same = f"{node.input[0]}_same"
            nodes.append(helper.make_node("Clip", [node.input[0], lowest], [same], name=same))
            node.input[0] = same
        nodes.append(node)
    del graph.node[:]
    graph.node.extend(nodes)


def to_litert(request: dict[str, str]) -> bytes:
    """Convert the graph in float32."""
    return bytes(_converter(request).convert())


def to_litert_int8(request: dict[str, str]) -> bytes:
    """Convert the graph to 8-bit integers with the same input and output; ranges come from the calibration images."""
    import numpy as np
    import tensorflow as tf

    images = np.load(request["calibration"])

    def calibration() -> Iterator[dict[str, Any]]:
        return ({INPUT: images[at : at + 1]} for at in range(len(images)))

    converter = _converter(request)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = calibration
    # An operation without an 8-bit form is an error, instead of falling back to float32.
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    return bytes(converter.convert())


def _converter(request: dict[str, str]) -> Any:
    import tensorflow as tf

    return tf.lite.TFLiteConverter.from_saved_model(request["saved_model"], signature_keys=["serving_default"])


if __name__ == "__main__":
    main()
