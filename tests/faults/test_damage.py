"""Files of a run that are damaged or gone: `resume` repairs what it can, `doctor` names the rest and repairs it."""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import keras
import keras_tuner
import numpy as np
import pytest

from resnet_search.errors import RunError
from resnet_search.runs.checkpoints import clean, plan_cleaning
from resnet_search.runs.checkup import Checkup
from resnet_search.runs.doctor import PROBLEM, Check
from resnet_search.search.repair import check_keras_tuner, repair_run

from .conftest import Search, events, table
from .table import fault

KERAS_TUNERS = ("oracle.json", "tuner0.json", "trial_0001/trial.json")


class Theirs(keras_tuner.Hyperband):
    """Keras Tuner's search without training; it may be stopped in trial `stop`."""

    stop = ""

    def run_trial(self, trial: Any, *_: Any, **__: Any) -> dict[str, float]:
        if trial.trial_id == self.stop:
            raise KeyboardInterrupt
        return {"score": float(trial.hyperparameters.get("x")) + float(trial.hyperparameters.get("tuner/epochs")) / 100}


def theirs(folder: Path) -> Theirs:
    hyperparameters = keras_tuner.HyperParameters()
    hyperparameters.Float("x", 0.0, 1.0)
    return Theirs(
        build, objective=keras_tuner.Objective("score", "max"), hyperparameters=hyperparameters, max_epochs=3,
        directory=folder, project_name="p", seed=1, tune_new_entries=False,
    )  # fmt: skip


def build(hp: Any) -> Any:
    return keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])


def cut(path: Path) -> None:
    """As a write in place that was killed leaves a file."""
    content = path.read_bytes()
    assert content
    path.write_bytes(content[: len(content) // 2])


def problems(search: Search) -> list[Check]:
    """What the doctor calls a problem."""
    checkup = Checkup(search.folder)
    checks = list(checkup.checks())
    if checkup.found is not None and not checkup.found.wrong:
        checks += check_keras_tuner(checkup.found.view)
    return [check for check in checks if check.status == PROBLEM]


def completed(search: Search) -> list[tuple[object, ...]]:
    """The trials that have a result: one that failed and was replaced need not be known any more."""
    return [row for row in table(search.view()) if "completed" in row]


def check_same(search: Search, whole: Search) -> None:
    assert search.view().state == "finished"
    assert completed(search) == completed(whole)
    assert problems(search) == []


@fault(
    "files",
    "oracle.json, tuner0.json or a trial.json is cut off in the middle of a write",
    keras_tuner="`JSONDecodeError`: the project cannot be opened any more",
    here="written again from events.jsonl, by `resume` or `doctor RUN --repair`",
)
@pytest.mark.parametrize("name", KERAS_TUNERS)
def test_a_file_of_keras_tuner_is_cut_off(name: str, interrupted: Any, whole: Any, tmp_path: Path) -> None:
    theirs(tmp_path).search()
    cut(tmp_path / "p" / (name if name != "tuner0.json" else "oracle.json"))
    with pytest.raises(json.JSONDecodeError):
        theirs(tmp_path)

    search = interrupted("resumed")
    cut(search.folder.path / name) if name != "tuner0.json" else (search.folder.path / name).write_text("{")
    assert any(name in check.text for check in problems(search))
    search.finish()
    check_same(search, whole())
    cut(search.folder.path / name) if name != "tuner0.json" else (search.folder.path / name).write_text("{")
    (finding,) = problems(search)
    assert name in finding.text
    assert "--repair" in finding.cure
    assert any("from the events" in sentence for sentence in repair_run(search.folder))
    check_same(search, whole())


@fault(
    "crash",
    "The first trial is interrupted",
    keras_tuner="tuner0.json does not exist yet: it starts over, and says nothing",
    here="`resume` continues that trial from its last epoch",
)
def test_the_first_trial_is_interrupted(interrupted: Any, whole: Any, tmp_path: Path) -> None:
    first = theirs(tmp_path)
    first.stop = "0000"
    with pytest.raises(KeyboardInterrupt):
        first.search()
    assert (tmp_path / "p" / "trial_0000" / "trial.json").exists()
    assert theirs(tmp_path).oracle.trials == {}
    search = interrupted("ours", at=25)
    assert list(search.view().trials) == ["0000"]
    search.finish()
    check_same(search, whole())


@fault(
    "crash",
    "The process ends between the two files of a new trial",
    keras_tuner="the trial stays RUNNING for ever, and the search counts without it",
    here="one line of events.jsonl is the trial: it is there or not",
)
def test_between_two_files_of_a_new_trial(make_search: Any, whole: Any, tmp_path: Path) -> None:
    tuner = theirs(tmp_path)
    tuner.stop = "0002"
    with pytest.raises(KeyboardInterrupt):
        tuner.search()
    last = tuner.oracle.get_state()["start_order"][-1]
    oracle = tmp_path / "p" / "oracle.json"
    state = json.loads(oracle.read_text())
    state["start_order"].remove(last)  # As it was before the second file.
    state["ongoing_trials"] = {}
    oracle.write_text(json.dumps(state))
    again = theirs(tmp_path)
    again.search()
    assert again.oracle.trials[last].status == "RUNNING"

    lines = [at for at, step in enumerate(make_search("steps").steps(), 1) if step == "_write events.jsonl"]
    for moment, trials in (("mid", []), ("after", ["0000"])):
        search = make_search(moment)
        assert search.drive(at=lines[1], moment=moment)["status"] == -9
        assert list(search.view().trials) == trials
        search.finish()
        check_same(search, whole())


def delete(path: Path) -> None:
    path.unlink()


def garble(path: Path) -> None:
    path.write_bytes(b"nonsense\n\x00\xff\n")


def delete_folder(path: Path) -> None:
    shutil.rmtree(path.parent)


@fault(
    "files",
    "A checkpoint, a learning curve or the whole folder of a trial is damaged or gone while a run is interrupted",
    keras_tuner="`OSError` on loading the checkpoint; a promoted trial fails with it",
    here="what is needed is trained again, to the same scores; events.jsonl says so (`retrained`)",
)
@pytest.mark.parametrize(
    ("name", "harm"),
    [
        *itertools.product(("state.h5", "history.jsonl", "checkpoint.weights.h5"), (delete, garble, cut)),
        ("history.jsonl", delete_folder),
    ],
)
def test_a_trial_that_is_damaged_in_an_interrupted_run(
    name: str, harm: Callable[[Path], None], interrupted: Any, whole: Any
) -> None:
    for repair in (False, True):
        search = interrupted(f"repair-{repair}")
        for path in list(search.folder.path.glob(f"trial_*/{name}")):
            if path.stat().st_size:
                harm(path)
        if repair:
            repair_run(search.folder)
            assert problems(search) == []
        search.finish()
        assert table(search.view()) == table(whole().view())
        repair_run(search.folder)
        search.finish()
        check_same(search, whole())


def test_a_checkpoint_of_keras_tuner_that_is_cut_off(tmp_path: Path) -> None:
    """What the row above says of it."""
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    path = tmp_path / "checkpoint.weights.h5"
    model.save_weights(path)
    cut(path)
    with pytest.raises(OSError, match="truncated"):
        model.load_weights(path)


def test_a_promotion_whose_parent_is_gone_is_in_the_events(interrupted: Any, whole: Any) -> None:
    search = interrupted("run", at=75)
    (done,) = [t for t in search.view().trials.values() if t.status == "completed"][:1]
    for folder in search.folder.path.glob("trial_*"):
        shutil.rmtree(folder)
    view = search.finish()
    retrained = [event["trial"] for event in events(search) if event["event"] == "retrained"]
    assert retrained
    for trial in retrained:
        assert view.trials[trial].parent is None
        assert [line["epoch"] for line in view.history(view.trials[trial])] == [1, 2, 3]
    assert table(view) == table(whole().view())
    assert done.trial not in retrained


@fault(
    "files",
    "The weights of the best trial are damaged or gone after the run",
    keras_tuner="`get_best_models` raises `OSError`",
    here="`doctor RUN` says so; `--repair` and `resume` make them again, to the same score, from the checkpoint or "
    "from the first epoch on",
)
@pytest.mark.parametrize("also", ["", "state.h5"])
@pytest.mark.parametrize("harm", [delete, garble])
def test_the_winner_is_trained_again(harm: Callable[[Path], None], also: str, make_search: Any, whole: Any) -> None:
    search = whole().copy(make_search("run"))
    winner = search.view().winner
    assert winner is not None
    path = search.folder.trial(winner.trial) / "checkpoint.weights.h5"
    with h5py.File(path) as file:
        kept = file["weights"][()]
    harm(path)
    if also:
        (path.parent / also).unlink()
    (finding,) = problems(search)
    assert "best trial" in finding.text
    assert "--repair" in finding.cure
    assert any("trains it again" in sentence for sentence in repair_run(search.folder))
    assert search.view().state == "interrupted"
    assert problems(search) == []
    search.finish()
    with h5py.File(path) as file:
        assert np.array_equal(file["weights"][()], kept)
    check_same(search, whole())


@pytest.mark.parametrize("harm", [delete, garble])
def test_weights_of_keras_tuner_that_are_damaged(harm: Callable[[Path], None], tmp_path: Path) -> None:
    """What the row above says of them."""
    tuner = theirs(tmp_path)
    tuner.search()
    network = build(None)
    for trial in tuner.oracle.trials:
        path = tmp_path / "p" / f"trial_{trial}"
        network.save_weights(path / "checkpoint.weights.h5")
        (path / "build_config.json").write_text("{}")
    assert tuner.get_best_models()
    harm(tmp_path / "p" / f"trial_{tuner.oracle.get_best_trials()[0].trial_id}" / "checkpoint.weights.h5")
    with pytest.raises(OSError, match=r"[Uu]nable to"):
        tuner.get_best_models()


def test_an_extension_after_cleaning_trains_what_it_continues_again(make_search: Any, whole: Any) -> None:
    kept, cleaned = (whole().copy(make_search(place)) for place in ("kept", "cleaned"))
    view = cleaned.view()
    clean(view, plan_cleaning(view, 0))
    for search in (kept, cleaned):
        assert search.drive(settings={"add_epochs": 9})["status"] == 0
    assert table(cleaned.view()) == table(kept.view())
    assert "retrained" in {event["event"] for event in events(cleaned)}
    assert "retrained" not in {event["event"] for event in events(kept)}
    assert problems(cleaned) == problems(kept) == []


def lines_of(search: Search) -> list[bytes]:
    return search.folder.events.read_bytes().splitlines(keepends=True)


def one_of_each_kind(search: Search) -> list[int]:
    """Of all lines with the same event, the number of one in the middle."""
    by_kind: dict[str, list[int]] = {}
    for number, event in enumerate(events(search)):
        by_kind.setdefault(event["event"], []).append(number)
    return [same[len(same) // 2] for same in by_kind.values()]


def every_line(search: Search) -> list[int]:
    return list(range(len(lines_of(search))))


SOME_OR_ALL = pytest.mark.parametrize(
    "choose", [one_of_each_kind, pytest.param(every_line, marks=pytest.mark.slow)], ids=["some", "all"]
)


@fault(
    "files",
    "A line in the middle of events.jsonl is damaged",
    here="every command names the line; `doctor RUN --repair` keeps all lines that follow from those before them, says "
    "which it leaves out, and keeps the damaged file; `resume` does again what they said",
)
@SOME_OR_ALL
@pytest.mark.parametrize("harm", [b"garbage\n", b'{"event": "completed"}\n', b""], ids=["garbage", "fields", "gone"])
def test_a_damaged_line_of_the_events(
    harm: bytes, choose: Callable[[Search], list[int]], interrupted: Any, whole: Any
) -> None:
    for number in choose(interrupted("made")):
        search = interrupted(f"{number}")
        lines = lines_of(search)
        harmed = b"".join([*lines[:number], harm, *lines[number + 1 :]])
        search.folder.events.write_bytes(harmed)
        # A line that is gone without a trace is missed if others follow from it.
        if harm:
            with pytest.raises(RunError, match=rf"events\.jsonl: is damaged: line {number + 1}") as raised:
                search.view()
            assert "--repair" in raised.value.cure
            assert any(f"line {number + 1} " in check.text for check in problems(search))
        done = repair_run(search.folder)
        if harm:
            assert f"line {number + 1} " in done[0]
            (kept,) = search.folder.path.glob("events.jsonl.damaged-*")
            assert kept.read_bytes() == harmed
        assert problems(search) == []
        search.finish()
        check_same(search, whole())
        ended = [event["trial"] for event in events(search) if event["event"] == "completed"]
        assert len(ended) == len(set(ended))
        shutil.rmtree(search.runs_dir)


@SOME_OR_ALL
def test_a_damaged_line_of_a_finished_run(
    choose: Callable[[Search], list[int]], interrupted: Any, make_search: Any, whole: Any
) -> None:
    made = interrupted("made")
    made.finish()
    for number in choose(made):
        if number == len(lines_of(made)) - 1:
            continue  # The line that says that it is finished.
        search = made.copy(make_search(f"{number}"))
        lines = lines_of(search)
        search.folder.events.write_bytes(b"".join([*lines[:number], b"garbage\n", *lines[number + 1 :]]))
        repair_run(search.folder)
        assert search.view().state != "finished"
        search.finish()
        check_same(search, whole())
        shutil.rmtree(search.runs_dir)


@fault(
    "files",
    "events.jsonl is an older copy of itself",
    here="what it does not know is set aside, and done again; nothing of it is taken for another trial's",
)
def test_an_older_copy_of_the_events(interrupted: Any, whole: Any) -> None:
    search = interrupted("run")
    search.folder.events.write_bytes(b"".join(lines_of(search)[:4]))
    search.finish()
    assert table(search.view()) == table(whole().view())
    assert list(search.folder.path.glob("trial_*.unknown-1"))


@fault(
    "files",
    "The last line of a log is torn by a crash",
    here="it does not count, and is cut off before the next one is written",
)
def test_torn_last_lines(interrupted: Any, whole: Any) -> None:
    search = interrupted("run")
    for path in (search.folder.events, *search.folder.path.glob("trial_*/history.jsonl")):
        with path.open("ab") as file:
            file.write(b'{"event": "compl')
    assert problems(search) == []
    search.finish()
    check_same(search, whole())


@fault(
    "files",
    "run.json is damaged",
    here="every command names it, and that a copy must be restored; the trials are not touched",
)
def test_a_damaged_run_json(interrupted: Any, whole: Any) -> None:
    search = interrupted("run")
    path = search.folder.path / "run.json"
    kept = path.read_bytes()
    cut(path)
    (finding,) = problems(search)
    assert "run.json" in finding.text
    assert "copy" in finding.cure
    with pytest.raises(RunError, match=r"run\.json"):
        repair_run(search.folder)
    assert search.drive()["said"].startswith("RunError")
    path.write_bytes(kept)
    search.finish()
    check_same(search, whole())
