"""train: one named network as a run, around a training and an export that are made up; and screens for one network."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from resnet_search.cli.named import EPOCHS, space_of
from resnet_search.cli.plain import PlainLines
from resnet_search.cli.progress import Progress
from resnet_search.errors import DataError, TrainingError
from resnet_search.files import append_line
from resnet_search.networks.imagenet import SOURCES
from resnet_search.networks.presets import PRESETS, preset
from resnet_search.report.units import accuracy, duration
from resnet_search.runs.events import append_event
from resnet_search.runs.folder import RunFolder, name_taken
from resnet_search.runs.trials import RunView, read_run
from resnet_search.search import start
from resnet_search.search.start import SearchSettings
from resnet_search.spaces.load import parse_space
from resnet_search.spaces.plan import make_plan
from resnet_search.spaces.space import SearchSpace
from resnet_search.training.recipe import RECIPES, recipe_from
from resnet_search.workers.cluster import Cluster

from .conftest import Asked, Outcome, commands, make_folder, make_run, refused, spawn
from .test_progress import drawn, epoch, replay


def one(model: str = "resnet-20", epochs: int = 9, **recipe: Any) -> SearchSpace:
    data = {"source": "shapes", "validation": 0.1, "image_size": 32}
    return space_of(preset(model), {"name": "he", **recipe}, epochs, data)


def test_a_network_is_a_grid_of_its_own(command: Callable[..., Outcome], asked: Asked) -> None:
    outcome = command("train", "--model", "ResNet-20", "--data", "shapes", "--name", "a", "--train-examples", 500)
    assert outcome.status == 0, outcome.err
    [(space, settings)] = asked.searches
    assert (space.name, space.method, space.axes.models) == ("resnet-20", "grid", ("resnet-20",))
    assert [architecture.name for architecture in make_plan(space).feasible.architectures] == ["basic20-w16-identity"]
    assert space.hyperband.max_epochs == 164
    assert recipe_from(space.fixed_recipe) == RECIPES["he"]
    assert (space.data.source, space.data.validation, space.data.image_size) == ("shapes", 0.1, 32)
    assert settings == SearchSettings(name="a", train_examples=500, workers=1)
    assert asked.exports == [{"run": "a"}]
    view = read_run(RunFolder(Path("runs/a")))
    assert view.winner is not None
    score = view.winner.score or 0.0
    for fact in (
        "resnet-20", "20 layers", "270 k", "He et al. 2015", " he,", "164 epochs", "sgd", "0.1", "128", "32 x 32",
        "500 training images", duration(view.seconds), accuracy(score, 800),
        "runs/a/export/saved_model",
    ):  # fmt: skip
        assert fact in outcome.out
    assert commands(outcome.out) == ["show a 0000", "predict a new-images/", "export a --format onnx"]
    for word in ("trials", "bracket", "rung"):
        assert word not in outcome.out, word


def test_every_option_of_train_reaches_the_training(
    command: Callable[..., Outcome], asked: Asked, tmp_path: Path, machine: Path
) -> None:
    space = ["--recipe", "wrn", "--epochs", 5, "--learning-rate", 0.02, "--batch-size", 64, "--image-size", 40]
    run = ["--runs-dir", "there", "--name", "a", "--seed", 7, "--data-dir", tmp_path, "--threads", 3, "--device", "cpu"]
    run += ["--precision", "float32", "--hang-timeout", "5m", "--time-budget", "2h", "--train-examples", 500, "--test"]
    outcome = command("train", "--model", "resnet-20", "--data", "shapes", *space, *run, "--no-export", "-q")
    assert outcome.status == 0, outcome.err
    [(searched, settings)] = asked.searches
    recipe = {"name": "wrn", "learning_rate": 0.02, "batch_size": 64}
    data = {"source": "shapes", "validation": 0.1, "image_size": 40}
    assert searched == space_of(preset("resnet-20"), recipe, 5, data)
    assert settings == SearchSettings(
        runs_dir=Path("there"), name="a", seed=7, data_dir=tmp_path, train_examples=500, workers=1, threads=3,
        device="cpu", precision="float32", hang_timeout=300.0, merged=True,
    )  # fmt: skip
    assert asked.budgets == [(7200.0, None)]
    assert asked.exports == []


def test_a_network_trains_on_a_cluster(command: Callable[..., Outcome], asked: Asked) -> None:
    words = ["--data", "shapes", "--name", "a", "--workers", "ray://a:1", "--cpus-per-trial", "2"]
    outcome = command("train", "--model", "resnet-20", *words)
    assert outcome.status == 0, outcome.err
    assert asked.searches[0][1].workers == Cluster(address="a:1", cpus=2.0)


def test_the_name_of_a_run_begins_with_the_model(command: Callable[..., Outcome], asked: Asked) -> None:
    outcome = command("train", "--model", "wrn-16-4", "--data", "shapes", "--no-export", "-q")
    assert outcome.out.startswith("runs/wrn-16-4-20")


def test_a_name_that_another_run_has_taken_meanwhile(
    command: Callable[..., Outcome], asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of several runs started in one second, each reads its images before it makes its folder."""
    quickly = start.run_search
    taken: list[Any] = []

    def slowly(space: SearchSpace, settings: Any, *rest: Any, **more: Any) -> RunView:
        if not taken:
            taken.append(make_run(settings.runs_dir, settings.name, stop_after=1))
        if (settings.runs_dir / settings.name).exists():
            raise name_taken(settings.runs_dir, settings.name)
        return quickly(space, settings, *rest, **more)

    monkeypatch.setattr(start, "run_search", slowly)
    words = ["train", "--model", "wrn-16-4", "--data", "shapes", "--no-export", "-q"]
    outcome = command(*words)
    assert outcome.status == 0, outcome.err
    assert outcome.out.startswith("runs/wrn-16-4-20")
    assert outcome.out.strip() != str(taken[0].path)
    # A name that was asked for is another matter.
    taken.clear()
    refused(command(*words, "--name", "mine"), 1, "--name", "'mine'", "runs")


@pytest.mark.parametrize(
    ("words", "epochs", "recipe"),
    [
        (["--recipe", "wrn"], 200, RECIPES["wrn"].to_dict()),
        (["--model", "resnet-110"], 164, {"name": "he", "warmup_epochs": 1.0}),
        (["--model", "resnet-110", "--recipe", "wrn"], 200, RECIPES["wrn"].to_dict()),
        (["--recipe", "search"], EPOCHS, RECIPES["search"].to_dict()),
        (["--recipe", "resnext", "--epochs", "12"], 12, RECIPES["resnext"].to_dict()),
        (
            ["--learning-rate", "0.02", "--batch-size", "64"],
            164,
            {"name": "he", "learning_rate": 0.02, "batch_size": 64},
        ),
        (
            ["--model", "resnet-50-v2", "--init", "imagenet", "--frozen-stages", "3"],
            30,
            {"name": "finetune", "init": "imagenet", "frozen_stages": 3},
        ),
        (
            ["--model", "keras-resnet-50", "--init", "imagenet", "--recipe", "he"],
            164,
            {"name": "he", "init": "imagenet"},
        ),
    ],
)
def test_recipes(
    command: Callable[..., Outcome], asked: Asked, words: list[str], epochs: int, recipe: dict[str, Any]
) -> None:
    outcome = command("train", "--model", "resnet-20", "--data", "shapes", *words)
    assert outcome.status == 0, outcome.err
    space = asked.searches[0][0]
    assert space.hyperband.max_epochs == epochs
    assert recipe_from(space.fixed_recipe) == recipe_from(recipe)
    # Where it starts, and that the weights are yet to be downloaded.
    assert outcome.out.count("ImageNet") == (2 if "imagenet" in words else 0)
    assert bool(re.search(r"\d MB", outcome.out)) is ("imagenet" in words)


@pytest.mark.parametrize(
    ("words", "size"),
    [
        (["--model", "resnet-18"], 32),
        (["--model", "resnet-18", "--data", "./photos"], 224),
        (["--model", "resnet-20", "--data", "./photos"], 32),
        (["--model", "resnet-18", "--data", "./photos", "--image-size", "96"], 96),
    ],
)
def test_images_are_as_large_as_the_network_was_made_for(
    command: Callable[..., Outcome], asked: Asked, words: list[str], size: int
) -> None:
    make_folder(Path("photos"), ant=20, bee=20)
    command("train", "--data", "shapes", *words)
    assert asked.searches[0][0].data.image_size == size


def test_a_network_of_large_images_on_small_ones_is_noted(command: Callable[..., Outcome], asked: Asked) -> None:
    def note(*words: str) -> str:
        lines = command("train", "--data", "shapes", "--model", *words).out.split("\n\n")[0].splitlines()
        return next((line for line in lines if line.startswith("Note ")), "")

    line = note("se-resnet-50")
    assert all(fact in line for fact in ("32 x 32", "1 x 1", "--image-size", "train --model se-resnet-50-cifar"))
    assert note("se-resnet-50-cifar") == ""
    # With weights of ImageNet there is no sibling to go to.
    line = note("resnet-50-v2", "--init", "imagenet")
    assert "--image-size" in line
    assert "-cifar" not in line


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ([], ["RUN", "--model"]),
        (["--model", "resnet-21"], ["--model", "resnet-20"]),
        (["--model", "resnet-20", "--recipe", "hee"], ["--recipe", "nearest: he"]),
        (["--model", "resnet-20", "--epochs", "0"], ["--epochs"]),
        (["--model", "resnet-20", "--learning-rate", "-1"], ["--learning-rate", "1e-06", "10"]),
        (["--model", "resnet-20", "--batch-size", "1.5"], ["--batch-size", "1", "8192"]),
        (["--model", "resnet-20", "--init", "imagnet"], ["--init", "nearest: imagenet"]),
        (["--model", "resnet-50", "--init", "imagenet"], ["keras-resnet-50", "keras-resnet-101"]),
        (["--model", "keras-resnet-50", "--frozen-stages", "1"], ["--frozen-stages", "--init imagenet"]),
        (["--model", "keras-resnet-50", "--init", "imagenet", "--frozen-stages", "5"], ["--frozen-stages", "0", "4"]),
        (["--model", "resnet-20", "--data", "cifar"], ["--data", "nearest: cifar10"]),
        (["--model", "resnet-20", "--image-size", "4"], ["--image-size"]),
        (["--model", "resnet-20", "--validation", "2.5"], ["--validation"]),
        (["--model", "resnet-20", "surplus"], ["surplus"]),
        (["--model", "resnet-20", "--time-budget", "2"], ["--time-budget", "2h"]),
        (["--model", "resnet-20", "--max-trials", "2"], ["--max-trials"]),
    ],
)
def test_wrong_command_lines(
    command: Callable[..., Outcome], asked: Asked, words: list[str], names: list[str], tmp_path: Path
) -> None:
    refused(command("train", *words), 2, *names)
    assert asked == Asked()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("words", [["--validation", "5000"], ["--train-examples", "3"], ["--train-examples", "100000"]])
def test_images_that_there_are_not(
    command: Callable[..., Outcome], asked: Asked, words: list[str], tmp_path: Path
) -> None:
    outcome = command("train", "--model", "resnet-20", "--data", "shapes", "-q", *words)
    refused(outcome, 1, words[0][2:].replace("-", "_"), words[1])
    assert outcome.error is DataError
    assert asked == Asked()
    assert list(tmp_path.iterdir()) == []


def test_without_weights_nothing_is_left_behind(
    command: Callable[..., Outcome], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from resnet_search.training import weights

    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setattr(weights, "unreachable", lambda _: "no route to host")
    monkeypatch.chdir(tmp_path)
    outcome = command("train", "--model", "resnet-50-v2", "--init", "imagenet", "--data", "shapes", "--device", "cpu")
    refused(outcome, 1, str(tmp_path / "keras" / "models" / SOURCES["resnet-50-v2"].file), "no route to host")
    assert not (tmp_path / "runs").exists()


def test_every_model_makes_a_space() -> None:
    assert [one(model).axes.models for model in PRESETS] == [(model,) for model in PRESETS]


def test_the_page_has_every_recipe_and_its_length() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "train.md").read_text(encoding="utf-8")
    rows = [line.split("|")[1:3] for line in page.splitlines() if line.startswith("| `") and "`--" not in line]
    told = {name.split("`")[1]: int(epochs) for name, epochs in rows}
    assert told == {name: recipe.epochs or EPOCHS for name, recipe in RECIPES.items()}


def test_a_path_with_any_character_is_read_back(tmp_path: Path) -> None:
    for source in ('./a "quoted" \\ name', "./päth/日本/𝄞", "./it's"):
        data = {"source": source, "validation": 20, "image_size": 64}
        assert space_of(preset("resnet-20"), {"name": "he"}, 3, data).data.source == source


def test_a_network_that_cannot_be_trained(
    command: Callable[..., Outcome], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run_search(space: SearchSpace, settings: Any, observers: Any = (), **_: Any) -> RunView:
        folder = make_run(settings.runs_dir, settings.name, space=space, stop_after=0)
        append_event(folder.events, "failed", trial="0000", reason="nan in epoch 2")
        append_event(folder.events, "finished")
        return read_run(folder)

    monkeypatch.setattr(start, "run_search", run_search)
    monkeypatch.chdir(tmp_path)
    outcome = command("train", "--model", "resnet-20", "--data", "shapes", "--name", "a")
    assert outcome.error is TrainingError
    refused(outcome, 1, "resnet-20", "nan in epoch 2", "runs/a/trial_0000/failure.txt", "learning rate")


def under_way(runs_dir: Path, epochs: int) -> RunFolder:
    """A run of one network that was interrupted after some of its 9 epochs."""
    folder = make_run(runs_dir, "t", space=one(), stop_after=0)
    folder.trial("0000").mkdir()
    for number in range(1, epochs + 1):
        line = {"epoch": number, "loss": 1.0, "accuracy": 0.5, "val_loss": 1.0, "val_accuracy": 0.5}
        line |= {"learning_rate": 0.1, "train_seconds": 2.0, "validation_seconds": 0.5}
        append_line(folder.trial("0000") / "history.jsonl", line)
    return folder


def test_a_network_under_way_in_the_list(command: Callable[..., Outcome], tmp_path: Path) -> None:
    under_way(tmp_path, 4)
    (entry,) = json.loads(command("list", "--runs-dir", tmp_path, "--json").out)["runs"]
    assert (entry["epochs"], entry["planned_epochs"], entry["trials"]) == (4, 9, 0)
    assert entry["architecture"] == "resnet-20"


def test_tables_of_one_network_have_no_rungs(command: Callable[..., Outcome], tmp_path: Path) -> None:
    make_run(tmp_path, "t", space=one())
    for words in (["trials", "t"], ["show", "t", "0"]):
        out = command(*words, "--runs-dir", tmp_path).out
        assert "resnet-20" in out
        for word in ("bracket", "rung", "Promotions", "Candidate"):
            assert word not in out, word


def test_the_live_view_of_one_network(tmp_path: Path) -> None:
    now = replay(under_way(tmp_path, 4), Progress().take, epoch("0000", 5))[-1]
    lines = drawn(now)
    assert "5 of 9 epochs" in lines[1]
    header = next(line for line in lines if line.startswith("trial"))
    assert header.split() == ["trial", "architecture", "epoch", "loss", "val", "acc", "time"]
    assert not any("1 trial" in line for line in lines)


def test_a_network_that_is_gone_on_with_starts_where_it_was(tmp_path: Path) -> None:
    folder = under_way(tmp_path, 4)
    append_event(folder.events, "resumed", process=1, host="box")
    now = replay(folder, Progress().take)[-1]
    assert (now.epochs, now.running[0].epoch, now.running[0].val_accuracy) == (4, 4, 0.5)


def test_lines_of_one_network_are_its_epochs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = under_way(tmp_path, 4)
    with PlainLines("Reading ...") as lines:
        replay(folder, lines, epoch("0000", 5), epoch("0000", 6))
    out = capsys.readouterr().out.splitlines()
    assert out[:2] == ["Reading ...", "started t: 9 epochs"]
    assert [number for number in out[-1].split() if number[0].isdigit()] == ["6", "9", "1.2500", "50.00", "2.0"]


TWO = """
method = "grid"
[axes]
models = ["resnet-20", "plain-20"]
[hyperband]
max_epochs = 3
[data]
source = "shapes"
"""


def test_a_time_budget_ends_it_in_order(
    command: Callable[..., Outcome], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run_search(space: SearchSpace, settings: Any, observers: Any = (), *, budget: Any = None) -> RunView:
        folder = under_way(settings.runs_dir, 4)
        append_event(folder.events, "stopped", reason="the reason why")
        return read_run(folder)

    monkeypatch.setattr(start, "run_search", run_search)
    monkeypatch.chdir(tmp_path)
    outcome = command("train", "--model", "resnet-20", "--data", "shapes", "--name", "t", "--time-budget", "2h")
    assert outcome.status == 0, outcome.err
    result = outcome.out.split("\n\n")[1]
    assert all(fact in result for fact in ("resnet-20", " 4 of 9 epochs", "the reason why"))
    assert commands(outcome.out) == ["resume t"]
    # What is stopped inside its one trial has no weights that a score is of.
    assert "SavedModel" not in outcome.out


def test_several_networks_have_no_rungs_either(
    command: Callable[..., Outcome], tmp_path: Path, asked: Asked, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "two.toml").write_text(TWO)
    outcome = command("run", "--space", "two.toml", "--name", "a")
    assert outcome.status == 0, outcome.err
    assert "2 of 2 networks for 3 epochs" in outcome.out
    assert commands(outcome.out)[0] == "trials a"
    for word in ("bracket", "rung", "full budget", "Searched"):
        assert word not in outcome.out, word
    with PlainLines("Reading ...") as lines:
        replay(RunFolder(Path("runs/a")), lines)
    line = next(line for line in capfd.readouterr().out.splitlines() if "resnet-20" in line)
    assert line.split()[:8] == ["1", "of", "2", "trial", "0000", "resnet-20", "270", "k"]
    folder = make_run(tmp_path, "t", space=parse_space(TWO, "two"), stop_after=1)
    shown = drawn(replay(folder, Progress().take)[-1])
    assert any("1 of 2 trials" in line for line in shown)
    assert not any("rung" in line for line in shown)


@pytest.mark.slow
def test_killed_and_gone_on_with_is_the_same(tmp_path: Path) -> None:
    """For real: kill -9 in the middle, and what resume ends with equals what an uninterrupted training does."""
    words = ["train", "--model", "resnet-20", "--data", "shapes", "--epochs", 3, "--train-examples", 100]
    words += ["--device", "cpu", "--no-export", "--seed", 3]
    whole = spawn(*words, "--name", "whole", cwd=tmp_path)
    assert whole.wait(600) == 0
    cut = spawn(*words, "--name", "cut", cwd=tmp_path)
    assert cut.stdout is not None
    for line in cut.stdout:
        if line.startswith("epoch 1"):
            break
    cut.kill()
    cut.wait()
    done = subprocess.run(
        [sys.executable, "-m", "resnet_search", "resume", "cut", "--no-export"],
        cwd=tmp_path, capture_output=True, text=True, check=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])},
    )  # fmt: skip
    assert re.search("3 epochs, [12] done", done.stdout)
    histories = [
        [{key: line[key] for key in ("epoch", "loss", "val_loss", "val_accuracy")} for line in map(json.loads, text)]
        for text in ((tmp_path / "runs" / name / "trial_0000" / "history.jsonl").open() for name in ("whole", "cut"))
    ]
    assert histories[0] == histories[1]
    assert len(histories[0]) == 3
