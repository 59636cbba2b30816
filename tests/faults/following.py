"""The commands that follow a search, with networks, images and files of an export that take no time: see `driver`."""

from __future__ import annotations

import io
import os
import signal
from contextlib import redirect_stderr
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from benchmarks.content import DATA
from resnet_search import files

# What the commands import, once for all forks.
from resnet_search.cli import confirm, final, main, searching, train  # noqa: F401
from resnet_search.cli.session import Session, Signals
from resnet_search.export import saved_model, test_set
from resnet_search.report import content, written
from resnet_search.report.exported import File
from resnet_search.search import after
from resnet_search.workers.local import WorkerSettings

from .injection import IMAGES, note


def carry_out(request: dict[str, Any]) -> None:
    """The command line in `words`. `kill_in_read`: it is killed while it reads the test images."""
    reads = Path(request["runs_dir"]) / "reads"

    def load_again(*_: Any) -> Any:
        note(reads, "read")
        if request.get("kill_in_read"):
            os.kill(os.getpid(), signal.SIGKILL)
        classes = tuple(map(str, range(10)))
        return SimpleNamespace(x_test=np.zeros((IMAGES, 1)), y_test=np.arange(IMAGES) % 10, classes=classes)

    patches: tuple[tuple[Any, dict[str, Any]], ...] = (
        (after, {"choose_workers": lambda *_, **__: (request["slots"], WorkerSettings(threads=1))}),
        (after, {"keras_backend": lambda: "tensorflow", "arrays_of": _nothing, "write_arrays": _nothing}),
        (after, {"read_again": _read_again}),
        (written, {"illustrated": content.report_of}),  # Plots take a second.
        (saved_model, {"images_of": lambda _: SimpleNamespace(arrays=None), "member_of": _nothing}),
        (saved_model, {"make_files": _make_files, "_accuracy": lambda *_: 0.5}),
        (
            test_set,
            {
                "load_again": load_again,
                "fingerprint": lambda _: DATA["fingerprint"],
                "probabilities_of": _probabilities,
            },
        ),
    )
    for module, values in patches:
        for name, value in values.items():
            assert hasattr(module, name)
            setattr(module, name, value)
    with redirect_stderr(io.StringIO()) as said:
        status = main.execute(request["words"], Signals(Session()))
    if status or said.getvalue():
        raise RuntimeError(said.getvalue())


def _nothing(*_: Any, **__: Any) -> None:
    pass


def _read_again(*_: Any, **__: Any) -> tuple[None, dict[str, Any]]:
    return None, {**DATA, "test": IMAGES, "train": 120, "merged": True}


def _make_files(_: Any, __: Any, ___: Any, folder: Path, ____: Any) -> tuple[list[File], Any]:
    files.make_folder(folder / "saved_model")
    files.write_text(folder / "saved_model" / "saved_model.pb", "network")
    made = File(
        format="saved_model", name="saved_model", runtime="TensorFlow", size=7, compared=20, difference=0.0,
        agreement=1.0, required=0.0, accuracy=0.5, latencies=(),
    )  # fmt: skip
    return [made], np.zeros(20, np.int64)


def _probabilities(*_: Any) -> Any:
    scores = np.random.default_rng(0).random((IMAGES, 10))
    return (scores / scores.sum(axis=1, keepdims=True)).astype(np.float32)
