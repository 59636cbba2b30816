"""Reports of networks that were trained in full, several or one alone: nothing of rungs, nothing of a search."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from resnet_search.networks.presets import preset
from resnet_search.report.content import report_of
from resnet_search.report.markdown import to_markdown
from resnet_search.runs.trials import RunView
from tests.report.conftest import Events, make_content

MakeView = Callable[..., RunView]


@pytest.fixture
def make_grid(make_view: MakeView) -> Callable[..., RunView]:
    """A grid of named networks, up to `done` of them trained, to scores that fall by a tenth each."""

    def make(*names: str, done: int | None = None, fail: str = "", **content: Any) -> RunView:
        run = Events()
        for number, name in enumerate(names[:done]):
            a = preset(name).architecture
            axes = {"name": name, "depth": a.depth, "architecture": a.to_dict(), "slot": number}
            run.create(number, number, (0, 0, 0), (0, 3), **axes)
            if name == fail:
                run.fail(number, "the loss was nan in epoch 1")
            else:
                run.complete(number, 0.9 - number / 10)
        if done is None:
            run("finished")
        whole = make_content()
        whole["space"] |= {"method": "grid", "axes": {"models": list(names)}, "name": names[0]}
        whole["feasible"] = {"architectures": len(names), "excluded": {}}
        rung = {"index": 0, "size": len(names), "initial_epoch": 0, "epochs": 3}
        whole["plan"] = [{"iteration": 0, "number": 0, "offset": 0, "rungs": [rung]}]
        return make_view(run, {**whole, **content})

    return make


def titles(view: RunView) -> list[str]:
    return [str(section.title) for section in report_of(view).sections]


def written(view: RunView) -> str:
    return to_markdown(report_of(view)).replace("\\", "")


def test_a_grid_has_no_rungs(make_grid: Callable[..., RunView]) -> None:
    view = make_grid("resnet-20", "wrn-16-4", "resnet-32")
    assert titles(view) == [
        "The network: best",
        "What this accuracy is not",
        "How to use it",
        "The networks, best first",
        "Accuracy against cost",
        "How it was trained",
        "What it cost",
        "What was trained",
        "Reads of the test images",
        "Images",
        "To repeat this run",
    ]
    text = written(view)
    assert text.startswith("# Comparison `small-run`\n")
    assert "Of 3 networks, each trained for all 3 epochs, in 7.0 s, the best is `resnet-20`, trial 0000" in text
    assert "Every network is trained for all 3 epochs, once: none is stopped early" in text
    assert "3 of 3 are done." in text
    assert "| Method | every network once, for all 3 epochs |" in text
    assert "| Axis: models | `resnet-20, wrn-16-4, resnet-32` |" in text
    assert "In one go, for all 3 epochs, in 6.0 s of training." in text
    for word in ("rung", "bracket", "promot", "Hyperband", "--factor", "--iterations", "candidates to the end"):
        assert word not in text, word


def test_published_errors_stand_beside_results_on_the_same_images(make_grid: Callable[..., RunView]) -> None:
    names = ("resnet-20", "se-resnet-20", "resnet-18")
    assert "Published" not in written(make_grid(*names))
    text = written(make_grid(*names, data={**make_content()["data"], "source": "cifar10"}))
    assert "| 1 | `0000` | `resnet-20` | 20 | " in text
    assert "| 90.00 % | 91.25 % |" in text
    # The one has no published error, that of the other is of ImageNet.
    assert "| 80.00 % |  |" in text
    assert "| 70.00 % |  |" in text


def test_a_grid_that_is_not_done(make_grid: Callable[..., RunView]) -> None:
    text = written(make_grid("resnet-20", "resnet-32", "resnet-44", done=2, fail="resnet-32"))
    assert "**The search is not finished (interrupted): 1 of 3 trials.** A better network may still come." in text
    assert "1 network could not be trained:" in text
    assert "| `0001` | `resnet-32` | `the loss was nan in epoch 1` |" in text
    assert "1 of 3 are done." in text


def test_one_network_alone(make_grid: Callable[..., RunView]) -> None:
    view = make_grid("resnet-20")
    assert titles(view) == [
        "The network",
        "What this accuracy is not",
        "How to use it",
        "How it was trained",
        "What it cost",
        "Reads of the test images",
        "Images",
        "To repeat this run",
    ]
    text = written(view)
    assert text.startswith("# Training of `resnet-20`: `small-run`\n")
    assert "`resnet-20`, trained for 3 epochs in 3.0 s: 90.00 % ± 0.95 % validation accuracy" in text
    assert "they chose neither the network nor the epoch" in text
    for word in (" search ", "winner", "best of", "candidate", "rung", "better network"):
        assert word not in text, word


def test_one_network_that_is_not_done_or_failed(make_grid: Callable[..., RunView]) -> None:
    text = written(make_grid("resnet-20", done=0))
    assert "# Training of `resnet-20`" in text
    assert "**The training is not finished (interrupted): 0 of 1 trial.** To go on: `resnet-search resume" in text
    assert "No trial has completed yet." in text
    text = written(make_grid("resnet-20", fail="resnet-20"))
    assert "| `0000` | `resnet-20` | `the loss was nan in epoch 1` |" in text


def test_weights_of_imagenet_are_told(make_grid: Callable[..., RunView]) -> None:
    recipe = {**make_content()["recipe"], "init": "imagenet", "frozen_stages": 2}
    text = written(make_grid("resnet-50-v2", recipe=recipe))
    assert "`resnet50v2_weights_tf_dim_ordering_tf_kernels_notop.h5`; the head is new |" in text
    assert "| Frozen | 2 stages of 4, the stem with them: weights and batch-norm statistics |" in text
    assert "mean 127.5, 127.5, 127.5, std 127.5, 127.5, 127.5 |" in text
    assert "First weights" not in written(make_grid("resnet-50-v2"))


def test_a_network_that_was_extended(make_view: MakeView) -> None:
    """By resume --add-epochs: the same network further, by trials that continue each other."""
    run = Events()
    a = preset("resnet-20").architecture
    axes = {"name": "resnet-20", "depth": a.depth, "architecture": a.to_dict()}
    run.create(0, 0, (0, 0, 0), (0, 2), **axes)
    run.complete(0, 0.5)
    run.create(1, 0, (1, 0, 0), (2, 3), parent="0000", **axes)
    run.complete(1, 0.6)
    run("finished")
    content = make_content()
    content["space"]["method"] = "grid"
    content["feasible"] = {"architectures": 1, "excluded": {}}
    content["plan"] = [
        {"iteration": iteration, "number": 0, "offset": 0, "rungs": [rung]}
        for iteration, rung in enumerate(
            (
                {"index": 0, "size": 1, "initial_epoch": 0, "epochs": 2},
                {"index": 0, "size": 1, "initial_epoch": 2, "epochs": 3},
            )
        )
    ]
    text = written(make_view(run, content))
    assert text.startswith("# Training of `resnet-20`")
    assert "Each trial continues the weights" in text
    assert "| `0001` | 1 / 0 / 0 | 2 to 3 | 60.00 % |" in text
