"""Nothing that is read from a run's folder, a space or a data set runs code, is obeyed by a terminal, or is a path."""

from __future__ import annotations

import copy
import json
import os
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from markdown_it import MarkdownIt

from resnet_search.errors import DataError
from resnet_search.runs.folder import RUN_JSON, RunFolder
from resnet_search.runs.trials import read_run
from resnet_search.training.arrays import whole
from resnet_search.training.checkpoint import BadCheckpointError, load_state
from resnet_search.training.datasets import load_data
from tests.faults.table import fault

from .conftest import Outcome, make_run, refused

EVIL = "[red]\x1b[2J\x1b]0;title\x07\r<script>alert(1)</script>|`$(touch x)`\u202e../../x"
ODD = [None, True, -1, 1e308, 10**40, "", EVIL, [], {}, [EVIL], {"x": EVIL}]
READERS = [
    ["list"], ["list", "--json"], ["trials", "run"], ["trials", "run", "--csv"], ["show", "run", "0"],
    ["compare", "run", "other"],
]  # fmt: skip


class Evil:
    """An object that leaves a mark where it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.mark),)


@pytest.fixture
def mark(tmp_path: Path) -> Iterator[Path]:
    """What there is if any code of a file was run."""
    place = tmp_path / "mark"
    yield place
    assert not place.exists()


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunFolder:
    monkeypatch.chdir(tmp_path)
    make_run(Path("runs"), "other", stop_after=3)
    return make_run(Path("runs"), "run", stop_after=3)


def check(outcome: Outcome) -> None:
    """A terminal obeys nothing of it, and it is an answer or an error that was foreseen."""
    text = outcome.out + outcome.err
    assert all(char.isprintable() or char == "\n" for char in text), repr(text)
    assert "internal error" not in text, text
    assert "Traceback" not in text


def strings(value: Any, evil: str) -> Any:
    """The same with every text replaced."""
    if isinstance(value, dict):
        return {key: strings(item, evil) for key, item in value.items()}
    if isinstance(value, list):
        return [strings(item, evil) for item in value]
    return evil if isinstance(value, str) else value


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where values stand, and what holds them."""
    if path:
        yield path
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(min(2, len(value))):
            yield from leaves(value[key], (*path, key))


def replaced(value: Any, path: tuple[Any, ...], by: Any) -> Any:
    changed = copy.deepcopy(value)
    place = changed
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = by
    return changed


@fault(
    "hostile",
    "Names, reasons and other texts of a run hold control characters, markup or paths",
    here="shown as escapes on a terminal, as text in reports; never a path",
)
def test_every_text_of_a_run_is_evil(run: RunFolder, command: Callable[..., Outcome]) -> None:
    path = run.path / RUN_JSON
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**strings(content, EVIL), "format": 1}))
    for words in [*READERS, ["doctor", "run"]]:
        check(command(*words))
    path.write_text(json.dumps(content))
    kept = {"event", "trial", "parent", "promoted_from"}
    lines = [json.loads(line) for line in run.events.read_text().splitlines()]
    evil = [{key: value if key in kept else strings(value, EVIL) for key, value in line.items()} for line in lines]
    run.events.write_text("".join(json.dumps(line) + "\n" for line in evil))
    for words in READERS:
        outcome = command(*words)
        assert outcome.status == 0, outcome
        if "--json" not in words and "--csv" not in words:
            check(outcome)
    assert not Path("x").exists()


def test_every_value_of_run_json_is_odd(run: RunFolder, command: Callable[..., Outcome]) -> None:
    path = run.path / RUN_JSON
    content = json.loads(path.read_text())
    places = list(leaves(content))
    assert len(places) > 60
    for number, place in enumerate(places):
        # Each odd value comes to each place of some kind; all at all of them would take minutes.
        for odd, readers in ((number, READERS), (number * 3 + 1, READERS[number % 2 :: 2])):
            path.write_text(json.dumps(replaced(content, place, ODD[odd % len(ODD)])))
            for words in readers:
                check(command(*words))


def test_every_value_of_an_event_is_odd(run: RunFolder, command: Callable[..., Outcome]) -> None:
    lines = [json.loads(line) for line in run.events.read_text().splitlines()]
    some = [
        next(number for number, line in enumerate(lines) if line["event"] == kind) for kind in ("created", "completed")
    ]
    for number in some:
        for place in leaves(lines[number]):
            for odd in ODD:
                changed = [*lines[:number], replaced(lines[number], place, odd), *lines[number + 1 :]]
                run.events.write_text("".join(json.dumps(line) + "\n" for line in changed))
                for words in (["trials", "run"], ["show", "run", "0"]):
                    check(command(*words))


@fault(
    "hostile",
    "A trial id, the place of the images or a candidate's history is `../../x` or a circle",
    here="refused: ids are digits, images are beside the runs, a trial continues one before it",
)
@pytest.mark.parametrize("ref", ["../../x", "..", "/etc/passwd", "0000/../../x", "\x1b[2J"])
def test_a_path_for_an_id(ref: str, run: RunFolder, command: Callable[..., Outcome], tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "history.jsonl").write_text('{"epoch": 1}\n')
    for words in (["show", "run", ref], ["export", "run", "--trial", ref]):
        outcome = command(*words)
        check(outcome)
        assert outcome.status in {1, 2}
    text = run.events.read_text()
    for field in ("trial", "parent", "promoted_from"):
        lines = [json.loads(line) for line in text.splitlines()]
        created = [line for line in lines if line["event"] == "created"]
        for value in (ref, created[-1]["trial"]):
            created[-1][field] = value
            if field == "trial" and value != ref:
                continue
            run.events.write_text("".join(json.dumps(line) + "\n" for line in lines))
            outcome = command("show", "run", "0")
            check(outcome)
            refused(outcome, 1, "events.jsonl")
    run.events.write_text(text)
    content = json.loads((run.path / RUN_JSON).read_text())
    content["data"]["arrays"] = ref
    (run.path / RUN_JSON).write_text(json.dumps(content))
    outcome = command("resume", "run")
    check(outcome)
    refused(outcome, 1, "its images")
    assert [path.name for path in (tmp_path / "x").iterdir()] == ["history.jsonl"]


@fault(
    "hostile",
    "A `.npz` or `.npy` of images holds a pickle",
    here="refused: objects are not read",
)
def test_arrays_with_a_pickle(mark: Path, tmp_path: Path) -> None:
    evil = np.array([Evil(mark)], dtype=object)
    path = tmp_path / "photos.npz"
    np.savez(path, x_train=evil, y_train=evil, x_test=evil, y_test=evil)
    with zipfile.ZipFile(path) as archive:
        assert b"mkdir" in archive.read("x_train.npy"), "the pickle is there"
    with pytest.raises(DataError, match=r"photos\.npz"):
        load_data(str(path))
    folder = tmp_path / "arrays"
    folder.mkdir()
    (folder / "meta.json").write_text('{"classes": [], "mean": [], "std": []}')
    for name in ("x_train", "y_train", "x_validation", "y_validation"):
        np.save(folder / f"{name}.npy", evil)
    assert not whole(folder)


@fault(
    "hostile",
    "A checkpoint is a Keras model with a `Lambda`, or claims an enormous size",
    here="weights are numbers: no layer is made from a file, and sizes are compared before anything is read",
)
def test_checkpoints_with_code(mark: Path, tmp_path: Path) -> None:
    import keras

    from resnet_search.export.build import Member, load_network
    from resnet_search.networks.architecture import Architecture

    def leave_a_mark(values: Any) -> Any:
        mark.mkdir()
        return values

    model = keras.Sequential([keras.Input((4,)), keras.layers.Lambda(leave_a_mark), keras.layers.Dense(2)])
    mark.rmdir()
    legacy = tmp_path / "model.h5"
    model.save(legacy)
    weights = tmp_path / "checkpoint.weights.h5"
    legacy.rename(weights)
    architecture = Architecture.from_axes(block="basic", n=1, width=4).to_dict()
    member = Member(weights=str(weights), architecture=architecture, mean=(0.0,) * 3, std=(1.0,) * 3)
    with pytest.raises(ValueError, match=r"layer|weights|expected"):
        load_network(member, (8, 8, 3), 2)
    with pytest.raises(BadCheckpointError):
        load_state(weights, {"network": model.variables})


def test_a_state_that_claims_what_it_does_not_hold(tmp_path: Path) -> None:
    path = tmp_path / "state.h5"

    class Variable:
        shape = (3,)

        def assign(self, value: Any) -> None:
            pytest.fail(f"{value} was taken")

    for make in (
        lambda group: group.create_dataset("0", shape=(10**12,), dtype="f4", chunks=(1000,)),
        lambda group: group.create_dataset("0", data=["a", "b", "c"]),
        lambda group: group.create_group("0"),
        lambda group: group.__setitem__("0", h5py.ExternalLink("absent.h5", "/x")),
        lambda group: group.__setitem__("0", h5py.SoftLink("/network/0")),
    ):
        with h5py.File(path, "w") as file:
            file.attrs["epoch"] = 1
            make(file.create_group("network"))
        with pytest.raises(BadCheckpointError):
            load_state(path, {"network": [Variable()]})


def test_class_names_stay_text_in_a_report(tmp_path: Path) -> None:
    from resnet_search.report.content import report_of
    from resnet_search.report.markdown import to_markdown

    folder = make_run(tmp_path, "run")
    content = folder.read()
    content["data"]["classes"] = [EVIL] * 10
    content["data"]["notes"] = [EVIL]
    (folder.path / RUN_JSON).write_text(json.dumps(content))
    view = read_run(folder)
    assert view.winner is not None
    html = MarkdownIt("commonmark").render(to_markdown(report_of(view, view.winner)))
    assert "&lt;script&gt;" in html
    assert "<script>" not in html
