"""A run with one real trial: 64 random images, one epoch; and the children of an export without processes."""

from __future__ import annotations

import importlib
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from resnet_search.export import children, verify
from resnet_search.files import append_line
from resnet_search.networks.architecture import Architecture
from resnet_search.runs.folder import RunFolder
from resnet_search.runs.trials import RunView, view_of
from resnet_search.training.arrays import Arrays, channel_statistics, write_arrays
from resnet_search.training.job import Job
from tests.report.conftest import Events, make_content

CLASSES = ("disc", "ring", "<b>star</b>")
VALIDATION = 300
KEY = "arrays"


def architecture() -> Architecture:
    """That of candidate 0 of `tests.report.conftest.Events`."""
    return Architecture.from_axes(block="basic", n=1, width=4)


# `verify` as it is, but for its times.
_VERIFY_BRIEFLY = """
from importlib.util import module_from_spec, spec_from_file_location
spec = spec_from_file_location("verify", {path!r})
verify = module_from_spec(spec)
spec.loader.exec_module(verify)
verify.SECONDS = verify.WARM_UP_SECONDS = 0.0
verify.main()
"""


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, float]:
    """A folder of runs with trial 0000 trained in it, and the trial's score."""
    import tensorflow as tf

    from resnet_search.training.train import train

    runs = tmp_path_factory.mktemp("runs")
    random = np.random.default_rng(0)
    labels = random.integers(0, len(CLASSES), 64 + VALIDATION)
    images = random.integers(0, 256, (len(labels), 32, 32, 3), dtype=np.uint8)
    images[..., 0] = labels[:, None, None] * 80
    mean, std = channel_statistics(images[:64])
    arrays = Arrays(images[:64], labels[:64], images[64:], labels[64:], CLASSES, mean, std)
    write_arrays(runs / ".data" / KEY, arrays)
    job = Job(
        trial="0000",
        folder=str(runs / "run" / "trial_0000"),
        parent=None,
        architecture=architecture().to_dict(),
        recipe={"batch_size": 64},
        seed=1,
        initial_epoch=0,
        epochs=1,
        horizon=1,
        data=str(runs / ".data" / KEY),
    )
    tf.config.run_functions_eagerly(True)  # So few steps take less time than tracing one.
    try:
        history = train(job, arrays, lambda _: None)
    finally:
        tf.config.run_functions_eagerly(False)
    return runs, history[-1].val_accuracy


@pytest.fixture
def make_view(trained: tuple[Path, float], tmp_path: Path) -> Callable[..., RunView]:
    """A copy of that run with its one trial completed, its budget being `max_epochs`."""

    def make(*, max_epochs: int = 1, finished: bool = True, **rest: Any) -> RunView:
        runs, score = trained
        shutil.copytree(runs, tmp_path / "runs")
        content = make_content()
        content["space"]["hyperband"]["max_epochs"] = max_epochs
        content["data"] |= {"arrays": KEY, "classes": list(CLASSES), "validation": VALIDATION}
        run = Events()
        run.create(0, 0, (0, 0, 0), (0, 1), **rest)
        run.complete(0, score)
        if finished:
            run("finished")
        folder = RunFolder(tmp_path / "runs" / "run")
        for line in run.lines:
            append_line(folder.events, line)
        return view_of(folder, content, run.lines, locked=False)

    return make


def run_here(what: str, arguments: list[str], refusal: int = 0, error: str = "", *, gpu: bool = False) -> str:
    """What `children._run` does, in this process, which has TensorFlow and Keras loaded."""
    del what, gpu
    *_, program, request = arguments
    try:
        if program == verify.__file__:
            values = json.loads(request)
            verify.verify(values, verify._FORMATS[values["format"]][1], ())
        else:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(sys, "argv", [program, request])
                importlib.import_module(program).main()
    except verify.Rejected as problem:
        return str(problem)
    except SystemExit as end:
        return Path(error).read_text() if end.code == refusal else pytest.fail(f"ended with {end.code}")
    return ""


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """The children of an export run in this process; nothing is timed for long."""
    monkeypatch.setattr(children, "_run", run_here)
    # TensorFlow takes no other number of threads once it has begun to work.
    monkeypatch.setattr(verify, "_limit_threads", lambda _: None)
    monkeypatch.setattr(verify, "WARM_UP_SECONDS", 0.0)
    monkeypatch.setattr(verify, "SECONDS", 0.0)


@pytest.fixture
def timed_briefly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The processes that run an exported file time it for a moment instead of seconds."""
    script = tmp_path / "verify.py"
    script.write_text(_VERIFY_BRIEFLY.format(path=verify.__file__))
    monkeypatch.setattr(verify, "__file__", str(script))
