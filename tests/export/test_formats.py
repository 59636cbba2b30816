from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from resnet_search.errors import ExportError
from resnet_search.export import formats, make
from resnet_search.export.children import convert
from resnet_search.export.formats import FORMATS, SAVED_MODEL, Format, chosen
from resnet_search.export.saved_model import export_run
from resnet_search.networks.architecture import Architecture
from resnet_search.runs.trials import RunView
from resnet_search.training.job import WEIGHTS, Job
from tests.export.conftest import VALIDATION
from tests.export.test_saved_model import write_weights
from tests.report.conftest import Events

MakeView = Callable[..., RunView]
INSTALLED = [made.name for made in FORMATS.values() if all(find_spec(package) for package in made.packages)]


def test_the_saved_model_is_always_made_and_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "find_spec", lambda _: object())
    assert [made.name for made in chosen([])] == [SAVED_MODEL]
    assert [made.name for made in chosen(["litert", "onnx", "litert"])] == [SAVED_MODEL, "onnx", "litert"]


@pytest.mark.parametrize(("name", "extra"), [("onnx", "onnx"), ("litert", "litert"), ("litert-int8", "litert")])
def test_a_missing_package_is_told_before_any_work(
    name: str, extra: str, monkeypatch: pytest.MonkeyPatch, make_view: MakeView
) -> None:
    missing = FORMATS[name].packages[-1]
    monkeypatch.setattr(formats, "find_spec", lambda package: None if package == missing else object())
    monkeypatch.setattr(make, "build_saved_model", lambda _: pytest.fail("work was begun"))
    with pytest.raises(ExportError, match=f"--format: got '{name}'.*{missing}") as raised:
        export_run(make_view(), formats=["keras", name])
    assert raised.value.cure == f"Install it: pip install 'resnet-search[{extra}]'"


def make_three(make_view: MakeView) -> RunView:
    """The trained trial, and two of other architectures with weights as they were drawn."""
    view, run = make_view(), Events()
    for number, score in ((1, 0.02), (2, 0.01)):
        run.create(number, number, (0, 0, 0), (0, 1), slot=number)
        run.complete(number, score)
    for line in run.lines[1:]:
        view.apply(line)
    for number in (1, 2):
        trial = view.trials[f"000{number}"]
        folder = view.folder.trial(trial.trial)
        folder.mkdir()
        write_weights(folder / WEIGHTS, Architecture.from_dict(trial.architecture), seed=number)
    return view


@pytest.mark.slow
@pytest.mark.usefixtures("timed_briefly")
def test_every_format_is_verified_and_used_and_an_ensemble_is_one_model(make_view: MakeView, tmp_path: Path) -> None:
    view = make_three(make_view)
    told: list[str] = []
    result = export_run(view, ensemble=2, formats=INSTALLED, progress=told.append)
    exported = result.exported
    assert [file.format for file in exported.files] == INSTALLED
    for file in exported.files:
        assert (result.folder / file.name).exists()
        assert file.compared == VALIDATION
        assert [(one.device, one.batch) for one in file.latencies][:2] == [("cpu", 1), ("cpu", 128)]
        if FORMATS[file.format].exact:
            assert file.difference <= 1e-5
            assert file.agreement >= 1 - 1 / VALIDATION
            assert file.shortfall == 0
    short = [file.format for file in exported.files if file.shortfall]
    assert [note.split(":")[0] for note in result.notes] == short
    steps = ["building the network", *INSTALLED, "measuring trial 0000 as saved_model"]
    assert [word.split(",")[0] for word in told] == steps
    together = exported.ensemble
    assert together is not None
    assert together.members == ("0000", "0001")
    assert together.params == view.trials["0000"].params + view.trials["0001"].params
    manifest = json.loads((result.folder / "export.json").read_text())
    assert manifest["members"] == ["0000", "0001"]
    assert manifest["verified"]["ensemble"]["macs"] == together.macs
    assert {path.name for path in result.folder.iterdir()} == {
        *(FORMATS[name].file for name in INSTALLED), "classes.json", "export.json", "report.md", "README.md",
    }  # fmt: skip
    # Half of it is the best trial alone, the other half the second.
    alone = [export_run(view, view.trials[name], view.folder.path / name) for name in together.members[:1]]
    images = np.load(view.folder.path.parent / ".data" / "arrays" / "x_validation.npy")[:4]
    first, both = (outputs(folder, images) for folder in (alone[0].saved_model, result.saved_model))
    second = 2 * both - first
    assert np.allclose(second.sum(axis=1), 1, atol=1e-4)
    assert second.min() >= -1e-5
    check_card(Path(shutil.copytree(result.folder, tmp_path / "elsewhere" / "export")), images)


def outputs(folder: Path, images: np.ndarray) -> Any:
    import tensorflow as tf

    model = tf.saved_model.load(str(folder))
    return model.serve(images)["probabilities"].numpy()


# Around three lines of the card, in a process of its own: what the files must do without cannot be imported.
_SNIPPET = """
import sys
import numpy as np
for absent in {absent!r}:
    sys.modules[absent] = None
images = np.load("../images.npy")
{lines}
np.save("../said.npy", np.asarray(probabilities))
"""
_ALONE = {"keras": ("resnet_search",), SAVED_MODEL: ("resnet_search", "keras")}


def check_saved_model_cli(saved_model: Path, folder: Path) -> None:
    tool = str(Path(sys.executable).with_name("saved_model_cli"))
    images = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
    np.save(folder / "images.npy", images)
    shown = subprocess.run(
        [tool, "show", "--dir", str(saved_model), "--tag_set", "serve", "--signature_def", "serving_default"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert "inputs['images'] tensor_info:\n      dtype: DT_UINT8\n      shape: (-1, 32, 32, 3)" in shown
    assert "outputs['probabilities'] tensor_info:\n      dtype: DT_FLOAT\n      shape: (-1, 3)" in shown
    subprocess.run(
        [tool, "run", "--dir", str(saved_model), "--tag_set", "serve", "--signature_def", "serving_default",
         "--inputs", f"images={folder / 'images.npy'}", "--outdir", str(folder)],
        capture_output=True, check=True,
    )  # fmt: skip
    found = np.load(folder / "probabilities.npy")
    assert np.abs(found - outputs(saved_model, images)).max() < 1e-6


def check_card(folder: Path, images: np.ndarray) -> None:
    """The lines of the card run in fresh processes, from a copy of the export; so does TensorFlow's own tool."""
    np.save(folder.parent / "images.npy", images)
    expected = outputs(folder / "saved_model", images)
    programs = re.findall(r"```python\n(.*?)```", (folder / "README.md").read_text(), re.DOTALL)
    assert len(programs) == len(INSTALLED)
    for name, lines in zip(INSTALLED, programs, strict=True):
        absent = _ALONE.get(name, ("resnet_search", "keras", "tensorflow"))
        program = _SNIPPET.format(absent=absent, lines=lines)
        ran = subprocess.run([sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, (name, ran.stderr[-2000:])
        said = np.load(folder.parent / "said.npy")
        assert (said.dtype, said.shape) == (np.float32, expected.shape), name
        if FORMATS[name].exact:
            assert np.abs(said - expected).max() <= 1e-5, name
        else:
            assert np.allclose(said.sum(axis=1), 1, atol=0.05)
    check_saved_model_cli(folder / "saved_model", folder.parent)


@pytest.mark.slow
@pytest.mark.usefixtures("timed_briefly")
def test_a_network_trained_in_mixed_precision_is_exported_in_float32(make_view: MakeView) -> None:
    """It trained in bfloat16; its SavedModel, from which all formats are made, computes in float32."""
    import keras
    from tensorflow.core.framework import types_pb2
    from tensorflow.core.protobuf import saved_model_pb2

    from resnet_search.training.arrays import read_arrays
    from resnet_search.training.train import train

    view = make_view()
    trial, folder = view.trials["0000"], view.folder.trial("0000")
    arrays = read_arrays(view.folder.arrays(view.content))
    shutil.rmtree(folder)
    job = Job(
        trial="0000", folder=str(folder), parent=None, architecture=trial.architecture, recipe={"batch_size": 16},
        seed=1, initial_epoch=0, epochs=1, horizon=1, data="", precision="mixed_bfloat16",
    )  # fmt: skip
    trial.score = train(job, arrays, lambda _: None)[-1].val_accuracy
    view.content["workers"]["precision"] = "mixed_bfloat16"
    result = export_run(view, formats=["keras"])
    assert all(file.difference <= 1e-5 for file in result.exported.files)
    saved = saved_model_pb2.SavedModel()
    saved.ParseFromString((result.saved_model / "saved_model.pb").read_bytes())
    kinds = {
        attribute.type
        for meta in saved.meta_graphs
        for nodes in (meta.graph_def.node, *(one.node_def for one in meta.graph_def.library.function))
        for node in nodes
        for attribute in node.attr.values()
    }
    assert types_pb2.DT_FLOAT in kinds
    assert not {types_pb2.DT_BFLOAT16, types_pb2.DT_HALF} & kinds
    model = keras.saving.load_model(result.folder / "model.keras")
    assert {layer.compute_dtype for layer in model.layers} <= {"float32", "uint8"}


@pytest.mark.slow
@pytest.mark.usefixtures("timed_briefly")
def test_a_format_that_gives_other_outputs_fails_and_leaves_nothing(
    make_view: MakeView, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The converter gives a file of another network."""
    view = make_view()
    planted = Format("keras", "model.keras", "Keras")
    monkeypatch.setitem(FORMATS, "keras", planted)
    build = make.build_saved_model

    def plant(request: Any) -> None:
        other = view.folder.path.parent / "other"
        other.mkdir()
        member = request.members[0]
        weights = other / WEIGHTS
        write_weights(weights, Architecture.from_dict(member.architecture), seed=5)
        from dataclasses import replace

        spoilt = replace(
            request,
            members=(replace(member, weights=str(weights)),),
            saved_model=str(other / "saved_model"),
            expected=str(other / "expected.npy"),
        )
        build(spoilt)
        build(replace(request, keras=""))

    monkeypatch.setattr(make, "build_saved_model", plant)
    with pytest.raises(ExportError, match=r"keras .*allowed: 1e-05"):
        export_run(view, formats=["keras"])
    assert not (view.folder.path / "export").exists()


def test_a_converter_that_fails_is_one_sentence(tmp_path: Path) -> None:
    unknown = Format("none", "model.none", "None")
    with pytest.raises(ExportError, match=r"converting to none: .*KeyError: 'none'"):
        convert(unknown, tmp_path, tmp_path / "model.none", tmp_path / "calibration.npy")


@pytest.mark.slow
def test_a_saved_model_that_is_absent_is_one_sentence(tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "none", ignore_errors=True)
    np.save(tmp_path / "calibration.npy", np.zeros((1, 32, 32, 3), "uint8"))
    with pytest.raises(ExportError, match=r"litert: .*none") as raised:
        convert(FORMATS["litert"], tmp_path / "none", tmp_path / "model.tflite", tmp_path / "calibration.npy")
    assert "\n" not in raised.value.message
