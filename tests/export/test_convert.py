"""Conversion in this process, of networks that converters are known to have trouble with.

They need the extras `onnx` and `litert`, which .ci/run installs into an environment of its own.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")
pytest.importorskip("tf2onnx")
litert = pytest.importorskip("ai_edge_litert.interpreter")

from resnet_search.export.build import Request, write_saved_model  # noqa: E402
from resnet_search.export.convert import to_litert, to_litert_int8, to_onnx  # noqa: E402
from resnet_search.export.formats import OPSET  # noqa: E402
from resnet_search.networks.architecture import Architecture  # noqa: E402
from resnet_search.networks.layers import GroupedConv2D  # noqa: E402
from resnet_search.networks.model import build_model  # noqa: E402

CASES = [
    {"block": "basic", "shortcut": "identity"},
    {"block": "preact_bottleneck", "stem": "imagenet"},
    {"block": "resnext", "cardinality": 4, "attention": "se", "activation": "gelu"},
    {"block": "highway", "activation": "silu"},
]
IMAGES = np.random.default_rng(0).integers(0, 256, (40, 32, 32, 3), dtype=np.uint8)


@pytest.fixture(params=CASES, ids=lambda axes: "-".join(map(str, axes.values())))
def made(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, str]:
    """A SavedModel, as `convert` is asked for other formats of it, with what it gives for IMAGES."""
    import keras

    network = build_model(Architecture(**{"blocks": (1, 1), "width": 16, **request.param}), seed=1)
    for layer in network.layers:
        if isinstance(layer, GroupedConv2D):
            layer.form = "native"
    folder = tmp_path / "saved_model"
    asked = Request(
        members=(), image_shape=(32, 32, 3), classes=10, images="", expected="", saved_model=str(folder), keras="",
        error="",
    )  # fmt: skip
    write_saved_model([network], asked)
    np.save(tmp_path / "calibration.npy", IMAGES)
    np.save(tmp_path / "expected.npy", np.asarray(keras.ops.softmax(network(IMAGES))))
    return {
        "saved_model": str(folder),
        "calibration": str(tmp_path / "calibration.npy"),
        "expected": str(tmp_path / "expected.npy"),
    }


def names_of(values: Any) -> list[tuple[str, int, list[Any]]]:
    return [
        (
            value.name,
            value.type.tensor_type.elem_type,
            [size.dim_param or size.dim_value for size in value.type.tensor_type.shape.dim],
        )
        for value in values
    ]


def test_onnx_has_standard_operations_and_a_free_batch(made: dict[str, str]) -> None:
    file = to_onnx(made)
    graph = onnx.load_from_string(file)
    assert {node.domain for node in graph.graph.node} == {""}
    assert {entry.domain: entry.version for entry in graph.opset_import}[""] == OPSET
    assert names_of(graph.graph.input) == [("images", onnx.TensorProto.UINT8, ["batch", 32, 32, 3])]
    assert names_of(graph.graph.output) == [("probabilities", onnx.TensorProto.FLOAT, ["batch", 10])]
    # With all of its optimisations, as its users have it: one of them is wrong about zeros around a max-pool.
    session = runtime.InferenceSession(file, providers=["CPUExecutionProvider"])
    expected = np.load(made["expected"])
    for count in (1, 40):
        (outputs,) = session.run(["probabilities"], {"images": IMAGES[:count]})
        assert np.abs(outputs - expected[:count]).max() <= 1e-5


def outputs_of(file: bytes, images: np.ndarray) -> np.ndarray:
    """By the interpreter's first interface, whose batch is 1 until it is resized."""
    interpreter = litert.Interpreter(model_content=file, num_threads=1)
    (given,), (taken,) = interpreter.get_input_details(), interpreter.get_output_details()
    assert given["dtype"] is np.uint8
    assert list(given["shape_signature"]) == [-1, 32, 32, 3]
    interpreter.resize_tensor_input(given["index"], images.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(given["index"], images)
    interpreter.invoke()
    return np.array(interpreter.get_tensor(taken["index"]))


def test_litert_resizes_its_batch_and_has_the_names(made: dict[str, str]) -> None:
    file = to_litert(made)
    expected = np.load(made["expected"])
    for count in (1, 40):
        assert np.abs(outputs_of(file, IMAGES[:count]) - expected[:count]).max() <= 1e-5
    signatures = litert.Interpreter(model_content=file).get_signature_list()
    assert signatures == {"serving_default": {"inputs": ["images"], "outputs": ["probabilities"]}}


def test_litert_in_integers_computes_in_integers(made: dict[str, str]) -> None:
    file = to_litert_int8(made)
    interpreter = litert.Interpreter(model_content=file)
    kinds = {detail["dtype"] for detail in interpreter.get_tensor_details() if len(detail["shape"]) == 4}
    # What goes in, and what it is cast to at the beginning; float32 nowhere else.
    assert kinds <= {np.uint8, np.float32, np.int8}
    floats = [d for d in interpreter.get_tensor_details() if d["dtype"] is np.float32 and len(d["shape"]) == 4]
    assert len(floats) <= 1
    outputs = outputs_of(file, IMAGES)
    assert outputs.dtype == np.float32
    assert np.allclose(outputs.sum(axis=1), 1, atol=0.05)
    assert len(file) < len(to_litert(made))
