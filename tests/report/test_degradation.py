"""The degradation experiment in a report: what the numbers show is what is said."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from resnet_search.files import append_line, write_text
from resnet_search.networks.architecture import Architecture
from resnet_search.report.content import report_of
from resnet_search.report.degradation import _NOT_SHOWN, PAPER_STEPS, _early, _shown, comparisons, degradation
from resnet_search.report.document import Section
from resnet_search.runs.trials import RunView
from resnet_search.training.recipe import Recipe
from tests.report.conftest import Events, epoch_line, make_content
from tests.report.reading import prose, rows

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


STEPS = 3 * (3_000 // Recipe().batch_for(3_000))
COSTS_BOTH, COSTS_PLAIN = _shown(1), _shown(-1)


def experiment(view: RunView) -> Section:
    section = degradation(view)
    assert section is not None
    return section


def test_the_experiment_of_the_paper(make_grid: Callable[..., RunView]) -> None:
    view = make_grid(
        {network("plain", 20): 0.9, network("plain", 56): 0.8, network("basic", 20): 0.91, network("basic", 56): 0.95}
    )
    section = experiment(view)
    text = prose(section)
    plain, residual, sides = (text.index(change) for change in ("10.00 % to 20.00 %", "9.00 % to 5.00 %", "15.00 perc"))
    assert plain < residual < sides
    for fact in ("20 to 56 layers", "56 layers", COSTS_PLAIN, f"{STEPS} steps", f"{PAPER_STEPS:,}", "n = 1"):
        assert fact in text
    assert rows(section)[:2] == [
        ["20", "10.00 %", "9.00 %", "15.00 %", "14.00 %"],
        ["56", "20.00 %", "5.00 %", "25.00 %", "10.00 %"],
    ]
    assert section in report_of(view).sections


@pytest.mark.parametrize(
    ("plain", "residual", "ending"),
    [
        ((0.8, 0.9), (0.8, 0.9), _NOT_SHOWN),
        ((0.8, 0.8), (0.8, 0.9), _NOT_SHOWN),
        ((0.8, 0.795), (0.8, 0.9), _NOT_SHOWN),  # within two standard errors of 3,000 images
        ((0.9, 0.8), (0.9, 0.85), COSTS_BOTH),
        ((0.9, 0.8), (0.9, 0.895), COSTS_PLAIN),
    ],
)
def test_what_is_said_follows_from_the_training_errors(
    make_grid: Callable[..., RunView], plain: tuple[float, float], residual: tuple[float, float], ending: str
) -> None:
    view = make_grid(
        {
            network(block, depth): accuracy
            for block, accuracies in (("plain", plain), ("basic", residual))
            for depth, accuracy in zip((20, 32), accuracies, strict=True)
        }
    )
    text = prose(experiment(view))
    assert [said for said in (_NOT_SHOWN, COSTS_BOTH, COSTS_PLAIN) if said in text] == [ending]
    assert f"{ending}{_early(STEPS, shows=ending != _NOT_SHOWN)}\n" in text


def test_a_short_training_leaves_open_what_it_shows_and_what_it_does_not() -> None:
    assert _early(STEPS, shows=True) != _early(STEPS, shows=False)
    assert _early(PAPER_STEPS // 2, shows=True) == _early(PAPER_STEPS // 2, shows=False) == ""


def test_a_long_training_is_not_called_short(make_grid: Callable[..., RunView]) -> None:
    content = make_content()
    view = make_grid(
        {network("plain", 20): 0.9, network("plain", 56): 0.8, network("basic", 56): 0.9, network("basic", 20): 0.8},
        data={**content["data"], "train": 50_000 * 100},
    )
    # Nothing follows what is said.
    assert f"{COSTS_PLAIN}\n" in prose(experiment(view))


def test_one_depth_says_nothing_of_depth(make_grid: Callable[..., RunView]) -> None:
    section = experiment(make_grid({network("plain", 20): 0.9, network("basic", 20): 0.9, network("basic", 32): 0.9}))
    text = prose(section)
    assert "20 layers" in text
    assert not [said for said in (_NOT_SHOWN, COSTS_BOTH, COSTS_PLAIN, "steps") if said in text]
    assert ["32", "", "10.00 %", "", "15.00 %"] in rows(section)


def test_only_networks_of_the_same_size_are_compared(make_grid: Callable[..., RunView]) -> None:
    view = make_grid({network("plain", 20): 0.9, network("basic", 20, width=8): 0.9, network("basic", 32): 0.9})
    assert comparisons(view) == []
    assert degradation(view) is None


def test_each_shortcut_is_a_comparison_of_its_own(make_grid: Callable[..., RunView]) -> None:
    shortcuts = ("identity", "projection")
    view = make_grid(
        {network("plain", 20): 0.9, **{network("basic", 20, shortcut=shortcut): 0.9 for shortcut in shortcuts}}
    )
    assert [each.shortcut for each in comparisons(view)] == list(shortcuts)
    for shortcut in shortcuts:
        assert f"idth 16, shortcut {shortcut}" in prose(experiment(view))


def test_curves_share_one_scale(make_grid: Callable[..., RunView]) -> None:
    section = experiment(make_grid({network("plain", 20): 0.2, network("basic", 20): 0.8}))
    for end in ("20.0 %", "95.0 %"):
        assert end in prose(section)
    # Errors 93, 87, 80 and 73, 47, 20 percent, and five points more in validation.
    assert rows(section)[-2:] == [["plain20-w16 (plain-20)", "█▇▇", "██▇"], ["basic20-w16", "▆▃▁", "▆▄▁"]]


def test_a_history_that_is_gone_leaves_its_network_out(make_grid: Callable[..., RunView]) -> None:
    view = make_grid({network("plain", 20): 0.9, network("basic", 20): 0.9})
    (view.folder.trial("0001") / "history.jsonl").unlink()
    assert degradation(view) is None
