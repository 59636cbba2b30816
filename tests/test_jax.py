"""The whole job on JAX: with TensorFlow beside it, and on a machine that has none.

Everything runs in processes of its own with KERAS_BACKEND=jax, so that this file is the same in both environments.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import tomllib
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import psutil
import pytest

ROOT = Path(__file__).resolve().parents[1]
PATIENCE = 900  # seconds; compiling on a busy machine is slow
WITHOUT_TENSORFLOW = find_spec("tensorflow") is None
# Of the dependencies, what a machine without TensorFlow does without: itself, what reads its data sets, and what those
# and its part of Keras Tuner import.
LEFT_OUT = {"tensorflow", "tensorflow-datasets", "tensorboard", "importlib-resources"}
SPACE = """
description = "Small enough to compile in seconds."
[axes]
block = ["basic", "resnext"]
n = [1]
width = [4]
cardinality = [2]
[hyperband]
max_epochs = 3
factor = 3
[recipe]
batch_size = 16
[data]
source = "images.npz"
image_size = 8
validation = 16
"""

needs_jax = pytest.mark.skipif(find_spec("jax") is None, reason="JAX is not installed")


def test_the_requirements_without_tensorflow_are_the_declared_ones_and_jax():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = {re.split(r"[><=\[ ]", line)[0]: line for line in project["dependencies"]}
    assert declared.keys() >= LEFT_OUT
    wanted = {line for name, line in declared.items() if name not in LEFT_OUT}
    wanted |= set(project["optional-dependencies"]["jax"])
    lines = (ROOT / "requirements-jax.txt").read_text().splitlines()
    assert {line for line in lines if not line.startswith("#")} == wanted


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A folder with a space, its images as .npz and as files, and what JAX compiles."""
    from PIL import Image

    folder = tmp_path_factory.mktemp("jax")
    random = np.random.default_rng(0)
    labels = np.arange(112) % 2
    images = (random.integers(0, 100, (112, 8, 8, 3)) + 150 * labels[:, None, None, None]).astype(np.uint8)
    np.savez(folder / "images.npz", x_train=images[:96], y_train=labels[:96], x_test=images[96:], y_test=labels[96:])
    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        part = folder / "photos" / ("train" if number < 96 else "test") / f"class{label}"
        part.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(part / f"{number}.png")
    (folder / "tiny.toml").write_text(SPACE)
    return folder


@needs_jax
def test_the_installed_jax_reads_the_memory_fraction_that_workers_are_given():
    from importlib.resources import files

    from resnet_search.workers.backend import memory_fraction

    assert f"'{memory_fraction()}'" in files("jaxlib").joinpath("xla_client.py").read_text(encoding="utf-8")


def environment(folder: Path) -> dict[str, str]:
    # Its own cache of compiled steps: the first trial of a kind compiles, the others do not.
    return {
        **os.environ,
        "KERAS_BACKEND": "jax",
        "JAX_COMPILATION_CACHE_DIR": str(folder / "compiled"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "PYTHONPATH": str(ROOT),
    }


def run_program(folder: Path, program: str, **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program], cwd=folder, env=environment(folder) | settings, capture_output=True, text=True,
        check=False, timeout=PATIENCE,
    )  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    status: int
    out: str
    err: str


def search(folder: Path, *words: object, status: int | None = 0) -> Outcome:
    """Call the command line; its exit status must be `status`, or any if that is None."""
    command = [sys.executable, "-m", "resnet_search", *map(str, words)]
    done = subprocess.run(
        command, cwd=folder, env=environment(folder), capture_output=True, text=True, check=False, timeout=PATIENCE
    )
    outcome = Outcome(done.returncode, done.stdout, done.stderr)
    assert status in (None, outcome.status), outcome
    assert "Traceback" not in outcome.out + outcome.err
    return outcome


@pytest.fixture(scope="module")
def searched(folder) -> Outcome:
    """A search of the space, exported where that can be done."""
    return search(folder, "run", "--space", "tiny.toml", "--name", "first", "--workers", 1)


def trials(folder: Path, run: str) -> list[dict]:
    return json.loads(search(folder, "trials", run, "--json").out)["trials"]


@needs_jax
def test_a_search_trains_every_kind_of_block_and_is_recorded_as_jax(folder, searched):
    found = trials(folder, "first")
    assert {trial["status"] for trial in found} == {"completed"}
    assert len({trial["name"] for trial in found}) >= 2
    content = json.loads((folder / "runs" / "first" / "run.json").read_text())
    assert content["backend"] == content["workers"]["backend"] == "jax"
    assert re.match(r"\d+\.\d+", content["versions"]["jax"])
    assert "Searched" in searched.out


@needs_jax
def test_what_reads_a_run_needs_no_backend(folder, searched):
    del searched
    for words in (
        ["spaces"],
        ["plan", "--space", "tiny.toml"],
        ["models", "resnet-20"],
        ["list"],
        ["show", "first", "0"],
    ):
        assert search(folder, *words).out


@needs_jax
@pytest.mark.skipif(not WITHOUT_TENSORFLOW, reason="TensorFlow is installed")
def test_a_run_without_tensorflow_ends_well_with_a_report_and_says_how_it_is_exported(folder, searched):
    assert "SavedModel  not made" in searched.out
    assert "resnet-search export first" in searched.out
    assert "Best at the full budget" in searched.out
    report = (folder / "runs" / "first" / "report" / "report.md").read_text()
    assert "resnet-search export first" in report
    assert not (folder / "runs" / "first" / "export").exists()
    again = search(folder, "resume", "first")
    assert "nothing is left to train" in again.out
    assert "SavedModel  not made" in again.out
    refused = search(folder, "export", "first", status=1)
    assert "TensorFlow" in refused.err
    assert "pip install 'tensorflow" in refused.err


@needs_jax
@pytest.mark.skipif(not WITHOUT_TENSORFLOW, reason="TensorFlow is installed")
def test_what_needs_tensorflow_names_it(folder):
    outcome = search(folder, "train", "--model", "resnet-20", "--data", "tfds:mnist", "--epochs", 1, status=1)
    assert "TensorFlow Datasets" in outcome.err
    assert "pip install tensorflow" in outcome.err
    assert not (folder / "runs" / "resnet-20").exists()


@needs_jax
@pytest.mark.skipif(not WITHOUT_TENSORFLOW, reason="TensorFlow is installed")
def test_without_tensorflow_jax_is_the_default_and_tensorflow_an_error(folder):
    program = "import resnet_search, keras; print(keras.backend.backend())"
    plain = {key: value for key, value in environment(folder).items() if key != "KERAS_BACKEND"}
    done = subprocess.run([sys.executable, "-c", program], env=plain, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "jax"
    command = [sys.executable, "-m", "resnet_search", "run", "--space", "tiny.toml", "--name", "other"]
    done = subprocess.run(
        command, cwd=folder, env={**plain, "KERAS_BACKEND": "tensorflow"}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "KERAS_BACKEND: got 'tensorflow'" in done.stderr


@needs_jax
@pytest.mark.skipif(WITHOUT_TENSORFLOW, reason="TensorFlow is not installed")
def test_a_run_on_jax_is_exported_with_tensorflow_and_as_accurate(folder, searched):
    del searched
    manifest = json.loads((folder / "runs" / "first" / "export" / "export.json").read_text())
    assert manifest["verified"]["difference"] < 1e-5
    assert manifest["verified"]["accuracy"] == pytest.approx(manifest["score"], abs=1 / 16 + 1e-6)


@needs_jax
def test_doctor_and_clean(folder, searched):
    del searched
    checks = {
        check["name"]: check for check in json.loads(search(folder, "doctor", "--json", status=None).out)["checks"]
    }
    assert checks["Backend"]["text"] == "jax"
    assert checks["jax"]["status"] == "ok"
    if WITHOUT_TENSORFLOW:
        assert checks["tensorflow"]["status"] == checks["tensorflow-datasets"]["status"] == "warning"
        assert "Backend" in checks
    assert "problem" not in {
        check["status"] for check in json.loads(search(folder, "doctor", "first", "--json").out)["checks"]
    }


@needs_jax
def test_one_network_on_a_folder_of_images(folder):
    said = search(
        folder, "train", "--model", "resnet-20", "--data", "./photos", "--image-size", 8, "--epochs", 1,
        "--batch-size", 32, "--name", "folder", "--no-export",
    )  # fmt: skip
    assert "Trained resnet-20 for 1 epoch" in said.out


@pytest.fixture
def killed(folder) -> str:
    """A run whose driver was killed with -9 after its first epochs."""
    command = [sys.executable, "-m", "resnet_search", "run", "--space", "tiny.toml", "--max-epochs", "9", "--no-export"]
    process = subprocess.Popen(
        [*command, "--workers", "1", "--name", "killed"], cwd=folder, env=environment(folder), stdout=subprocess.DEVNULL
    )
    end = time.monotonic() + PATIENCE
    while not list((folder / "runs").glob("killed/trial_*/state.h5")) and time.monotonic() < end:
        time.sleep(0.02)
    children = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGKILL)
    process.wait()
    psutil.wait_procs(children, PATIENCE)
    return "killed"


@needs_jax
def test_a_killed_search_goes_on_to_the_same_trials(folder, killed):
    before = sum(trial["status"] == "completed" for trial in trials(folder, killed))
    plain = {key: value for key, value in environment(folder).items() if key != "KERAS_BACKEND"}
    # In a shell that does not say JAX: the backend belongs to the run.
    command = [sys.executable, "-m", "resnet_search", "resume", killed, "--no-export"]
    subprocess.run(command, cwd=folder, env=plain, check=True, stdout=subprocess.DEVNULL, timeout=PATIENCE)
    search(folder, "run", "--space", "tiny.toml", "--max-epochs", 9, "--workers", 1, "--name", "whole", "--no-export")
    outcomes = [
        [(one["name"], one["epochs"], one["score"]) for one in trials(folder, run)] for run in (killed, "whole")
    ]
    assert outcomes[0] == outcomes[1]
    # A kill between two trials leaves none that runs: that the search was not over is seen in their number.
    assert before < len(outcomes[1])


EXACT = """
import sys
from pathlib import Path
import h5py, numpy as np
from resnet_search.networks.architecture import Architecture
from resnet_search.training.arrays import Arrays, channel_statistics
from resnet_search.training.job import Job
from resnet_search.training.train import train

folder = Path(sys.argv[1])
data = np.load("images.npz")
x, y = data["x_train"], data["y_train"]
arrays = Arrays(x[:64], y[:64], x[64:], y[64:], ("a", "b"), *channel_statistics(x[:64]))

def go(name, epochs, parent=None, first=0):
    architecture = Architecture.from_axes(block="resnext", n=1, width=4, cardinality=2).to_dict()
    job = Job(trial=name, folder=str(folder / name), parent=parent and str(folder / parent), architecture=architecture,
              recipe={"batch_size": 16}, seed=3, initial_epoch=first, epochs=epochs, horizon=9, data="")
    train(job, arrays, lambda line: None)
    with h5py.File(folder / name / "state.h5") as file:
        return [file[group][key][()] for group in sorted(file) for key in sorted(file[group])]

whole = go("whole", 9)
go("one", 1)
go("three", 3, "one", 1)
parts = go("nine", 9, "three", 3)
assert len(whole) == len(parts) > 10
assert all(np.array_equal(one, two) for one, two in zip(whole, parts))
print("equal")
"""


@needs_jax
def test_rungs_are_one_training_bit_for_bit_whatever_is_left_in_the_cache(folder, tmp_path):
    """A second process compiles no program that is not there; of damaged ones it keeps no second copy."""

    def train(name: str) -> str:
        (tmp_path / name).mkdir()
        done = subprocess.run(
            [sys.executable, "-c", EXACT, str(tmp_path / name)], cwd=folder,
            env={**environment(folder), "JAX_COMPILATION_CACHE_DIR": str(tmp_path / "compiled")},
            capture_output=True, text=True, check=False, timeout=PATIENCE,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout.strip()

    assert train("first") == "equal"
    entries = sorted((tmp_path / "compiled").glob("*-cache"))
    assert entries, "nothing was kept of what was compiled"
    for entry in entries[::2]:  # As a kill while they are written leaves them.
        entry.write_bytes(entry.read_bytes()[:100])
    assert train("second") == "equal"
    assert sorted((tmp_path / "compiled").glob("*-cache")) == entries
    states = [(tmp_path / name / "nine" / "state.h5").read_bytes() for name in ("first", "second")]
    assert states[0] == states[1]


TOGETHER = """
import numpy as np
from keras import ops
from resnet_search.networks.architecture import Architecture
from resnet_search.training import augmentation, train as training
from resnet_search.training.arrays import Arrays, channel_statistics
from resnet_search.training.job import Job

data = np.load("images.npz")
x, y = data["x_train"][:80], data["y_train"][:80]
arrays = Arrays(x, y, x, y, ("a", "b"), *channel_statistics(x))
job = Job(trial="0", folder="", parent=None, architecture=Architecture(block="basic", blocks=(1,), width=4).to_dict(),
          recipe={"batch_size": 16}, seed=3, initial_epoch=0, epochs=1, horizon=9, data="")

def state(together):
    training.steps_per_execution = lambda: together
    trainer = training.Trainer(job, arrays)
    scores = [trainer._train(epoch, epoch + 1) for epoch in range(2)]
    return scores, [ops.convert_to_numpy(variable) for group in trainer.state.values() for variable in group]

(scores, one), (_, two), (others, four) = map(state, (1, 2, 4))
assert np.allclose(scores, others, rtol=1e-3)
assert all(np.array_equal(*pair) for pair in zip(two, four))
assert all(np.allclose(*pair, rtol=1e-3, atol=1e-4) for pair in zip(one, four))
augmentation._memory = lambda: 0
augmentation._variable.cache_clear()
for together, stored in ((1, one), (4, four)):
    _, gathered = state(together)
    assert all(np.array_equal(*pair) for pair in zip(stored, gathered)), together
print("equal")
"""


@needs_jax
def test_steps_in_one_call_are_the_same_steps_however_many(folder):
    """5 steps an epoch, so the last call is not full. Outside of XLA's loop, a step differs by rounding.

    So are those of images that are not on the device.
    """
    done = run_program(folder, TOGETHER)
    assert done.stdout.strip() == "equal", done.stderr[-3000:]


GIVEN_AWAY = """
import jax, keras, numpy as np
from resnet_search.training.arrays import Arrays
from resnet_search.training.augmentation import StoredImages, on_device

data = np.load("images.npz")
x, y = data["x_train"], data["y_train"]
arrays = Arrays(x, y, x, y, ("a", "b"), (0.0,) * 3, (1.0,) * 3)

def model():
    plan = [keras.Input((), dtype="int32"), keras.Input((2,), dtype="int32"), keras.Input((), dtype="int32")]
    images = keras.layers.Rescaling(1 / 255)(StoredImages(on_device(arrays), (0.0,) * 3)(plan))
    made = keras.Model(plan, keras.layers.Dense(2)(keras.layers.Flatten()(images)))
    made.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return made

def fit(made):
    count = len(x)
    plan = [np.arange(count, dtype="int32"), np.zeros((count, 2), "int32"), np.zeros(count, "int32")]
    made.fit(plan, y, batch_size=32, verbose=0)

fit(model())
broken = model()
broken.make_train_function()
step = broken.train_function
def fails(state, batches):
    step(state, batches)
    raise RuntimeError("RESOURCE_EXHAUSTED: out of memory")
broken.train_function, broken.make_train_function = fails, lambda force=False: None
try:
    fit(broken)
except RuntimeError as error:
    print(error)
fit(model())
assert np.array_equal(keras.ops.convert_to_numpy(on_device(arrays)), x)
print("trains again on", {device.id for array in jax.live_arrays() for device in array.devices()})
"""


@needs_jax
@pytest.mark.parametrize("devices", [1, 2])
def test_images_that_a_failed_step_has_taken_come_back_to_the_one_device_that_is_used(folder, devices):
    """JAX takes the variables of a model over for a step, the shared images with them."""
    done = run_program(folder, GIVEN_AWAY, XLA_FLAGS=f"--xla_force_host_platform_device_count={devices}")
    assert done.stdout.splitlines() == ["RESOURCE_EXHAUSTED: out of memory", "trains again on {0}"], done.stderr[-3000:]


@needs_jax
def test_the_driver_leaves_the_devices_to_its_workers(folder):
    """On a GPU, JAX would take a part of the memory for as long as the search lasts."""
    program = (
        "import resnet_search.search.loop, resnet_search.search.oracle, resnet_search.search.hypermodel\n"
        "from resnet_search.workers.devices import choose_workers\n"
        "assert choose_workers('auto', None, None)[1].backend == 'jax'\n"
        "from jax._src import xla_bridge\n"
        "print(xla_bridge.backends_are_initialized())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], env={**environment(folder), "CUDA_VISIBLE_DEVICES": "-1"},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.strip() == "False"
