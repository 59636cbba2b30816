"""Nothing that is read from a run's folder, a space or a data set runs code, is obeyed by a terminal, or is a path."""

from __future__ import annotations

import copy
import json
import os
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import h5py
import numpy as np
import pytest
from markdown_it import MarkdownIt

from resnet_search.errors import DataError
from resnet_search.files import read_lines, write_lines
from resnet_search.runs.checkup import Checkup, h5_problem
from resnet_search.runs.folder import RUN_JSON, RunFolder
from resnet_search.runs.trials import read_run
from resnet_search.training.arrays import whole
from resnet_search.training.checkpoint import BadCheckpointError, load_state
from resnet_search.training.datasets import load_data
from resnet_search.training.datasets.prepared import check_features
from tests.export import colours
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
    kept = {"event", "trial", "parent", "promoted_from", "architecture", "recipe"}
    lines = read_lines(run.events)
    evil = [{key: value if key in kept else strings(value, EVIL) for key, value in line.items()} for line in lines]
    write_lines(run.events, evil)
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
    lines = read_lines(run.events)
    some = [
        next(number for number, line in enumerate(lines) if line["event"] == kind) for kind in ("created", "completed")
    ]
    for number in some:
        for place in leaves(lines[number]):
            for odd in ODD:
                changed = [*lines[:number], replaced(lines[number], place, odd), *lines[number + 1 :]]
                # Without checksums, as earlier versions wrote them.
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
        run.events.write_text(text)
        lines = read_lines(run.events)
        created = [line for line in lines if line["event"] == "created"]
        for value in (ref, created[-1]["trial"]):
            created[-1][field] = value
            if field == "trial" and value != ref:
                continue
            write_lines(run.events, lines)
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


@pytest.fixture
def exported(run: RunFolder) -> RunFolder:
    """A run with an export, and every other file that a command reads or writes."""
    colours.describe(run.path / "export")
    (run.path / "export" / "saved_model" / "saved_model.pb").touch()
    (run.path / "report").mkdir()
    for name in ("latency.json", "worker.log", "test.json", "energy.jsonl", "test_reads.jsonl", "oracle.json"):
        (run.path / name).write_text("{}\n")
    for name in ("state.h5", "checkpoint.weights.h5", "trial.json", "failure.txt"):
        (run.path / "trial_0000" / name).write_text("{}\n")
    return run


READING = [["list"], ["trials", "run"], ["show", "run", "0"], ["report", "run"], ["doctor", "run"],
           ["doctor", "run", "--repair"], ["clean", "run", "--yes"], ["predict", "run", "x.png"], ["resume", "run"],
           ["export", "run"]]  # fmt: skip
ENTRIES = [
    "run.json",
    "events.jsonl",
    "lock",
    "worker.log",
    "latency.json",
    "export",
    "report",
    "trial_0000",
    "test.json",
]
INNER = ["trial_0000/history.jsonl", "trial_0000/state.h5", "trial_0000/checkpoint.weights.h5", "trial_0000/trial.json",
         "export/export.json", "export/classes.json", "export/saved_model/saved_model.pb"]  # fmt: skip


@pytest.fixture
def without_tensorflow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is rebuilt, trained or run: what is read before that is what these tests are about."""
    from resnet_search.cli import doctor
    from resnet_search.search import repair, start

    monkeypatch.setattr(repair, "check_keras_tuner", lambda view: iter(()))
    monkeypatch.setattr(doctor, "_examine", lambda folder: list(Checkup(folder).checks()))
    monkeypatch.setattr(start, "check_backend", lambda name: (_ for _ in ()).throw(DataError("it would train")))


def some(names: list[str], *quick: str) -> list[Any]:
    """All of these names; those that are not quick are for the slow suite."""
    return [name if name in quick else pytest.param(name, marks=pytest.mark.slow) for name in names]


def contents(path: Path) -> dict[str, bytes]:
    """Everything below a path, by name, in bytes."""
    files = [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())
    return {str(file): file.read_bytes() for file in files}


@fault(
    "hostile",
    "A file or folder of a run is a link: lock, worker.log, events.jsonl, report, export, a trial, a checkpoint",
    here="refused by name: what it leads to is not read, changed, emptied or removed",
)
@pytest.mark.usefixtures("without_tensorflow")
@pytest.mark.parametrize("name", some([*ENTRIES, *INNER], "lock", "trial_0000", "trial_0000/state.h5"))
def test_a_link_in_a_run_leads_nowhere(
    name: str, exported: RunFolder, command: Callable[..., Outcome], tmp_path: Path
) -> None:
    place, target = exported.path / name, tmp_path / "target"
    if not place.exists():
        place.write_text("{}\n")
    place.rename(target)
    place.symlink_to(target)
    before = contents(target)
    for words in READING:
        outcome = command(*words)
        check(outcome)
        assert contents(target) == before, words
        if name in ENTRIES and words[0] != "list":
            assert outcome.status == 1, (words, outcome)
            assert f"{name}: is a link" in outcome.out + outcome.err
        if not place.is_symlink():  # --repair has removed the link.
            place.symlink_to(target)


@fault(
    "hostile",
    "A file of a run or an export is a pipe or a link to an endless device, or has an absurd size",
    here="refused by name, without waiting for it or reading it",
)
@pytest.mark.usefixtures("without_tensorflow")
@pytest.mark.parametrize(
    "name", some(["events.jsonl", "lock", "worker.log", "latency.json", "test.json", *INNER], "lock", "events.jsonl")
)
@pytest.mark.parametrize("kind", ["pipe", "sparse"])
def test_a_pipe_or_a_giant_in_the_place_of_a_file(
    name: str, kind: str, exported: RunFolder, command: Callable[..., Outcome]
) -> None:
    place = exported.path / name
    for words in READING:
        if place.exists():
            place.unlink()
        if kind == "pipe":
            os.mkfifo(place)
        else:
            place.touch()
            os.truncate(place, 2**40)
        check(command(*words))


@pytest.mark.parametrize("kind", ["external", "virtual", "soft", "outside", "compressed"])
def test_weights_that_are_elsewhere(kind: str, tmp_path: Path) -> None:
    """`state.h5`, and the weights that an export loads: no file of the user gets into a network."""
    from resnet_search.export.build import Member, load_network
    from resnet_search.networks.architecture import Architecture

    path, secret = tmp_path / "file.h5", tmp_path / "secret"
    secret.write_bytes(np.arange(3, dtype="f4").tobytes())
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["x"] = np.arange(3, dtype="f4")
    with h5py.File(path, "w") as file:
        file.attrs["epoch"] = 1
        group = file.create_group("network")
        if kind == "external":
            group.create_dataset("0", (3,), "f4", external=[(str(secret), 0, 12)])
        elif kind == "virtual":
            layout = h5py.VirtualLayout((3,), "f4")
            layout[:] = h5py.VirtualSource(str(tmp_path / "other.h5"), "x", (3,))
            group.create_virtual_dataset("0", layout)
        elif kind == "soft":
            file["x"] = np.zeros(3, "f4")
            group["0"] = h5py.SoftLink("/x")
        elif kind == "outside":
            group["0"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "/x")
        else:
            group.create_dataset("0", data=np.zeros(10**6, "f4"), compression="gzip")
    variable = SimpleNamespace(shape=(3,), assign=lambda value: pytest.fail(f"{value} was taken"))
    with pytest.raises(BadCheckpointError, match="network/0"):
        load_state(path, {"network": [variable]})
    assert "is damaged" in h5_problem(path)
    architecture = Architecture.from_axes(block="basic", n=1, width=4).to_dict()
    with pytest.raises(ValueError, match="network/0"):
        load_network(
            Member(weights=str(path), architecture=architecture, mean=(0.0,) * 3, std=(1.0,) * 3), (8, 8, 3), 2
        )


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("plan", 0, "rungs", 0, "size"), 10**18),
        (("plan", 0, "rungs", 0, "epochs"), 10**18),
        (("data", "image_shape"), [10**9, 10**9, 3]),
        (("data", "image_shape"), [32, 32]),
        (("data", "classes"), []),
        (("data", "classes"), [["a"]]),
        (("data", "train"), 1e308),
        (("horizon",), 10**400),
        (("workers", "threads"), "x"),
        (("seed",), -1),
    ],
)
def test_counts_of_run_json_have_bounds(
    place: tuple[Any, ...], value: Any, run: RunFolder, command: Callable[..., Outcome]
) -> None:
    content = replaced(run.read(), place, value)
    (run.path / RUN_JSON).write_text(json.dumps(content))
    for words in (["trials", "run"], ["resume", "run"], ["export", "run"]):
        refused(command(*words), 1, "run.json", str(place[-1]))


@pytest.mark.parametrize(
    ("block", "value"),
    [("workers", {"colour": 1}), ("plan", 1), ("recipe", []), ("recipe", {"name": "search", "x": 1})],
)
def test_what_no_run_has_is_named_before_a_run_is_resumed(
    block: str, value: Any, run: RunFolder, command: Callable[..., Outcome]
) -> None:
    content = run.read()
    content[block] = {**content[block], **value} if block == "workers" else value
    (run.path / RUN_JSON).write_text(json.dumps(content))
    refused(command("resume", "run"), 1, "run.json")


@pytest.mark.parametrize(
    "classes", [[], ["a"], [["a"], ["b"], ["c"]], {"a": 1}, "abc", 3, [1, 2, 3], ["a"] * 10**5, None]
)
def test_classes_of_an_export_that_are_not_its_own(
    classes: Any, exported: RunFolder, command: Callable[..., Outcome]
) -> None:
    (exported.path / "export" / "classes.json").write_text(json.dumps(classes))
    refused(command("predict", "run", "x.png"), 1, "classes.json")


@pytest.mark.parametrize("value", [1e308, 10**400, -1, "x", None, [1]])
@pytest.mark.parametrize("name", ["size", "accuracy", "difference", "compared"])
def test_measurements_of_an_export_that_cannot_be(name: str, value: Any, tmp_path: Path) -> None:
    from resnet_search.export.found import exported_of
    from tests.report.test_exported import EXPORTED

    view = read_run(make_run(tmp_path, "run"))
    assert view.leader is not None
    verified = asdict(replace(EXPORTED, ensemble=None))
    (view.folder.path / "export").mkdir()
    manifest = view.folder.path / "export" / "export.json"
    manifest.write_text(json.dumps({"trial": view.leader.trial, "verified": verified}))
    assert exported_of(view) is not None
    manifest.write_text(json.dumps({"trial": view.leader.trial, "verified": {**verified, name: value}}))
    assert exported_of(view) is None


@fault("hostile", "A `.npz` of 6 MB unpacks to 6 GB", here="refused from its header")
def test_an_archive_that_is_made_to_fill_the_memory(tmp_path: Path) -> None:
    path = tmp_path / "zeros.npz"
    large = np.zeros((30_000, 32, 32, 3), np.uint8)
    np.savez_compressed(path, x_train=large, y_train=np.zeros(1), x_test=large[:1], y_test=np.zeros(1))
    with pytest.raises(DataError, match="x_train would unpack from"):
        load_data(str(path))


def test_a_prepared_set_that_names_a_module(tmp_path: Path) -> None:
    named = {"pythonClassName": "tensorflow_datasets.core.features.features_dict.FeaturesDict"}
    inner = {"featuresDict": {"features": {"image": {"pythonClassName": "notes.Image"}}}}
    (tmp_path / "features.json").write_text(json.dumps(named))
    check_features(tmp_path)
    (tmp_path / "features.json").write_text(json.dumps({**named, **inner}))
    with pytest.raises(DataError, match=r"notes\.Image"):
        check_features(tmp_path)


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
