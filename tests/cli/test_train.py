"""train: one named network as a run, around a training and an export that are made up; and screens for one network."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from resnet_search.cli.named import EPOCHS, space_of
from resnet_search.cli.plain import PlainLines
from resnet_search.cli.progress import Progress
from resnet_search.export import saved_model
from resnet_search.export.folder import MANIFEST
from resnet_search.files import append_line
from resnet_search.networks.imagenet import SOURCES
from resnet_search.networks.presets import PRESETS, preset
from resnet_search.report.units import duration, standard_error
from resnet_search.runs.events import append_event, read_events
from resnet_search.runs.folder import RunFolder, name_taken
from resnet_search.runs.trials import RunView, read_run
from resnet_search.search import start
from resnet_search.spaces.load import parse_space
from resnet_search.spaces.plan import make_plan
from resnet_search.spaces.space import SearchSpace
from resnet_search.training.recipe import RECIPES, recipe_from
from resnet_search.workers.cluster import Cluster

from .conftest import Outcome, make_folder, make_run, spawn
from .test_progress import drawn, epoch, replay


def one(model: str = "resnet-20", epochs: int = 9, **recipe: Any) -> SearchSpace:
    data = {"source": "shapes", "validation": 0.1, "image_size": 32}
    return space_of(preset(model), {"name": "he", **recipe}, epochs, data)


@pytest.fixture
def made_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Trainings end at once; what they were called with."""
    calls: list[Any] = []

    def run_search(space: SearchSpace, settings: Any, observers: Any = (), **_: Any) -> RunView:
        calls.append((space, settings))
        folder = make_run(settings.runs_dir, settings.name, space=space)
        view = RunView(folder, folder.read())
        for event in read_events(folder.events):
            view.apply(event)
            for observer in observers:
                observer(event, view)
        return read_run(folder)

    def export_run(view: RunView, trial: Any, out: Any, **_: Any) -> Any:
        folder = view.folder.path / "export"
        folder.mkdir()
        (folder / MANIFEST).write_text(json.dumps({"completed": view.completed}))
        files = SimpleNamespace(ensemble=None, files=())
        return SimpleNamespace(folder=folder, difference=1.5e-7, accuracy=0.75, notes=(), exported=files)

    monkeypatch.setattr(start, "run_search", run_search)
    monkeypatch.setattr(saved_model, "export_run", export_run)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.chdir(tmp_path)
    return calls


def test_a_network_is_a_grid_of_its_own(command: Callable[..., Outcome], made_up: list[Any]) -> None:
    outcome = command(
        "train", "--model", "ResNet-20", "--data", "shapes", "--name", "a", "--seed", 7, "--train-examples", 500,
        "--threads", 2, "--device", "cpu",
    )  # fmt: skip
    assert outcome.status == 0, outcome.err
    space, settings = made_up[0]
    assert (space.name, space.method, space.axes.models) == ("resnet-20", "grid", ("resnet-20",))
    assert [architecture.name for architecture in make_plan(space).feasible.architectures] == ["basic20-w16-identity"]
    assert space.hyperband.max_epochs == 164
    assert recipe_from(space.fixed_recipe) == RECIPES["he"]
    assert (space.data.source, space.data.validation, space.data.image_size) == ("shapes", 0.1, 32)
    assert (settings.name, settings.seed, settings.train_examples) == ("a", 7, 500)
    assert (settings.workers, settings.threads, settings.device) == (1, 2, "cpu")
    view = read_run(RunFolder(Path("runs/a")))
    assert view.winner is not None
    time, score = duration(view.seconds), view.winner.score
    error = standard_error(score or 0.0, 800)
    for words in (
        "Model      resnet-20: 20 layers, 270 k parameters", "Source     He et al. 2015",
        "Recipe     he, 164 epochs: sgd, learning rate 0.1, batches of 128", "Data       shapes, 32 x 32 pixels",
        "with 500 training images", f"Trained resnet-20 for 164 epochs in {time}: {score:.4f} ± {error:.4f} on ",
        "SavedModel  runs/a/export/saved_model",
        "  resnet-search show a 0000\n  resnet-search predict a new-images/\n  resnet-search export a --format onnx\n",
    ):  # fmt: skip
        assert words in outcome.out
    for word in ("trials", "Note", "Best", "bracket", "rung", "Searched"):
        assert word not in outcome.out, word


def test_a_network_trains_on_a_cluster(command: Callable[..., Outcome], made_up: list[Any]) -> None:
    words = ["--data", "shapes", "--name", "a", "--workers", "ray://a:1", "--cpus-per-trial", "2"]
    outcome = command("train", "--model", "resnet-20", *words)
    assert outcome.status == 0, outcome.err
    assert made_up[0][1].workers == Cluster(address="a:1", cpus=2.0)


def test_the_name_of_a_run_begins_with_the_model(command: Callable[..., Outcome], made_up: list[Any]) -> None:
    outcome = command("train", "--model", "wrn-16-4", "--data", "shapes", "--no-export", "-q")
    assert outcome.out.startswith("runs/wrn-16-4-20")


def test_a_name_that_another_run_has_taken_meanwhile(
    command: Callable[..., Outcome], made_up: list[Any], monkeypatch: pytest.MonkeyPatch
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
    outcome = command(*words, "--name", "mine")
    assert "--name: got 'mine', which exists in runs" in outcome.err


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
    command: Callable[..., Outcome], made_up: list[Any], words: list[str], epochs: int, recipe: dict[str, Any]
) -> None:
    outcome = command("train", "--model", "resnet-20", "--data", "shapes", *words)
    assert outcome.status == 0, outcome.err
    space = made_up[0][0]
    assert space.hyperband.max_epochs == epochs
    assert recipe_from(space.fixed_recipe) == recipe_from(recipe)
    assert ("Start      weights of ImageNet" in outcome.out) is ("imagenet" in words)
    assert ("MB of ImageNet weights, reading shapes" in outcome.out) is ("imagenet" in words)


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
    command: Callable[..., Outcome], made_up: list[Any], words: list[str], size: int
) -> None:
    make_folder(Path("photos"), ant=20, bee=20)
    command("train", "--data", "shapes", *words)
    assert made_up[0][0].data.image_size == size


def test_a_network_of_large_images_on_small_ones_is_noted(command: Callable[..., Outcome], made_up: list[Any]) -> None:
    out = " ".join(command("train", "--model", "se-resnet-50", "--data", "shapes").out.split())
    assert "Note se-resnet-50 halves its images five times: of 32 x 32 pixels its last stage sees 1 x 1." in out
    assert "--image-size, or train --model se-resnet-50-cifar" in out
    assert "Note" not in command("train", "--model", "se-resnet-50-cifar", "--data", "shapes").out
    # With weights of ImageNet there is no sibling to go to.
    out = command("train", "--model", "resnet-50-v2", "--init", "imagenet", "--data", "shapes").out
    assert "-cifar" not in out
    assert "--image-size" in out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "RUN or --model: missing; allowed: a run whose best is trained, or one of"),
        (["--model", "resnet-21"], "resnet-20"),
        (["--model", "resnet-20", "--recipe", "hee"], "nearest: he"),
        (["--model", "resnet-20", "--epochs", "0"], "--epochs"),
        (["--model", "resnet-20", "--learning-rate", "-1"], "numbers from 1e-06 to 10"),
        (["--model", "resnet-20", "--batch-size", "1.5"], "integers from 1 to 8192"),
        (["--model", "resnet-20", "--init", "imagnet"], "nearest: imagenet"),
        (["--model", "resnet-50", "--init", "imagenet"], "keras-resnet-50, keras-resnet-101"),
        (["--model", "keras-resnet-50", "--frozen-stages", "1"], "allowed: 0, or --init imagenet"),
        (["--model", "keras-resnet-50", "--init", "imagenet", "--frozen-stages", "5"], "integers from 0 to 4"),
        (["--model", "resnet-20", "--data", "cifar"], "nearest: cifar10"),
        (["--model", "resnet-20", "--image-size", "4"], "--image-size"),
        (["--model", "resnet-20", "--validation", "2.5"], "--validation"),
        (["--model", "resnet-20", "surplus"], "surplus"),
        (["--model", "resnet-20", "--time-budget", "2"], "a time such as 2h"),
        (["--model", "resnet-20", "--max-trials", "2"], "--max-trials"),
    ],
)
def test_wrong_command_lines(
    command: Callable[..., Outcome], made_up: list[Any], words: list[str], said: str, tmp_path: Path
) -> None:
    outcome = command("train", *words)
    assert outcome.status == 2
    assert outcome.err.startswith("Error: ")
    assert said in outcome.err
    assert made_up == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("words", [["--validation", "5000"], ["--train-examples", "3"], ["--train-examples", "100000"]])
def test_images_that_there_are_not(
    command: Callable[..., Outcome], made_up: list[Any], words: list[str], tmp_path: Path
) -> None:
    outcome = command("train", "--model", "resnet-20", "--data", "shapes", "-q", *words)
    assert outcome.status == 1
    assert f"{words[0][2:].replace('-', '_')}: {words[1]}" in outcome.err
    assert made_up == []
    assert list(tmp_path.iterdir()) == []


def test_without_weights_nothing_is_left_behind(
    command: Callable[..., Outcome], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from resnet_search.training import weights

    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setattr(weights, "unreachable", lambda _: "no route to host")
    monkeypatch.chdir(tmp_path)
    outcome = command("train", "--model", "resnet-50-v2", "--init", "imagenet", "--data", "shapes", "--device", "cpu")
    assert outcome.status == 1
    assert str(tmp_path / "keras" / "models" / SOURCES["resnet-50-v2"].file) in outcome.err
    assert "no route to host" in outcome.err
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("model", PRESETS)
def test_every_model_makes_a_space(model: str) -> None:
    assert one(model).axes.models == (model,)


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
        append_event(folder.events, "failed", trial="0000", reason="the loss was nan in epoch 2 (learning rate 0.1)")
        append_event(folder.events, "finished")
        return read_run(folder)

    monkeypatch.setattr(start, "run_search", run_search)
    monkeypatch.chdir(tmp_path)
    outcome = command("train", "--model", "resnet-20", "--data", "shapes", "--name", "a")
    assert outcome.status == 1
    assert "Error: resnet-20 could not be trained: the loss was nan in epoch 2 (learning rate 0.1)\n" in outcome.err
    assert "runs/a/trial_0000/failure.txt" in outcome.err
    assert "lower learning rate" in outcome.err


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
    assert out[-1].startswith("epoch 6 of 9  loss 1.2500  val acc 0.5000         2.0 s  under a minute left")


TWO = """
method = "grid"
[axes]
models = ["resnet-20", "plain-20"]
[hyperband]
max_epochs = 3
[data]
source = "shapes"
"""


@pytest.mark.parametrize(("words", "seconds"), [([], None), (["--time-budget", "2h"], 7200.0)])
def test_a_time_budget_ends_it_in_order(
    command: Callable[..., Outcome], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str],
    seconds: float | None,
) -> None:  # fmt: skip
    def run_search(space: SearchSpace, settings: Any, observers: Any = (), *, budget: Any = None) -> RunView:
        assert (budget.seconds, budget.trials) == (seconds, None)
        folder = under_way(settings.runs_dir, 4)
        append_event(folder.events, "stopped", reason="the time budget is spent")
        return read_run(folder)

    monkeypatch.setattr(start, "run_search", run_search)
    monkeypatch.chdir(tmp_path)
    outcome = command("train", "--model", "resnet-20", "--data", "shapes", "--name", "t", *words)
    assert outcome.status == 0, outcome.err
    assert "Trained resnet-20 for 4 of 9 epochs in " in outcome.out
    assert "Stopped before the end of the plan: the time budget is spent.\n\nNext:\n" in outcome.out
    assert outcome.out.endswith("  resnet-search resume t\n")
    # What is stopped inside its one trial has no weights that a score is of.
    assert "SavedModel" not in outcome.out


def test_several_networks_have_no_rungs_either(
    command: Callable[..., Outcome], tmp_path: Path, made_up: list[Any], capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "two.toml").write_text(TWO)
    outcome = command("run", "--space", "two.toml", "--name", "a")
    assert outcome.status == 0, outcome.err
    assert "Trained 2 of 2 networks for 3 epochs in " in outcome.out
    assert "Best first\n" in outcome.out
    assert "  resnet-search trials a\n" in outcome.out
    for word in ("bracket", "rung", "full budget", "Searched"):
        assert word not in outcome.out, word
    with PlainLines("Reading ...") as lines:
        replay(RunFolder(Path("runs/a")), lines)
    assert "1 of 2  trial 0000  resnet-20                  270 k parameters  epoch   3" in capfd.readouterr().out
    folder = make_run(tmp_path, "t", space=parse_space(TWO, "two"), stop_after=1)
    shown = drawn(replay(folder, Progress().take)[-1])
    assert any("1 of 2 trials" in line for line in shown)
    assert not any("rung" in line for line in shown)


@pytest.mark.slow
def test_killed_and_gone_on_with_is_the_same(tmp_path: Path) -> None:
    """For real: kill -9 in the middle, and what resume ends with equals what an uninterrupted training does."""
    words = ["train", "--model", "resnet-20", "--data", "shapes", "--epochs", 4, "--train-examples", 200]
    words += ["--device", "cpu", "--no-export", "--seed", 3]
    whole = spawn(*words, "--name", "whole", cwd=tmp_path)
    assert whole.wait(600) == 0
    cut = spawn(*words, "--name", "cut", cwd=tmp_path)
    assert cut.stdout is not None
    for line in cut.stdout:
        if line.startswith("epoch 2"):
            break
    cut.kill()
    cut.wait()
    done = subprocess.run(
        [sys.executable, "-m", "resnet_search", "resume", "cut", "--no-export"],
        cwd=tmp_path, capture_output=True, text=True, check=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])},
    )  # fmt: skip
    assert re.search("4 epochs, [23] of them done", done.stdout)
    histories = [
        [{key: line[key] for key in ("epoch", "loss", "val_loss", "val_accuracy")} for line in map(json.loads, text)]
        for text in ((tmp_path / "runs" / name / "trial_0000" / "history.jsonl").open() for name in ("whole", "cut"))
    ]
    assert histories[0] == histories[1]
    assert len(histories[0]) == 4
