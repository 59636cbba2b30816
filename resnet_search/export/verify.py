"""Run an exported file with only its runtime, as its users do, and time it; a script, started by its path.

Started as `python -P verify.py REQUEST`, REQUEST being JSON:
`format` and `model`, what to load; `threads` of the processor to use;
`images`, a .npy of raw images, and `outputs`, the .npy that receives their probabilities;
`all` and `labels`, the same for the most probable class of each image (skipped if `all` is empty);
`batches`, sizes to time, and `times`, the JSON file that receives the times (empty if there is no GPU);
`gpu`, whether to time on a GPU instead of the processor;
`error`, the file that receives one line if the exported file is rejected (status 3).
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

REJECTED = 3
INPUT, OUTPUT = "images", "probabilities"
BATCH = 250  # images of 32 x 32 at once, fewer if they are larger; the last batch is smaller
# Warm-up calls: kernels are chosen, memory is allocated and the clock of the processor rises.
WARM_UP_CALLS, WARM_UP_SECONDS = 3, 0.3
# Then calls are timed for this many seconds, with a least and a greatest number of calls.
SECONDS, FEWEST, MOST = 2.0, 10, 1000
# Operations that need Python, XLA or a training step.
_FORBIDDEN_OPS = ("PyFunc", "EagerPyFunc", "PyFuncStateless", "XlaLaunch", "XlaCallModule")

Run = Callable[[Any], Any]  # uint8 (batch, height, width, channels) -> float32 (batch, classes)


class Rejected(Exception):  # noqa: N818 - an outcome
    """The exported file is rejected; the message says why."""


def main() -> None:
    """Load, run, time, write."""
    request = json.loads(sys.argv[1])
    absent, load = _FORMATS[request["format"]]
    for package in absent:
        # Every import of it fails from here on.
        sys.modules[package] = None  # type: ignore[assignment]
    try:
        verify(request, load, absent)
    except Rejected as problem:
        Path(request["error"]).write_text(str(problem), encoding="utf-8")
        sys.exit(REJECTED)


def verify(request: dict[str, Any], load: Callable[[str, int], Run], absent: tuple[str, ...]) -> None:
    """Answer a request; `absent`: packages that must not be used."""
    import numpy as np

    device = _gpu() if request["gpu"] else "cpu"
    if not device:
        Path(request["times"]).write_text("[]", encoding="utf-8")
        return
    run = load(request["model"], request["threads"])
    images = np.load(request["images"], mmap_mode="r")
    np.save(request["outputs"], np.concatenate(list(in_batches(run, images))))
    if request["all"]:
        every = in_batches(run, np.load(request["all"], mmap_mode="r"))
        np.save(request["labels"], np.concatenate([outputs.argmax(axis=1) for outputs in every]))
    times = [{"device": device, "threads": request["threads"], **_timed(run, images, n)} for n in request["batches"]]
    Path(request["times"]).write_text(json.dumps(times), encoding="utf-8")
    loaded = [name for name, module in sys.modules.items() if module and name.split(".")[0] in absent]
    if loaded:
        raise Rejected(f"needs {', '.join(loaded)}")


def _gpu() -> str:
    """Return the name of the GPU that TensorFlow would use; empty if it sees none."""
    import tensorflow as tf

    found = tf.config.list_physical_devices("GPU")
    return str(tf.config.experimental.get_device_details(found[0]).get("device_name", "GPU")) if found else ""


def in_batches(run: Run, images: Any) -> Iterator[Any]:
    import numpy as np

    size = min(BATCH, max(1, BATCH * 32 * 32 // (images.shape[1] * images.shape[2])))
    for start in range(0, len(images), size):
        yield run(np.ascontiguousarray(images[start : start + size]))


def _timed(run: Run, images: Any, batch: int) -> dict[str, Any]:
    """Time calls of `batch` images each, from an array in memory to an array in memory, in milliseconds."""
    import numpy as np

    some = np.ascontiguousarray(images[np.arange(batch) % len(images)])
    begun = time.perf_counter()
    warm = 0
    while warm < WARM_UP_CALLS or time.perf_counter() - begun < WARM_UP_SECONDS:
        run(some)
        warm += 1
    calls: list[float] = []
    while len(calls) < FEWEST or (sum(calls) < SECONDS and len(calls) < MOST):
        start = time.perf_counter()
        run(some)
        calls.append(time.perf_counter() - start)
    p50, p99 = (float(value) * 1e3 for value in np.percentile(calls, [50, 99]))
    return {"batch": batch, "p50": p50, "p99": p99, "throughput": batch * len(calls) / sum(calls), "calls": len(calls)}


def _saved_model(path: str, threads: int) -> Run:
    import tensorflow as tf

    for problem in _problems(Path(path)):
        raise Rejected(problem)
    _limit_threads(threads)
    model = tf.saved_model.load(path)
    serving = model.signatures["serving_default"]
    # The signature needs the model to stay alive.
    return lambda images: (model, serving(**{INPUT: tf.constant(images)}))[1][OUTPUT].numpy()


def _problems(folder: Path) -> Iterator[str]:
    """List the operations in a SavedModel that are not standard inference."""
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


def _keras(path: str, threads: int) -> Run:
    import keras
    import numpy as np

    _limit_threads(threads)
    model = keras.saving.load_model(path, compile=False)
    names = [tensor.name for tensor in model.inputs], model.output_names
    if names != ([INPUT], [OUTPUT]):
        raise Rejected(f"names its inputs and outputs {names}")
    return lambda images: np.asarray(model.predict_on_batch(images))


def _limit_threads(threads: int) -> None:
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)


def _onnx(path: str, threads: int) -> Run:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda images: session.run([OUTPUT], {INPUT: images})[0]


def _litert(path: str, threads: int) -> Run:
    from ai_edge_litert.interpreter import Interpreter

    runner = Interpreter(model_path=path, num_threads=threads).get_signature_runner("serving_default")
    return lambda images: runner(**{INPUT: images})[OUTPUT]


_ALONE = ("tensorflow", "keras", "resnet_search")
_FORMATS: dict[str, tuple[tuple[str, ...], Callable[[str, int], Run]]] = {
    "saved_model": (("keras", "resnet_search"), _saved_model),
    "keras": (("resnet_search",), _keras),
    "onnx": (_ALONE, _onnx),
    "litert": (_ALONE, _litert),
    "litert-int8": (_ALONE, _litert),
}


if __name__ == "__main__":
    main()
