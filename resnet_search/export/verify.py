"""Run a SavedModel with nothing but TensorFlow and NumPy, as its users will; a script, started by its path.

Started as `python -P verify.py REQUEST`, REQUEST being JSON: `saved_model` the folder, `sample` and `images` .npy files
of raw images, `outputs` and `labels` the .npy files to write (probabilities of the sample; most probable class of each
image), `error` the file that receives one line if the SavedModel is not what it must be (status 3).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

REJECTED = 3
BATCH = 250  # images of 32 x 32 at once, fewer of larger ones; the last is smaller: the batch dimension is free
# Whatever would need Python, XLA or a training step where the model is used.
_FORBIDDEN_OPS = ("PyFunc", "EagerPyFunc", "PyFuncStateless", "XlaLaunch", "XlaCallModule")
_ABSENT = ("keras", "resnet_search")


def main() -> None:
    """Check, run, write the outputs."""
    for package in _ABSENT:
        # An import of it, by whomever, fails from here on.
        sys.modules[package] = None  # type: ignore[assignment]
    request = json.loads(sys.argv[1])
    problem = verify(request)
    if problem:
        Path(request["error"]).write_text(problem, encoding="utf-8")
        sys.exit(REJECTED)


def verify(request: dict[str, str]) -> str:
    """Write the outputs; returns what is wrong with the SavedModel, or nothing."""
    import numpy as np
    import tensorflow as tf

    problem = next(_problems(Path(request["saved_model"])), "")
    if problem:
        return problem
    model = tf.saved_model.load(request["saved_model"])
    serving = model.signatures["serving_default"]
    np.save(request["outputs"], model.serve(np.load(request["sample"]))["probabilities"].numpy())
    images = np.load(request["images"], mmap_mode="r")
    size = min(BATCH, max(1, BATCH * 32 * 32 // (images.shape[1] * images.shape[2])))
    starts = range(0, len(images), size)
    batches = (tf.constant(np.ascontiguousarray(images[start : start + size])) for start in starts)
    labels = [serving(images=batch)["probabilities"].numpy().argmax(axis=1) for batch in batches]
    np.save(request["labels"], np.concatenate(labels))
    loaded = [name for name, module in sys.modules.items() if module and name.split(".")[0] in _ABSENT]
    return f"needs {', '.join(loaded)} where TensorFlow alone must do" if loaded else ""


def _problems(folder: Path) -> Iterator[str]:
    """Operations in a SavedModel that are not standard inference."""
    from tensorflow.core.protobuf import saved_model_pb2

    saved = saved_model_pb2.SavedModel()
    saved.ParseFromString((folder / "saved_model.pb").read_bytes())
    for graph in (meta.graph_def for meta in saved.meta_graphs):
        yield from _node_problems(graph.node)
        for function in graph.library.function:
            if function.attr["_XlaMustCompile"].b:
                yield f"its function {function.signature.name} must be compiled with XLA"
            yield from _node_problems(function.node_def)


def _node_problems(nodes: Any) -> Iterator[str]:
    for node in nodes:
        if node.op in _FORBIDDEN_OPS or node.attr["_XlaMustCompile"].b:
            yield f"its operation {node.name} is {node.op}, which needs more than TensorFlow's own runtime"
        if node.attr["is_training"].b or "Random" in node.op:
            yield f"its operation {node.name} is {node.op} as in training"


if __name__ == "__main__":
    main()
