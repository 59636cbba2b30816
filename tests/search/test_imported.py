"""Projects that Keras Tuner made, as runs of this program."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from resnet_search.errors import NameTakenError, RunError, SpaceError, UsageError, UserError
from resnet_search.networks.architecture import Architecture
from resnet_search.networks.complexity import complexity
from resnet_search.runs.checkup import Checkup
from resnet_search.runs.trials import FAILED, RunView, open_run
from resnet_search.search.imported import ImportSettings, best_axes, import_project
from resnet_search.search.known import baselines_of
from resnet_search.search.mapping import Target, Told
from resnet_search.search.project import read_project
from resnet_search.search.resume import ResumeSettings, extension
from resnet_search.spaces.load import load_space
from resnet_search.spaces.schema import Range
from resnet_search.spaces.spelled import spelled
from tests.faults.table import fault

from .projects import FAILS, TUNERS, make_images, make_project, score

pytestmark = pytest.mark.interface


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("projects")


@pytest.fixture(scope="module")
def project(folder: Path) -> Path:
    return make_project(folder)


@pytest.fixture(scope="module")
def images(folder: Path) -> Path:
    return make_images(folder / "images.npz")


def settings(runs: Path, images: Path, **more: Any) -> ImportSettings:
    return ImportSettings(runs_dir=runs, name="theirs", source=str(images), validation=12, image_size=16, **more)


@pytest.fixture(scope="module")
def view(project: Path, images: Path, tmp_path_factory: pytest.TempPathFactory) -> RunView:
    return import_project(project, settings(tmp_path_factory.mktemp("runs"), images))


def test_every_trial_is_there_with_its_score(view, project):
    theirs = read_project(project)
    assert view.state == "finished"
    assert len(view.trials) == len(theirs.trials) > FAILS
    for trial, original in zip(view.trials.values(), theirs.trials, strict=True):
        assert int(trial.trial) == int(original.trial)
        assert trial.epochs == original.values["tuner/epochs"]
        assert trial.initial_epoch == original.values["tuner/initial_epoch"]
        assert trial.recipe == {"learning_rate": original.values["learning_rate"]}
        architecture = Architecture.from_dict(trial.architecture)
        assert (architecture.block, architecture.width) == (original.values["block"], original.values["width"])
        assert architecture.cardinality == original.values.get("cardinality", 1)
        counted = complexity(architecture, tuple(view.content["data"]["image_shape"]), 3)
        assert (trial.params, trial.macs) == (counted.trainable, counted.macs)
        if trial.status != FAILED:
            assert trial.score == pytest.approx(score(original.values, trial.epochs))


def test_a_failure_keeps_its_reason(view):
    [failed] = [trial for trial in view.trials.values() if trial.status == FAILED]
    assert int(failed.trial) == FAILS
    assert failed.reason == "RuntimeError: the device has no memory left"
    assert "Traceback" in (view.folder.trial(failed.trial) / "failure.txt").read_text()


def test_promotions_and_brackets_are_those_of_the_search(view):
    """9 and 3: nine, three, one; five, two; three. Keras Tuner's own sizes, less what the failure took."""
    rungs = Counter((trial.bracket, trial.rung, trial.epochs) for trial in view.trials.values())
    assert set(rungs) == {(2, 0, 1), (2, 1, 3), (2, 2, 9), (1, 0, 3), (1, 1, 9), (0, 0, 9)} or (2, 2, 9) not in rungs
    assert rungs[2, 0, 1] == 9
    assert rungs[1, 0, 3] == 5
    for trial in view.trials.values():
        if trial.promoted_from is not None:
            parent = view.trials[trial.promoted_from]
            assert (parent.candidate, parent.epochs, parent.bracket) == (
                trial.candidate, trial.initial_epoch, trial.bracket,
            )  # fmt: skip
    assert view.completed == view.planned_trials


def test_the_winner_is_the_best_of_the_full_budget(view):
    best = max((t for t in view.trials.values() if t.epochs == 9 and t.score is not None), key=lambda t: t.score)
    assert view.winner is best


def test_the_space_has_the_same_choices(view):
    space = load_space(str(view.folder.path / "theirs.toml"))
    assert space.axes.block == ("basic", "bottleneck", "resnext")
    assert space.axes.n == (1, 2, 3)
    assert space.axes.width == (4, 8, 16)
    assert space.axes.cardinality == (2, 4)
    assert space.recipe["learning_rate"] == Range(1e-3, 1e-1, log=True)
    assert space.recipe["batch_size"] == 64
    assert (space.hyperband.max_epochs, space.hyperband.factor, space.hyperband.iterations) == (9, 3, 1)
    assert space.data.image_size == 16
    assert space.to_dict()["data"] == view.content["space"]["data"]


def test_the_best_are_baselines(view):
    found = baselines_of(map(spelled, best_axes(view, 3)))
    ranked = list(dict.fromkeys(trial.name for trial in view.ranking()))[:3]
    assert [one.architecture.name for one in found] == ranked


def test_the_projects_files_are_kept_and_the_project_is_as_it_was(project, images, tmp_path):
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in project.rglob("*") if path.is_file()}
    made = import_project(project, settings(tmp_path, images))
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in before} == before
    for path, (content, _) in before.items():
        if path.suffix == ".json":
            assert (made.folder.path / "keras_tuner" / path.relative_to(project)).read_bytes() == content


def test_nothing_is_wrong_with_such_a_run_and_it_cannot_be_extended(view):
    assert {check.status for check in Checkup(view.folder).checks()} == {"ok"}
    with pytest.raises(RunError, match="imported from Keras Tuner"):
        extension(view, ResumeSettings(add_iterations=1))


@pytest.mark.parametrize("tuner", sorted(set(TUNERS) - {"hyperband"}))
def test_tuners_that_do_not_record_epochs(tuner, folder, images, tmp_path):
    path = make_project(folder / tuner, tuner)
    with pytest.raises(UsageError, match="--epochs: missing"):
        import_project(path, settings(tmp_path, images))
    made = import_project(path, settings(tmp_path, images, epochs=5))
    assert {(trial.bracket, trial.rung, trial.epochs) for trial in made.trials.values()} == {(0, 0, 5)}
    assert (len(made.trials), made.completed, made.max_epochs) == (6, 5, 5)
    assert len(made.ranking()) == 5


def other_names(hp: Any) -> None:
    hp.Choice("kind", ["residual", "neck"])
    hp.Choice("filters", ["8", "16"])
    hp.Boolean("squeeze")
    hp.Int("augment/strength", 0, 3)


def other_score(values: dict[str, Any], epochs: int) -> dict[str, float]:
    return {"val_acc": 0.3 + 0.01 * epochs, "loss": 2.5}


TOLD = Told(
    targets={
        "kind": Target("block", {"residual": "basic", "neck": "bottleneck"}),
        "filters": Target("width"),
        "squeeze": Target("attention", {"true": "se", "false": "none"}),
    },
    fixed={"n": "1"},
    ignored=("augment/strength",),
)


@pytest.fixture(scope="module")
def other(folder: Path) -> Path:
    return make_project(folder / "other", build=other_names, metrics=other_score, fails=-1)


def test_other_names_are_mapped(other, images, tmp_path):
    made = import_project(other, settings(tmp_path, images, told=TOLD, score="val_acc"))
    for trial, theirs in zip(made.trials.values(), read_project(other).trials, strict=True):
        values = theirs.values
        assert trial.architecture["block"] == {"residual": "basic", "neck": "bottleneck"}[values["kind"]]
        assert trial.architecture["width"] == int(values["filters"])
        assert Architecture.from_dict(trial.architecture).attention == ("se" if values["squeeze"] else "none")
        assert trial.architecture["blocks"] == [1, 1, 1]
    # What is ignored makes the same candidate more than once, and each is one of its own.
    roots = [trial for trial in made.trials.values() if trial.parent is None]
    assert len({trial.candidate for trial in roots}) == len(roots)
    assert max(trial.repeat for trial in roots) > 0


def test_every_name_without_a_place_is_named_at_once(other, images, tmp_path):
    with pytest.raises(RunError) as caught:
        import_project(other, settings(tmp_path, images))
    for name in ("kind", "filters", "squeeze", "augment/strength"):
        assert f"- {name}: " in caught.value.message
    assert "--map" in caught.value.cure
    assert "--ignore" in caught.value.cure


@pytest.mark.parametrize(
    ("told", "words"),
    [
        (Told(targets={"knid": Target("block")}), "--map: got 'knid'"),
        (Told(ignored=("nothing",)), "--ignore: got 'nothing'"),
        (Told(targets={**TOLD.targets, "filters": Target("block")}, ignored=TOLD.ignored), "both map to block"),
        (Told(targets=TOLD.targets, ignored=TOLD.ignored, fixed={"width": "8"}), "--set: got width"),
        (Told(targets=TOLD.targets, ignored=TOLD.ignored), r"\[axes\] n: missing"),
        (Told(targets=TOLD.targets, ignored=TOLD.ignored, fixed={"n": "many"}), r"\[axes\] n: got \"many\""),
    ],
    ids=["no such name", "nothing to ignore", "two of one", "set and mapped", "no size", "no number"],
)
def test_what_is_told_wrongly(told, words, other, images, tmp_path):
    with pytest.raises(UserError, match=words):
        import_project(other, settings(tmp_path, images, told=told, score="val_acc"))
    assert not list(tmp_path.iterdir())


def test_scores_are_accuracies(other, images, tmp_path):
    with pytest.raises(UsageError, match="allowed: loss, val_acc"):
        import_project(other, settings(tmp_path, images, told=TOLD))
    with pytest.raises(UsageError, match=r"which is 2\.5 in trial 0000"):
        import_project(other, settings(tmp_path, images, told=TOLD, score="loss"))


def test_a_name_that_is_taken(project, images, view):
    with pytest.raises(NameTakenError):
        import_project(project, settings(view.folder.path.parent, images))


def test_values_that_are_not_allowed_here_are_named(folder, images, tmp_path):
    def wide(hp: Any) -> None:
        hp.Choice("block", ["basic"])
        hp.Int("n", 1, 2)
        hp.Choice("width", [8, 5000])

    path = make_project(folder / "wide", build=wide)
    with pytest.raises(SpaceError, match=r"\[axes\] width: got 5000"):
        import_project(path, settings(tmp_path, images))


def test_trials_that_are_no_network_here_are_left_out_and_counted(folder, images, tmp_path):
    def odd(hp: Any) -> None:
        hp.Choice("block", ["resnext"])
        hp.Int("n", 1, 3)
        hp.Choice("width", [4, 6])
        hp.Choice("cardinality", [2, 8])

    path = make_project(folder / "odd", build=odd, fails=-1)
    made = import_project(path, settings(tmp_path, images))
    wrong = [one for one in read_project(path).trials if one.values["width"] == 6 and one.values["cardinality"] == 8]
    assert wrong
    assert sum(made.content["imported"]["skipped"].values()) == len(wrong)
    assert len(made.trials) == len(read_project(path).trials) - len(wrong)


def _edit(path: Path, change: Any) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


DAMAGES = {
    "oracle torn": lambda p: (p / "oracle.json").write_bytes((p / "oracle.json").read_bytes()[:200]),
    "oracle a list": lambda p: (p / "oracle.json").write_text("[]"),
    "oracle nested": lambda p: (p / "oracle.json").write_text("[" * 100_000),
    "oracle bytes": lambda p: (p / "oracle.json").write_bytes(b"\xff\xfe\x00"),
    "oracle empty": lambda p: (p / "oracle.json").write_text("{}"),
    "no hyperparameters": lambda p: _edit(p / "oracle.json", lambda o: o.pop("hyperparameters")),
    "unknown kind": lambda p: _edit(
        p / "oracle.json", lambda o: o["hyperparameters"]["space"][0].update(class_name="\x1b[31mEvil")
    ),
    "endless range": lambda p: _edit(
        p / "oracle.json", lambda o: o["hyperparameters"]["space"][1]["config"].update(max_value=10**30)
    ),
    "epochs of text": lambda p: _edit(p / "oracle.json", lambda o: o.update(max_epochs="many")),
    "trial torn": lambda p: (p / "trial_0002" / "trial.json").write_bytes(b'{"trial_id": "00'),
    "trial a number": lambda p: (p / "trial_0002" / "trial.json").write_text("7"),
    "trial twice": lambda p: _edit(p / "trial_0002" / "trial.json", lambda t: t.update(trial_id="0001")),
    "unknown parent": lambda p: _edit(
        p / "trial_0002" / "trial.json", lambda t: t["hyperparameters"]["values"].update({"tuner/trial_id": "9999"})
    ),
    "backwards": lambda p: _edit(
        p / "trial_0002" / "trial.json", lambda t: t["hyperparameters"]["values"].update({"tuner/initial_epoch": 5})
    ),
    "score of text": lambda p: _edit(
        p / "trial_0002" / "trial.json",
        lambda t: t["metrics"]["metrics"]["val_accuracy"]["observations"][0].update(value=["high"]),
    ),
    "score not a number": lambda p: _edit(
        p / "trial_0002" / "trial.json",
        lambda t: t["metrics"]["metrics"]["val_accuracy"]["observations"][0].update(value=[float("nan")]),
    ),
    "width of text": lambda p: _edit(
        p / "trial_0002" / "trial.json", lambda t: t["hyperparameters"]["values"].update(width=[1, 2])
    ),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_project_is_one_message_and_nothing_is_left_behind(damage, folder, images, tmp_path):
    path = make_project(tmp_path / "p")
    DAMAGES[damage](path)
    if damage == "width of text":
        # A single trial of values that mean nothing is left out, and told.
        made = import_project(path, settings(tmp_path / "runs", images))
        assert sum(made.content["imported"]["skipped"].values()) == 1
        return
    with pytest.raises(UserError) as caught:
        import_project(path, settings(tmp_path / "runs", images))
    assert len(caught.value.message) < 1500
    assert "\x1b" not in caught.value.message
    assert not (tmp_path / "runs").exists()


def test_a_pipe_in_place_of_a_file_is_not_waited_for(project, images, tmp_path):
    path = make_project(tmp_path / "p")
    (path / "trial_0002" / "trial.json").unlink()
    os.mkfifo(path / "trial_0002" / "trial.json")
    with pytest.raises(RunError, match="is a pipe"):
        read_project(path)


def older(path: Path, version: str) -> Path:
    """Turn a project into one of an older version of Keras Tuner, by its source: `Oracle.get_state`, `Trial.get_state`.

    1.4.4 has no `display`; 1.1.3 has neither the orders nor messages, and ids that say nothing about the order.
    """
    names = {file.parent.name.removeprefix("trial_"): "" for file in path.glob("trial_*/trial.json")}
    ids = {name: hashlib.sha256(name.encode()).hexdigest()[:32] if version == "1.1.3" else name for name in names}
    oracle = json.loads((path / "oracle.json").read_text())
    lost = {"1.4.4": ["display"], "1.1.3": ["display", "start_order", "end_order", "run_times", "retry_queue"]}[version]
    (path / "oracle.json").write_text(json.dumps({key: value for key, value in oracle.items() if key not in lost}))
    for name, new in ids.items():
        file = path / f"trial_{name}" / "trial.json"
        state = json.loads(file.read_text())
        values = state["hyperparameters"]["values"]
        state["trial_id"] = new
        if "tuner/trial_id" in values:
            values["tuner/trial_id"] = ids[values["tuner/trial_id"]]
        if version == "1.1.3":
            del state["message"]
        file.write_text(json.dumps(state))
        file.parent.rename(path / f"trial_{new}")
    return path


@fault(
    "use",
    "A project of Keras Tuner before 1.4.5, or before 1.2, is imported",
    here="its trials, scores and rungs are those of a newer one; times that are not recorded stay unknown",
)
@pytest.mark.parametrize("version", ["1.4.4", "1.1.3"])
def test_projects_of_older_versions_are_read(version, view, images, tmp_path):
    path = older(make_project(tmp_path / "p"), version)
    made = import_project(path, settings(tmp_path, images))

    def facts(run: RunView) -> list[tuple[Any, ...]]:
        trials = run.trials.values()
        return sorted((t.name, t.epochs, t.initial_epoch, t.status, t.score or 0.0, t.bracket, t.rung) for t in trials)

    assert facts(made) == facts(view)
    order = {trial.trial: place for place, trial in enumerate(made.trials.values())}
    assert all(order[trial.parent] < order[trial.trial] for trial in made.trials.values() if trial.parent)


def test_a_folder_of_projects_names_them(project):
    with pytest.raises(RunError, match=r"no oracle\.json") as caught:
        read_project(project.parent)
    assert project.name in caught.value.cure


def test_hostile_names_are_shown_as_text(folder, images, tmp_path):
    name = "\x1b[2J<script>alert(1)</script>\u202e"

    def hostile(hp: Any) -> None:
        hp.Int("n", 1, 3)
        hp.Choice("width", [4, 8, 16])
        hp.Choice("block", ["basic"])
        hp.Choice(name, [1, 2])

    path = make_project(folder / "hostile", build=hostile)
    with pytest.raises(RunError) as caught:
        import_project(path, settings(tmp_path, images))
    assert "\x1b" not in caught.value.message
    assert "\u202e" not in caught.value.message
    made = import_project(path, settings(tmp_path, images, told=Told(ignored=(name,))))
    assert open_run("theirs", tmp_path).content["imported"]["ignored"] == [name]
    assert made.completed
