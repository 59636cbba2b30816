"""The degradation experiment in a report: what the numbers show is what is said."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from resnet_search.files import append_line, write_text
from resnet_search.networks.architecture import Architecture
from resnet_search.report.content import report_of
from resnet_search.report.degradation import comparisons, degradation
from resnet_search.report.document import Document
from resnet_search.report.markdown import to_markdown
from resnet_search.runs.trials import RunView
from tests.report.conftest import Events, epoch_line, make_content

MakeView = Callable[..., RunView]
EPOCHS = 3


def network(block: str, depth: int, **axes: Any) -> Architecture:
    return Architecture.from_axes(block=block, depth=depth, width=axes.pop("width", 16), **axes)


@pytest.fixture
def make_grid(make_view: MakeView) -> Callable[..., RunView]:
    """A finished grid of networks, each with its last training accuracy; validation is five points below."""

    def make(networks: dict[Architecture, float], **content: Any) -> RunView:
        run = Events()
        for number, (a, accuracy) in enumerate(networks.items()):
            axes = {"name": a.name, "depth": a.depth, "architecture": a.to_dict(), "slot": number}
            run.create(number, number, (0, 0, 0), (0, EPOCHS), **axes)
            run.complete(number, round(accuracy - 0.05, 4))
        run("finished")
        whole = {**make_content(), **content}
        whole["space"]["method"] = "grid"
        whole["feasible"] = {"architectures": len(networks), "excluded": {}}
        whole["plan"] = [{"iteration": 0, "number": 0, "offset": 0, "rungs": [
            {"index": 0, "size": len(networks), "initial_epoch": 0, "epochs": EPOCHS}]}]  # fmt: skip
        view = make_view(run, whole)
        for trial, accuracy in zip(view.trials.values(), networks.values(), strict=True):
            path = view.folder.trial(trial.trial) / "history.jsonl"
            write_text(path, "")
            for epoch in range(1, EPOCHS + 1):
                share = epoch / EPOCHS
                line = {"accuracy": accuracy * share, "val_accuracy": (accuracy - 0.05) * share}
                append_line(path, {**epoch_line(epoch, 0.0), **line})
        return view

    return make


def said(view: RunView) -> str:
    section = degradation(view)
    assert section is not None
    return to_markdown(Document("", (), (section,))).replace("\\", "")


def test_the_experiment_of_the_paper(make_grid: Callable[..., RunView]) -> None:
    view = make_grid(
        {network("plain", 20): 0.9, network("plain", 56): 0.8, network("basic", 20): 0.91, network("basic", 56): 0.95}
    )
    text = said(view)
    assert "## Degradation: plain against residual" in text
    assert "From 20 to 56 layers the training error of the plain networks goes from 10.00 % to 20.00 %." in text
    assert "From 20 to 56 layers the training error of the residual networks goes from 9.00 % to 5.00 %." in text
    assert "At 56 layers the plain network's training error is 15.0 percentage points higher than the residual" in text
    assert "That is the degradation of He et al. 2015" in text
    # 3 epochs of 3,000 images in batches of 128.
    assert "After 69 steps, where the paper took 64,000, the deeper network may also just be slower." in text
    assert "| 20 | 10.00 % | 9.00 % | 15.00 % | 14.00 % |" in text
    assert "| 56 | 20.00 % | 5.00 % | 25.00 % | 10.00 % |" in text
    assert "n = 1" in text
    assert text.removeprefix("# \n\n") in to_markdown(report_of(view)).replace("\\", "")


@pytest.mark.parametrize(
    ("plain", "residual", "ending"),
    [
        ((0.8, 0.9), (0.8, 0.9), "does not show in this run"),
        ((0.8, 0.8), (0.8, 0.9), "does not show in this run"),
        ((0.8, 0.795), (0.8, 0.9), "does not show in this run"),  # within two standard errors of 3,000 images
        ((0.9, 0.8), (0.9, 0.85), "Depth costs both here"),
        ((0.9, 0.8), (0.9, 0.895), "with shortcuts the deeper network does not"),
    ],
)
def test_what_is_said_follows_from_the_training_errors(
    make_grid: Callable[..., RunView], plain: tuple[float, float], residual: tuple[float, float], ending: str
) -> None:
    text = said(
        make_grid(
            {
                network(block, depth): accuracy
                for block, accuracies in (("plain", plain), ("basic", residual))
                for depth, accuracy in zip((20, 32), accuracies, strict=True)
            }
        )
    )
    assert ending in text
    assert ("may also just be slower" in text) is ("does not show" not in text)
    assert ("may not have learned enough to tell" in text) is ("does not show" in text)


def test_a_long_training_is_not_called_short(make_grid: Callable[..., RunView]) -> None:
    content = make_content()
    view = make_grid(
        {network("plain", 20): 0.9, network("plain", 56): 0.8, network("basic", 56): 0.9, network("basic", 20): 0.8},
        data={**content["data"], "train": 50_000 * 100},
    )
    assert "the degradation of He" in said(view)
    assert "slower" not in said(view)


def test_one_depth_says_nothing_of_depth(make_grid: Callable[..., RunView]) -> None:
    text = said(make_grid({network("plain", 20): 0.9, network("basic", 20): 0.9, network("basic", 32): 0.9}))
    assert "At 20 layers the plain network's training error is about the same as the residual one's." in text
    assert "takes two depths of each" in text
    assert "| 32 |  | 10.00 % |  | 15.00 % |" in text


def test_only_networks_of_the_same_size_are_compared(make_grid: Callable[..., RunView]) -> None:
    view = make_grid({network("plain", 20): 0.9, network("basic", 20, width=8): 0.9, network("basic", 32): 0.9})
    assert comparisons(view) == []
    assert degradation(view) is None
    assert "Degradation" not in to_markdown(report_of(view))


def test_each_shortcut_is_a_comparison_of_its_own(make_grid: Callable[..., RunView]) -> None:
    shortcuts = ("identity", "projection")
    view = make_grid(
        {network("plain", 20): 0.9, **{network("basic", 20, shortcut=shortcut): 0.9 for shortcut in shortcuts}}
    )
    assert [each.shortcut for each in comparisons(view)] == list(shortcuts)
    assert "Width 16, shortcut projection:" in said(view)


def test_curves_share_one_scale(make_grid: Callable[..., RunView]) -> None:
    text = said(make_grid({network("plain", 20): 0.2, network("basic", 20): 0.8}))
    assert "from 20.0 % (lowest bar) to 95.0 % (highest)" in text
    # Errors 93, 87, 80 and 73, 47, 20 percent, and five points more in validation.
    assert "| `plain20-w16` (plain-20) | `█▇▇` | `██▇` |" in text
    assert "| `basic20-w16` | `▆▃▁` | `▆▄▁` |" in text


def test_a_history_that_is_gone_leaves_its_network_out(make_grid: Callable[..., RunView]) -> None:
    view = make_grid({network("plain", 20): 0.9, network("basic", 20): 0.9})
    (view.folder.trial("0001") / "history.jsonl").unlink()
    assert degradation(view) is None
