"""Reports of networks that were trained in full, several or one alone: nothing of rungs, nothing of a search."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from resnet_search.networks.presets import preset
from resnet_search.report import course, grid, inputs, winner
from resnet_search.report.as_json import plain
from resnet_search.report.content import report_of
from resnet_search.report.markdown import to_markdown
from resnet_search.report.pareto import fronts
from resnet_search.runs.trials import RunView, Trial
from tests.report.conftest import Events, make_content
from tests.report.reading import cells, prose, rows

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


def best_of(view: RunView) -> Trial:
    assert view.leader is not None
    return view.leader


def test_a_grid_has_no_rungs(make_grid: Callable[..., RunView]) -> None:
    view = make_grid("resnet-20", "wrn-16-4", "resnet-32")
    report = report_of(view)
    best = best_of(view)
    networks, way, searched = grid.networks(view), winner.way(view, best), inputs.searched(view)
    parts = (winner.about(view, best, None), networks, *fronts(view), way, course.budget(view), searched)
    assert [part for part in report.sections if part in parts] == list(parts)
    assert winner.role(view, best) == "best"
    summary, *_ = prose(report).splitlines()
    for fact in ("3 networks", "3 epochs", "7.0 s", "resnet-20", "trial 0000"):
        assert fact in summary
    assert "3 of 3" in prose(networks)
    assert "resnet-20, wrn-16-4, resnet-32" in cells(searched)
    for fact in ("3 epochs", "6.0 s"):
        assert fact in prose(way)
    text = to_markdown(report)
    for word in ("rung", "bracket", "promot", "Hyperband", "--factor", "--iterations", "candidates to the end"):
        assert word not in text, word


def test_published_errors_stand_beside_results_on_the_same_images(make_grid: Callable[..., RunView]) -> None:
    names = ("resnet-20", "se-resnet-20", "resnet-18")
    elsewhere = rows(grid.networks(make_grid(*names)))
    assert [row[-1] for row in elsewhere] == ["90.00 %", "80.00 %", "70.00 %"]
    table = rows(grid.networks(make_grid(*names, data={**make_content()["data"], "source": "cifar10"})))
    assert table[0][:4] == ["1", "0000", "resnet-20", "20"]
    # The second has no published error, that of the third is of ImageNet.
    assert [row[-2:] for row in table] == [["90.00 %", "91.25 %"], ["80.00 %", ""], ["70.00 %", ""]]


def test_a_grid_that_is_not_done(make_grid: Callable[..., RunView]) -> None:
    view = make_grid("resnet-20", "resnet-32", "resnet-44", done=2, fail="resnet-32")
    state, *_ = prose(report_of(view)).splitlines()
    for fact in ("interrupted", "1 of 3 trials", "resnet-search resume small-run"):
        assert fact in state
    done, failed = prose(grid.networks(view)).splitlines()
    assert "1 of 3" in done
    assert "1 network" in failed
    assert ["0001", "resnet-32", "the loss was nan in epoch 1"] in rows(grid.networks(view))


def test_one_network_alone(make_grid: Callable[..., RunView]) -> None:
    view = make_grid("resnet-20")
    report = report_of(view)
    assert not {grid.networks(view), inputs.searched(view), *fronts(view)} & {*report.sections}
    for name in ("resnet-20", "small-run"):
        assert name in plain(report.title)
    summary, *_ = prose(report).splitlines()
    for fact in ("resnet-20", "3 epochs", "3.0 s", "90.00 % ± 0.95 %"):
        assert fact in summary
    text = to_markdown(report)
    for word in ("winner", "best of", "candidate", "rung", "better network"):
        assert word not in text, word


def test_one_network_that_is_not_done_or_failed(make_grid: Callable[..., RunView]) -> None:
    begun = report_of(make_grid("resnet-20", done=0))
    assert "resnet-20" in plain(begun.title)
    state, nothing, *_ = prose(begun).splitlines()
    for fact in ("interrupted", "0 of 1 trial", "resnet-search resume small-run"):
        assert fact in state
    assert "%" not in nothing
    failed = report_of(make_grid("resnet-20", fail="resnet-20"))
    assert ["0000", "resnet-20", "the loss was nan in epoch 1"] in rows(failed)


def test_weights_of_imagenet_are_told(make_grid: Callable[..., RunView]) -> None:
    recipe = {**make_content()["recipe"], "init": "imagenet", "frozen_stages": 2}
    view = make_grid("resnet-50-v2", recipe=recipe)
    text = "\n".join(cells(winner.about(view, best_of(view), None)))
    facts = (
        "resnet50v2_weights_tf_dim_ordering_tf_kernels_notop.h5",
        "2 stages of 4",
        "mean 127.5, 127.5, 127.5",
        "std 127.5, 127.5, 127.5",
    )
    for fact in facts:
        assert fact in text
    other = make_grid("resnet-50-v2")
    assert not [fact for fact in facts if fact in "\n".join(cells(winner.about(other, best_of(other), None)))]


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
    view = make_view(run, content)
    assert "resnet-20" in plain(report_of(view).title)
    chain = [row[:4] for row in rows(winner.way(view, best_of(view)))[:2]]
    assert chain == [["0000", "0 / 0 / 0", "0 to 2", "50.00 %"], ["0001", "1 / 0 / 0", "2 to 3", "60.00 %"]]
