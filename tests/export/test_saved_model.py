from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from resnet_search.errors import ExportError, RunError
from resnet_search.export import children, make, saved_model
from resnet_search.export.build import Member, Request, load_network
from resnet_search.export.children import build_saved_model, run_file, time_on_gpu
from resnet_search.export.formats import FORMATS
from resnet_search.export.saved_model import export_run, weights_of
from resnet_search.networks import imagenet
from resnet_search.networks.architecture import Architecture
from resnet_search.runs.latency import read_latencies
from resnet_search.runs.trials import RunView
from resnet_search.training.datasets.values import Values
from resnet_search.training.job import WEIGHTS
from tests.export.conftest import CLASSES, VALIDATION, architecture
from tests.report.conftest import Events
from tests.report.test_exported import SAVED_MODEL as MADE

pytestmark = pytest.mark.interface

MakeView = Callable[..., RunView]


def write_weights(path: Path, a: Architecture, seed: int = 0) -> None:
    from resnet_search.networks.model import build_model

    build_model(a, classes=len(CLASSES), seed=seed).save_weights(path)


def make_request(folder: Path, weights: Path, a: Architecture) -> Request:
    np.save(folder / "sample.npy", np.random.default_rng(1).integers(0, 256, (5, 32, 32, 3), dtype=np.uint8))
    member = Member(weights=str(weights), architecture=a.to_dict(), mean=(120.0, 121.0, 122.0), std=(60.0, 61.0, 62.0))
    return Request(
        members=(member,),
        image_shape=(32, 32, 3),
        classes=len(CLASSES),
        images=str(folder / "sample.npy"),
        expected=str(folder / "expected.npy"),
        saved_model=str(folder / "saved_model"),
        keras="",
        error=str(folder / "error.txt"),
    )


def save_other(folder: Path) -> Path:
    """The SavedModel of other weights for the same architecture."""
    folder.mkdir()
    write_weights(folder / WEIGHTS, architecture(), seed=9)
    build_saved_model(make_request(folder, folder / WEIGHTS, architecture()))
    return folder / "saved_model"


def picture_program(report: str) -> str:
    """The lines that the report tells its reader to run."""
    return report.split("```python\n")[1].partition("```")[0]


def test_an_export_is_verified_described_and_works_as_it_says(
    make_view: MakeView, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, timed_briefly: None
) -> None:
    """With a real process for each step."""
    from PIL import Image

    view = make_view()
    result = export_run(view)
    assert capfd.readouterr() == ("", "")
    assert result.folder == view.folder.path / "export"
    assert {path.name for path in result.folder.iterdir()} == {
        "saved_model",
        "classes.json",
        "report.md",
        "export.json",
        "README.md",
    }
    assert result.difference <= 1e-5
    assert result.accuracy == pytest.approx(view.trials["0000"].score, abs=2.1 / VALIDATION)
    assert result.notes == ()
    assert json.loads((result.folder / "classes.json").read_text()) == list(CLASSES)
    manifest = json.loads((result.folder / "export.json").read_text())
    assert manifest["trial"] == result.trial == "0000"
    assert manifest["members"] == ["0000"]
    assert manifest["verified"]["compared"] == VALIDATION
    (file,) = manifest["verified"]["files"]
    assert (file["format"], file["name"], file["runtime"]) == ("saved_model", "saved_model", "TensorFlow")
    assert [(one["device"], one["batch"]) for one in file["latencies"]][:2] == [("cpu", 1), ("cpu", 128)]
    assert read_latencies(view.folder) == {"0000": result.exported.files[0].latencies}

    report = result.report.read_text()
    size = sum(path.stat().st_size for path in result.saved_model.rglob("*") if path.is_file())
    assert f"({size:,} bytes)" in report
    program = picture_program(report)
    assert len(program.strip().splitlines()) == 5
    # Another size than the network's, and not square.
    Image.fromarray(np.full((40, 50, 3), 200, np.uint8)).save(result.folder / "picture.png")
    monkeypatch.chdir(result.folder)
    exec(program, {})  # noqa: S102 - as the reader of the report would run it
    printed = capfd.readouterr().out
    probability, name = eval(printed)  # noqa: S307 - a tuple of a number and a string, printed by the report's program
    assert 1 / 3 <= probability <= 1
    assert name in CLASSES


def test_a_model_that_gives_other_outputs_fails_and_leaves_the_earlier_export(
    make_view: MakeView, in_process: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    other = save_other(tmp_path / "other")
    out = tmp_path / "out"
    out.mkdir()
    (out / "export.json").write_text('{"trial": "earlier"}')

    def plant(request: Request) -> None:
        build_saved_model(request)
        shutil.rmtree(request.saved_model)
        shutil.copytree(other, request.saved_model)

    monkeypatch.setattr(make, "build_saved_model", plant)
    with pytest.raises(ExportError, match=r"saved_model .*allowed: 1e-05"):
        export_run(make_view(), out=out, replace=True)
    assert [path.name for path in out.iterdir()] == ["export.json"]
    assert {path.name for path in tmp_path.iterdir()} == {"runs", "out", "other"}


def of_another_architecture(path: Path) -> None:
    write_weights(path, replace(architecture(), width=6))


def not_finite(path: Path) -> None:
    import h5py

    with h5py.File(path, "r+") as file:
        file["layers/conv2d/vars/0"][0, 0, 0, 0] = np.nan


@pytest.mark.parametrize("spoil", [of_another_architecture, not_finite])
def test_weights_that_do_not_fit_are_found(tmp_path: Path, spoil: Callable[[Path], None]) -> None:
    write_weights(tmp_path / WEIGHTS, architecture())
    request = make_request(tmp_path, tmp_path / WEIGHTS, architecture())
    load_network(request.members[0], request.image_shape, request.classes)
    spoil(tmp_path / WEIGHTS)
    with pytest.raises(ValueError, match=r"not finite|shape"):
        load_network(request.members[0], request.image_shape, request.classes)


@pytest.mark.usefixtures("in_process")
def test_weights_that_cannot_be_used_are_named(make_view: MakeView) -> None:
    view = make_view()
    path = view.folder.trial("0000") / WEIGHTS
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ExportError, match=str(path)) as raised:
        export_run(view)
    assert "\n" not in raised.value.message
    assert not (view.folder.path / "export").exists()


def test_a_network_from_weights_of_imagenet_keeps_their_normalisation(
    make_view: MakeView, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own images' mean and deviation are not what it was trained with."""
    monkeypatch.setitem(imagenet._BY_ARCHITECTURE, architecture(), imagenet.SOURCES["keras-resnet-50"])
    view = make_view()
    view.content["recipe"] |= {"init": "imagenet", "frozen_stages": 1}
    asked: list[Request] = []

    def build(request: Request) -> None:
        asked.append(request)
        raise ExportError("enough")

    monkeypatch.setattr(make, "build_saved_model", build)
    with pytest.raises(ExportError, match="enough"):
        export_run(view)
    (member,) = asked[0].members
    assert (member.mean, member.std) == imagenet.CAFFE


def test_a_run_that_is_not_finished_exports_its_best_with_notes(
    make_view: MakeView, monkeypatch: pytest.MonkeyPatch
) -> None:
    view = make_view(max_epochs=3, finished=False)
    monkeypatch.setattr(saved_model, "make_files", lambda *_: ([MADE], np.zeros(VALIDATION, "int64")))
    monkeypatch.setattr(saved_model, "accuracy", lambda *_, **__: 1.0)
    result = export_run(view)
    state, length = result.notes
    assert "interrupted" in state
    for fact in ("0000", "1 of ", "3 epochs"):
        assert fact in length


def add(view: RunView, run: Events) -> None:
    for line in run.lines[1:]:
        view.apply(line)


def test_nothing_completed(make_view: MakeView) -> None:
    view = make_view()
    view.trials.clear()
    with pytest.raises(RunError, match=f"RUN: got '{view.folder.name}'"):
        export_run(view)


def test_a_trial_that_failed(make_view: MakeView) -> None:
    view, run = make_view(), Events()
    run.create(1, 1, (0, 0, 0), (0, 1))
    run.fail(1, "out of memory")
    add(view, run)
    with pytest.raises(ExportError, match=r"'0001'.* failed .*out of memory"):
        export_run(view, view.trials["0001"])


def test_a_reused_trial_has_the_weights_of_the_one_it_reuses(make_view: MakeView) -> None:
    view, run = make_view(), Events()
    run.create(1, 0, (0, 0, 0), (0, 1), parent="0000", reused=True)
    run.complete(1, 0.5)
    run.create(2, 0, (0, 1, 0), (1, 3), parent="0000")
    run.complete(2, 0.6)
    run.create(3, 0, (0, 1, 0), (1, 2), parent="0002", reused=True)
    run.complete(3, 0.55)
    add(view, run)
    assert weights_of(view, view.trials["0001"]) == view.folder.trial("0000").resolve() / WEIGHTS
    with pytest.raises(ExportError, match=r"'0003'.* 0002 ") as raised:
        weights_of(view, view.trials["0003"])
    assert "--trial 0002" in raised.value.cure
    with pytest.raises(ExportError, match=r"trial_0002/checkpoint\.weights\.h5: "):
        weights_of(view, view.trials["0002"])


def test_damaged_images_are_made_anew_and_no_others_are_taken(make_view: MakeView) -> None:
    view = make_view()
    path = view.folder.path.parent / ".data" / "arrays" / "x_validation.npy"
    path.write_bytes(b"x")
    # The source that this made-up run names has others than it was trained on.
    with pytest.raises(RunError, match="drawn by resnet-search"):
        export_run(view)
    assert not (view.folder.path / "export").exists()


def save_module(folder: Path, function: Callable[[Any], Any]) -> None:
    import tensorflow as tf

    module = tf.Module()
    module.serve = tf.function(
        lambda images: {"probabilities": function(images)},
        input_signature=[tf.TensorSpec((None, 32, 32, 3), tf.uint8, name="images")],
    )
    tf.saved_model.save(module, folder, signatures={"serving_default": module.serve})


@pytest.mark.usefixtures("in_process")
def test_a_model_that_needs_python_is_refused(tmp_path: Path) -> None:
    import tensorflow as tf

    save_module(tmp_path / "model", lambda images: tf.py_function(lambda x: x[:, 0, 0], [images], tf.uint8))
    np.save(tmp_path / "images.npy", np.zeros((2, 32, 32, 3), "uint8"))
    with pytest.raises(ExportError, match="EagerPyFunc"):
        run_file(FORMATS["saved_model"], tmp_path / "model", tmp_path / "images.npy", tmp_path)


def test_how_a_child_ends(tmp_path: Path) -> None:
    error = tmp_path / "error.txt"
    error.write_text("has other weights")

    def run(program: str) -> str:
        return children._run("building", ["-c", program], 3, str(error))

    assert run("print('nothing')") == ""
    assert run("raise SystemExit(3)") == "has other weights"
    with pytest.raises(ExportError, match="signal 9"):
        run("import os; os.kill(os.getpid(), 9)")
    with pytest.raises(ExportError, match="ValueError: of a shape"):
        run("raise ValueError('of a shape')")
    with pytest.raises(ExportError, match="building"):
        run("raise SystemExit(4)")


def test_the_driver_stays_without_numerical_libraries_but_numpy() -> None:
    program = "import sys, resnet_search.export.saved_model; print({'keras', 'tensorflow', 'h5py'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.usefixtures("in_process")
@pytest.mark.parametrize(("low", "high"), [(0, 16), (-1, 1), (0, 4095)])
def test_the_saved_model_takes_the_numbers_that_training_took(tmp_path: Path, low: float, high: float) -> None:
    """Its second signature gives what the first gives for the bytes of the same numbers."""
    import tensorflow as tf

    write_weights(tmp_path / WEIGHTS, architecture())
    request = replace(make_request(tmp_path, tmp_path / WEIGHTS, architecture()), values=(low, high))
    build_saved_model(request)
    loaded = tf.saved_model.load(request.saved_model)
    numbers = np.random.default_rng(0).integers(0, 257, (4, 32, 32, 3)) / 256 * (high - low) + low
    numbers = np.floor(numbers) if high == 4095 else numbers
    read = Values(low, high, "arrays").to_bytes(numbers)
    assert len(np.unique(read)) > 200
    expected = loaded.signatures["serving_default"](images=tf.constant(read))["probabilities"].numpy()
    found = loaded.signatures["values"](values=tf.constant(numbers.astype("float32")))["probabilities"].numpy()
    assert np.array_equal(found, expected)


@pytest.mark.slow
def test_a_gpu_is_timed_where_tensorflow_sees_one(tmp_path: Path) -> None:
    import tensorflow as tf

    other = save_other(tmp_path / "other")
    np.save(tmp_path / "images.npy", np.zeros((3, 32, 32, 3), "uint8"))
    found = time_on_gpu(FORMATS["saved_model"], other, tmp_path / "images.npy", tmp_path)
    assert [one.batch for one in found] == ([1, 128] if tf.config.list_physical_devices("GPU") else [])
    assert "cpu" not in {one.device for one in found}


@pytest.mark.slow
@pytest.mark.parametrize(
    "a",
    [
        Architecture.from_axes(block="resnext", n=1, width=8, cardinality=4),
        Architecture.from_axes(block="resnext", n=1, width=8, cardinality=4, bias="all"),
        Architecture.from_axes(block="wide", n=1, width=4, dropout=0.2),
        Architecture.from_axes(block="bottleneck", n=1, width=4, shortcut="identity"),
        Architecture.from_axes(block="basic", n=1, width=8, attention="se", attention_ratio=4, stochastic_depth=0.2),
    ],
    ids=lambda a: a.name,
)
def test_other_blocks_run_with_tensorflow_alone(
    tmp_path: Path, a: Architecture, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_weights(tmp_path / WEIGHTS, a)
    request = make_request(tmp_path, tmp_path / WEIGHTS, a)
    build_saved_model(request)
    sample, expected = Path(request.images), np.load(request.expected)
    for onednn in ("1", "0"):
        monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", onednn)
        ran = run_file(FORMATS["saved_model"], tmp_path / "saved_model", sample, tmp_path, every=sample, batches=())
        assert np.abs(ran.outputs - expected).max() <= 1e-5
        assert ran.labels.tolist() == expected.argmax(axis=1).tolist()
        assert ran.latencies == ()
