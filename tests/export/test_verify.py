"""Which exported files are refused, how calls are timed and what is written, with fakes instead of the runtimes."""

from __future__ import annotations

import json
import runpy
import sys
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from resnet_search.export import verify
from resnet_search.export.verify import INPUT, OUTPUT, Rejected

ORDINARY = {"op": "FusedBatchNormV3", "attr": {"is_training": False}}


def saved_model(folder: Path, *nodes: dict[str, Any], function: dict[str, Any] | None = None) -> Path:
    """A SavedModel of a graph of `nodes` in its second of two graphs, and of a function if one is given."""
    from tensorflow.core.protobuf import saved_model_pb2

    model = saved_model_pb2.SavedModel()
    model.meta_graphs.add()
    graph = model.meta_graphs.add().graph_def
    for number, node in enumerate((ORDINARY, *nodes)):
        add_node(graph.node, number, node)
    defined = graph.library.function.add()
    defined.signature.name = "serve"
    for number, node in enumerate([ORDINARY, *(function or {}).get("nodes", [])]):
        add_node(defined.node_def, number, node)
    for name, value in (function or {}).get("attr", {}).items():
        defined.attr[name].b = value
    (folder / "saved_model.pb").write_bytes(model.SerializeToString())
    return folder


def add_node(nodes: Any, number: int, node: dict[str, Any]) -> None:
    added = nodes.add(name=f"node_{number}", op=node["op"])
    for name, value in node.get("attr", {}).items():
        added.attr[name].b = value


REFUSED = [
    *({"op": op} for op in ("PyFunc", "EagerPyFunc", "PyFuncStateless", "XlaLaunch", "XlaCallModule")),
    *({"op": op} for op in ("RandomUniform", "StatelessRandomNormalV2", "RandomShuffle")),
    {"op": "Conv2D", "attr": {"_XlaMustCompile": True}},
    {"op": "FusedBatchNormV3", "attr": {"is_training": True}},
]


@pytest.mark.parametrize("node", REFUSED, ids=lambda node: node["op"])
def test_operations_of_python_xla_or_training_are_refused(node: dict[str, Any], tmp_path: Path) -> None:
    """In the graph or in a function; the problem names the operation and its kind."""
    (of_graph,) = verify._problems(saved_model(tmp_path, node))
    (of_function,) = verify._problems(saved_model(tmp_path, function={"nodes": [node]}))
    for problem in (of_graph, of_function):
        assert "node_1" in problem
        assert node["op"] in problem
        assert ("training" in problem) is ("Random" in node["op"] or "is_training" in node.get("attr", {}))


def test_a_function_that_must_be_compiled_is_refused(tmp_path: Path) -> None:
    (problem,) = verify._problems(saved_model(tmp_path, function={"attr": {"_XlaMustCompile": True}}))
    assert "serve" in problem
    assert "XLA" in problem


def test_operations_of_inference_are_accepted(tmp_path: Path) -> None:
    function = {"nodes": [{"op": "Softmax"}], "attr": {"_XlaMustCompile": False}}
    model = saved_model(tmp_path, {"op": "Conv2D", "attr": {"_XlaMustCompile": False}}, function=function)
    assert list(verify._problems(model)) == []


class Runtime:
    """Fakes of the packages that run files, and what is asked of them in order."""

    def __init__(self) -> None:
        self.calls: list[Any] = []
        self.model: Any = ModuleType("model")
        self.model.signatures = {"serving_default": self.serve}
        self.model.inputs, self.model.output_names = [SimpleNamespace(name=INPUT)], [OUTPUT]
        self.model.predict_on_batch = list

    def note(self, name: str) -> Callable[..., None]:
        return lambda *values: self.calls.append((name, *values))

    def serve(self, **images: Any) -> Any:
        return {OUTPUT: SimpleNamespace(numpy=lambda: images[INPUT])}

    def load(self, path: str, **options: Any) -> Any:
        self.calls.append(("load", path, options))
        return self.model

    def session(self, path: str, options: Any, providers: list[str]) -> Any:
        self.calls.append(("load", path, options.intra_op_num_threads, providers))
        return SimpleNamespace(run=lambda outputs, inputs: [inputs[INPUT], "another"][: 2 * (outputs == [OUTPUT])])

    def interpreter(self, model_path: str, num_threads: int) -> Any:
        self.calls.append(("load", model_path, num_threads))
        runner = lambda **images: {OUTPUT: images[INPUT]}  # noqa: E731
        return SimpleNamespace(get_signature_runner=lambda name: {"serving_default": runner}[name])

    def modules(self) -> Iterator[tuple[str, Any]]:
        threading = SimpleNamespace(
            set_intra_op_parallelism_threads=self.note("intra"), set_inter_op_parallelism_threads=self.note("inter")
        )
        config = SimpleNamespace(threading=threading)
        tensorflow = SimpleNamespace(config=config, constant=list, saved_model=SimpleNamespace(load=self.load))
        yield "tensorflow", tensorflow
        yield "keras", SimpleNamespace(saving=SimpleNamespace(load_model=self.load))
        yield "onnxruntime", SimpleNamespace(SessionOptions=SimpleNamespace, InferenceSession=self.session)
        yield "ai_edge_litert", ModuleType("ai_edge_litert")
        yield "ai_edge_litert.interpreter", SimpleNamespace(Interpreter=self.interpreter)


@pytest.fixture
def runtime(monkeypatch: pytest.MonkeyPatch) -> Runtime:
    runtime = Runtime()
    for name, module in runtime.modules():
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(verify, "_problems", lambda _: iter([]))
    return runtime


@pytest.mark.parametrize(
    ("name", "calls"),
    [
        # TensorFlow takes no other number of threads once it has begun to work.
        ("saved_model", [("intra", 3), ("inter", 3), ("load", "model", {})]),
        ("keras", [("intra", 3), ("inter", 3), ("load", "model", {"compile": False})]),
        ("onnx", [("load", "model", 3, ["CPUExecutionProvider"])]),
        ("litert", [("load", "model", 3)]),
        ("litert-int8", [("load", "model", 3)]),
    ],
)
def test_a_file_is_run_with_so_many_threads(name: str, calls: list[Any], runtime: Runtime) -> None:
    _, load = verify._FORMATS[name]
    run = load("model", 3)
    assert runtime.calls == calls
    assert list(run([1, 2])) == [1, 2]


def test_a_saved_model_lives_as_long_as_it_is_run(runtime: Runtime) -> None:
    model = weakref.ref(runtime.model)
    run = verify._saved_model("model", 1)
    del runtime.model
    assert model() is not None
    assert run([1]) == [1]


def test_a_saved_model_with_a_problem_is_not_loaded(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify, "_problems", lambda path: iter([f"{path.name} is odd"]))
    with pytest.raises(Rejected, match="model is odd"):
        verify._saved_model("model", 1)
    assert runtime.calls == []


@pytest.mark.parametrize(
    ("inputs", "outputs"),
    [(["x"], [OUTPUT]), ([INPUT], ["y"]), ([INPUT, "x"], [OUTPUT]), ([INPUT], [OUTPUT, "y"]), ([], [OUTPUT])],
)
def test_a_keras_file_with_other_names_is_refused(inputs: list[str], outputs: list[str], runtime: Runtime) -> None:
    runtime.model.inputs = [SimpleNamespace(name=name) for name in inputs]
    runtime.model.output_names = outputs
    with pytest.raises(Rejected):
        verify._keras("model", 1)


def test_what_each_format_must_do_without() -> None:
    alone = {"tensorflow", "keras", "resnet_search"}
    assert {name: set(absent) for name, (absent, _) in verify._FORMATS.items()} == {
        "saved_model": {"keras", "resnet_search"}, "keras": {"resnet_search"},
        "onnx": alone, "litert": alone, "litert-int8": alone,
    }  # fmt: skip


Ask = Callable[..., dict[str, Path]]


@pytest.fixture
def ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ask:
    """Start the check with a format that is loaded by a function of the test, and return the files of its answer."""
    monkeypatch.setattr(verify, "WARM_UP_SECONDS", 0.0)
    monkeypatch.setattr(verify, "SECONDS", 0.0)
    monkeypatch.setitem(sys.modules, "absent", ModuleType("absent"))

    def start(load: Callable[[str, int], Any], **changed: Any) -> dict[str, Path]:
        files = {name: tmp_path / name for name in ("outputs.npy", "labels.npy", "times", "error")}
        request = {
            "format": "toy", "model": "model", "threads": 3, "images": str(tmp_path / "images.npy"), "all": "",
            "batches": [1, 8], "gpu": False, **{path.stem: str(path) for path in files.values()}, **changed,
        }  # fmt: skip
        monkeypatch.setattr(verify, "_FORMATS", {"toy": (("absent",), load)})
        monkeypatch.setattr(sys, "argv", ["verify.py", json.dumps(request)])
        verify.main()
        return files

    return start


def toy(path: str, threads: int) -> Any:
    """A network of two classes: the part of a pixel that is light, and the rest."""
    assert (path, threads) == ("model", 3)
    with pytest.raises(ImportError):
        __import__("absent")

    def run(images: Any) -> Any:
        light = images[:, 0, 0, 0] / 255
        return np.stack([light, 1 - light], axis=1)

    return run


def save_images(path: Path, light: list[int]) -> str:
    np.save(path, np.broadcast_to(np.array(light, "uint8")[:, None, None, None], (len(light), 4, 4, 3)))
    return str(path)


def test_the_answer_to_a_request(ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify, "BATCH", 2)
    save_images(tmp_path / "images.npy", [0, 51, 255])
    answer = ask(toy, all=save_images(tmp_path / "all.npy", [255, 0, 204, 51, 255]))
    assert np.load(answer["outputs.npy"]).tolist() == [[0.0, 1.0], [0.2, 0.8], [1.0, 0.0]]
    assert np.load(answer["labels.npy"]).tolist() == [0, 1, 0, 1, 0]
    times = json.loads(answer["times"].read_text())
    assert [(time["device"], time["threads"], time["batch"]) for time in times] == [("cpu", 3, 1), ("cpu", 3, 8)]
    assert not answer["error"].exists()


def test_classes_of_more_images_are_left_out_unless_asked_for(ask: Ask, tmp_path: Path) -> None:
    save_images(tmp_path / "images.npy", [0])
    answer = ask(toy)
    assert answer["outputs.npy"].exists()
    assert not answer["labels.npy"].exists()


def test_the_gpu_is_named_with_its_times(ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify, "_gpu", lambda: "Toy GPU")
    save_images(tmp_path / "images.npy", [0])
    times = json.loads(ask(toy, gpu=True)["times"].read_text())
    assert [time["device"] for time in times] == ["Toy GPU"] * 2


def test_without_a_gpu_nothing_is_loaded_and_nothing_timed(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify, "_gpu", lambda: "")
    answer = ask(lambda *_: pytest.fail("loaded"), gpu=True)
    assert json.loads(answer["times"].read_text()) == []
    assert not answer["outputs.npy"].exists()


def test_the_exit_status_of_a_refused_file_is_three(ask: Ask, tmp_path: Path) -> None:
    def load(*_: Any) -> Any:
        raise Rejected("is odd")

    with pytest.raises(SystemExit) as ended:
        ask(load)
    assert ended.value.code == 3
    assert (tmp_path / "error").read_text() == "is odd"


def test_a_file_that_brings_a_package_it_must_do_without_is_refused(
    ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(*_: Any) -> Any:
        monkeypatch.setitem(sys.modules, "absent.layers", ModuleType("absent.layers"))
        return toy(*_)

    save_images(tmp_path / "images.npy", [0])
    with pytest.raises(SystemExit) as ended:
        ask(load)
    assert ended.value.code == 3
    assert "absent.layers" in (tmp_path / "error").read_text()


def test_it_is_a_script(runtime: Runtime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The package, which an ONNX file must do without, has been imported here: that is what it refuses."""
    for name in ("tensorflow", "keras", "resnet_search"):
        monkeypatch.setitem(sys.modules, name, sys.modules[name])
    monkeypatch.delitem(sys.modules, verify.__name__)
    request = {
        "format": "onnx", "model": "model", "threads": 3, "images": save_images(tmp_path / "images.npy", [5, 6]),
        "outputs": str(tmp_path / "outputs.npy"), "all": "", "batches": [], "times": str(tmp_path / "times"),
        "gpu": False, "error": str(tmp_path / "error"),
    }  # fmt: skip
    monkeypatch.setattr(sys, "argv", ["verify.py", json.dumps(request)])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module(verify.__name__, run_name="__main__")
    assert ended.value.code == 3
    assert "resnet_search.export" in (tmp_path / "error").read_text()
    assert runtime.calls == [("load", "model", 3, ["CPUExecutionProvider"])]
    assert np.load(tmp_path / "outputs.npy")[:, 0, 0, 0].tolist() == [5, 6]


@pytest.mark.parametrize(
    ("details", "name"), [([], ""), ([{"device_name": "Toy"}, {"device_name": "Other"}], "Toy"), ([{}], "GPU")]
)
def test_the_gpu_is_the_first_that_tensorflow_sees(
    details: list[dict[str, str]], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = SimpleNamespace(
        list_physical_devices=lambda kind: list(range(len(details))) if kind == "GPU" else [7],
        experimental=SimpleNamespace(get_device_details=lambda device: details[device]),
    )
    monkeypatch.setitem(sys.modules, "tensorflow", SimpleNamespace(config=config))
    assert verify._gpu() == name


@pytest.mark.parametrize(
    ("height", "width", "sizes"),
    [
        (32, 32, [10, 10, 5]),
        (8, 8, [10, 10, 5]),
        (33, 32, [9, 9, 7]),
        (32, 64, [5] * 5),
        (320, 320, [1] * 25),
    ],
)
def test_a_batch_is_smaller_for_larger_images(
    height: int, width: int, sizes: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verify, "BATCH", 10)
    images = np.broadcast_to(np.arange(25, dtype="uint8")[:, None, None, None], (25, height, width, 1))
    batches = list(verify.in_batches(lambda batch: batch, images))
    assert [len(batch) for batch in batches] == sizes
    assert np.concatenate(batches)[:, 0, 0, 0].tolist() == list(range(25))
    assert all(batch.flags.c_contiguous for batch in batches)


class Network:
    """A network and a clock, which each call puts forward by the next of `seconds`, the last of which repeats."""

    def __init__(self, *seconds: float) -> None:
        self.seconds, self.now = list(seconds), 1000.0
        self.calls: list[list[int]] = []

    def __call__(self, images: Any) -> None:
        self.now += self.seconds[min(len(self.calls), len(self.seconds) - 1)]
        self.calls.append(images[:, 0, 0, 0].tolist())

    def timed(self, monkeypatch: pytest.MonkeyPatch, batch: int = 1) -> dict[str, Any]:
        monkeypatch.setattr(verify, "time", SimpleNamespace(perf_counter=lambda: self.now))
        images = np.broadcast_to(np.array([7, 8, 9], "uint8")[:, None, None, None], (3, 2, 2, 3))
        return verify._timed(self, images, batch)


@pytest.mark.parametrize(
    ("seconds", "warm_up", "calls"),
    [
        (1.0, 3, 10),  # So slow that seconds do not count, but calls.
        (1 / 64, 16, 128),
        (1 / 1024, 256, 1000),  # So fast that calls are limited.
    ],
)
def test_calls_are_timed_for_some_seconds_but_not_too_few_and_not_too_many(
    seconds: float, warm_up: int, calls: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verify, "WARM_UP_SECONDS", 0.25)  # A multiple of each time.
    network = Network(seconds)
    timed = network.timed(monkeypatch)
    assert timed["calls"] == calls
    assert len(network.calls) == warm_up + calls


def test_times_are_percentiles_in_milliseconds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 101 calls that take 0 to 100 times 1/1024 s, after three that are not counted."""
    monkeypatch.setattr(verify, "WARM_UP_SECONDS", 0.0)
    monkeypatch.setattr(verify, "SECONDS", 1e9)
    monkeypatch.setattr(verify, "MOST", 101)
    network = Network(*[9.0] * verify.WARM_UP_CALLS, *(count / 1024 for count in range(101)))
    timed = network.timed(monkeypatch, batch=8)
    assert timed["p50"] == pytest.approx(50 / 1.024)
    assert timed["p99"] == pytest.approx(99 / 1.024)
    assert timed["throughput"] == pytest.approx(8 * 101 / (5050 / 1024))
    assert (timed["batch"], timed["calls"]) == (8, 101)
    assert network.calls == [[7, 8, 9, 7, 8, 9, 7, 8]] * (101 + verify.WARM_UP_CALLS)


def test_the_numbers_of_calls_are_those_of_the_documentation() -> None:
    """docs/export.md."""
    assert (verify.WARM_UP_SECONDS, verify.WARM_UP_CALLS) == (0.3, 3)
    assert (verify.SECONDS, verify.FEWEST, verify.MOST) == (2.0, 10, 1000)
