"""Whatever stands in a file that is read, or behind an option: an answer or an error that was foreseen, and no more.

In this process and without training: what would train, download or start TensorFlow ends at its door.
"""

from __future__ import annotations

import copy
import json
import os
import resource
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from resnet_search.cli import main
from resnet_search.errors import DataError
from resnet_search.runs.checkup import Checkup
from tests.export import colours
from tests.faults.table import fault

from .conftest import Outcome, make_run

CASES = 10_000
KINDS = ["link", "pipe", "device", "folder", "gone"]
MEMORY = 2 * 2**30  # bytes that a case may take, beyond what the process has
ODD: list[Any] = [
    None, True, False, -1, 0, 1, 2**63, 10**18, 10**400, -(10**400), 1.5, -0.0, 1e308, -1e308, float("nan"),
    float("inf"), "", "a", "0000", "../../x", "/dev/zero", "\x1b[2J[red]", "9" * 5000, "\u202e", "%s{}", "bashc",
    "imagenet", [], [[]], {}, {"x": 1}, [None], ["a"] * 50, [10**9] * 3, {"name": "search"}, "nan", 10**9,
]  # fmt: skip
WORDS = [
    "", " ", "-1", "0", "1", "9" * 300, "9" * 5000, "nan", "inf", "-inf", "1e308", "1e400", "1_000", "0x10", "1.5",
    "é", "../..", "/dev/zero", "/", ".", "~nobody/x", "x" * 5000, "[red]\x1b[2J", "%s{}", "--", "a,b", ",", "a=b",
    "=", "auto", "ray", "ray://x", "latest", "tfds:x", "tfds:", "cifar10", "block=basic,n=1,width=4",
    "block=basic,n=" + "9" * 400, "1d", "2h", "run", "runs/run", "\udcff", "0000", "keras,onnx", "{", "resnet-20",
    "1-2-3", "\u0661",
]  # fmt: skip
FILES = [
    "run.json", "events.jsonl", "lock", "latency.json", "test.json", "test_reads.jsonl", "energy.jsonl", "oracle.json",
    "requests.jsonl",
    "trial_0000/history.jsonl", "trial_0000/state.h5", "trial_0000/checkpoint.weights.h5", "trial_0000/trial.json",
    "export/export.json", "export/classes.json", "export/saved_model/saved_model.pb",
]  # fmt: skip
READERS = [
    ["list"], ["list", "--json"], ["trials", "run"], ["trials", "run", "--json"], ["trials", "run", "--pareto"],
    ["show", "run", "0"], ["show", "run", "0", "--json"], ["compare", "run", "run"], ["doctor", "run"],
    ["doctor", "run", "--repair"], ["clean", "run", "--yes"], ["predict", "run", "x.png"], ["export", "run"],
    ["resume", "run"], ["resume", "run", "--retry-failed"], ["resume", "run", "--add-epochs", "3"], ["stop", "run"],
    ["confirm", "run"], ["train", "run"], ["skip", "run", "4"], ["enqueue", "run", "resnet-20"],
    ["plan", "--space", "space.toml"],
]  # fmt: skip
STARTS = [
    ["plan", "--space", "space.toml"], ["import", "project", "--epochs", "3"], ["run", "--space", "space.toml"],
    ["plan", "--space", "space.toml", "--data", "set"],
]  # fmt: skip
OTHERS = [
    "space.toml", "images.npz", "project/oracle.json", "project/trial_00/trial.json", "set/features.json",
    "set/dataset_info.json",
]  # fmt: skip
SPACE = (
    '[axes]\nblock = ["basic"]\nn = [1, 2]\nwidth = [4]\n[hyperband]\nmax_epochs = 3\n[data]\nsource = "./images.npz"\n'
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with everything that is read, in order."""
    folder = tmp_path_factory.mktemp("whole")
    run = make_run(folder / "runs", "run", stop_after=4).path
    colours.describe(run / "export")
    lines = {
        "test_reads.jsonl": {"time": 1, "images": 2, "command": [], "network": ""},
        "energy.jsonl": {"session": 1, "joules": {}},
        "requests.jsonl": {"request": "1", "kind": "skip", "trial": "0000"},
    }
    for name in FILES:
        if not (run / name).exists():
            (run / name).write_text(json.dumps(lines.get(name, {})) + "\n")
    (folder / "space.toml").write_text(SPACE)
    images = np.arange(40 * 8 * 8 * 3, dtype=np.uint8).reshape(40, 8, 8, 3)
    np.savez(folder / "images.npz", x_train=images, y_train=np.arange(40) % 2, x_test=images, y_test=np.arange(40) % 2)
    for name, content in {
        "project/oracle.json": {
            "display": {},
            "start_order": ["00"],
            "hyperparameters": {
                "space": [
                    {
                        "class_name": "Choice",
                        "config": {"name": "block", "values": ["basic"], "default": "basic", "conditions": []},
                    },
                    {
                        "class_name": "Int",
                        "config": {"name": "n", "min_value": 1, "max_value": 2, "default": 1, "conditions": []},
                    },
                    {
                        "class_name": "Int",
                        "config": {"name": "width", "min_value": 4, "max_value": 8, "default": 4, "conditions": []},
                    },
                ]
            },
        },
        "project/trial_00/trial.json": {
            "trial_id": "00",
            "status": "COMPLETED",
            "score": 0.5,
            "best_step": 0,
            "message": None,
            "hyperparameters": {"values": {"block": "basic", "n": 1, "width": 4}},
            "metrics": {
                "metrics": {"val_accuracy": {"direction": "max", "observations": [{"value": [0.5], "step": 0}]}}
            },
        },
        "set/features.json": {"pythonClassName": "tensorflow_datasets.core.features.features_dict.FeaturesDict"},
        "set/dataset_info.json": {"name": "set", "splits": [{"name": "train", "shardLengths": ["3"]}]},
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(json.dumps(content))
    (folder / "x.png").write_bytes(b"")
    return folder


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the cases are, in a folder of their own; beside it what none of them may change."""
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "file").write_text("precious")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("HOME", str(tmp_path / "here"))
    return tmp_path / "here"


@pytest.fixture
def no_training(monkeypatch: pytest.MonkeyPatch) -> None:
    from resnet_search.cli import doctor
    from resnet_search.export import make, predict, saved_model
    from resnet_search.search import after, imported, repair, start

    def ends(*_: Any, **__: Any) -> Any:
        raise DataError("the door")

    monkeypatch.setattr(repair, "check_keras_tuner", lambda view: iter(()))
    monkeypatch.setattr(doctor, "_examine", lambda folder: list(Checkup(folder).checks()))
    monkeypatch.setattr("resnet_search.runs.doctor.examine", lambda *_: [])
    for module, name in (
        (start, "check_backend"), (start, "read_data"), (start, "keras_backend"), (imported, "read_data"),
        (make, "images_of"), (saved_model, "images_of"), (saved_model, "chosen"), (predict, "running"),
        (after, "check_backend"),
    ):  # fmt: skip
        if hasattr(module, name):
            monkeypatch.setattr(module, name, ends)
    monkeypatch.setattr("resnet_search.training.datasets.network.unreachable", lambda *_: "no network")
    monkeypatch.setattr("os.kill", ends)


@pytest.fixture
def little_memory() -> Iterator[None]:
    """A limit that a case that reads too much runs into, as an error."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (pages + MEMORY, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


def paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(min(3, len(value))):
            yield from paths(value[key], (*path, key))


def changed(value: Any, path: tuple[Any, ...], how: str, odd: Any) -> Any:
    """The value with something else at a path: another value, none, or one more beside it."""
    if not path:
        return odd
    found = holder = copy.deepcopy(value)
    for key in path[:-1]:
        holder = holder[key]
    if how == "replace":
        holder[path[-1]] = odd
    elif how == "remove":
        del holder[path[-1]]
    elif isinstance(holder, dict):
        holder["unknown"] = odd
    else:
        holder.append(odd)
    return found


def change_value(draw: Callable[[Any], Any], path: Path, text: str) -> None:
    """Change a value in one of the lines of JSON."""
    lines = text.splitlines() if path.suffix == ".jsonl" else [text]
    number = draw(st.integers(0, len(lines) - 1))
    value = json.loads(lines[number])
    odd, way = draw(st.sampled_from(ODD)), draw(st.sampled_from(["replace", "replace", "remove", "add"]))
    lines[number] = json.dumps(changed(value, draw(st.sampled_from(list(paths(value)))), way, odd))
    path.write_text("\n".join(lines) + "\n")


def change_kind(kind: str, path: Path) -> None:
    """Put something else in the place of a file, or nothing."""
    path.unlink()
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind != "gone":
        path.symlink_to("/dev/zero" if kind == "device" else Path("../precious/file").absolute())


def damage(draw: Callable[[Any], Any], path: Path) -> None:
    """Change one file: a value in its JSON, some of its bytes, or what kind of thing it is."""
    raw = path.read_bytes()
    how = draw(st.sampled_from([*["value"] * 8, "bytes", "cut", "text", "large", *KINDS]))
    if how == "value" and path.suffix in {".json", ".jsonl"}:
        change_value(draw, path, raw.decode())
    elif how in {"value", "bytes"}:
        at = draw(st.integers(0, max(0, len(raw) - 1)))
        path.write_bytes(raw[:at] + draw(st.binary(max_size=3)) + raw[at + 1 :])
    elif how == "cut":
        path.write_bytes(raw[: draw(st.integers(0, len(raw)))])
    elif how == "text":
        path.write_text(draw(st.sampled_from(["[" * 50_000, "{}", "null", "\x00" * 100, "1" * 5000, '{"a":' * 3000])))
    elif how == "large":
        os.truncate(path, 2**40)
    else:
        change_kind(how, path)


def options_of(name: str) -> list[click.Parameter]:
    found = main.cli.get_command(click.Context(main.cli), name)
    assert found is not None
    return found.params


def odd_words(draw: Callable[[Any], Any]) -> list[str]:
    """A command with an odd value behind one or two of its options and arguments."""
    name = draw(st.sampled_from([one for one in main.COMMANDS if one not in {"dashboard", "track"}]))
    arguments = [param for param in options_of(name) if isinstance(param, click.Argument)]
    wanted = [param for param in arguments if param.required or draw(st.booleans())]
    words = [name, *(draw(st.sampled_from(["run", "run", "x.png", *WORDS])) for _ in wanted)]
    if name in {"run", "plan"}:
        words += ["--space", "space.toml"]
    for param in draw(st.lists(st.sampled_from(options_of(name)), max_size=2)):
        if isinstance(param, click.Option) and param.name != "watch":
            words += [param.opts[0], *([] if param.is_flag else [draw(st.sampled_from(WORDS))])]
    return words


@fault(
    "hostile",
    "Any value, byte or kind of any file that is read, and any value of any option",
    here="an answer or an error that says what is wrong: no internal error, no waiting, no change outside the folder",
)
@pytest.mark.slow
@pytest.mark.usefixtures("no_training", "little_memory")
def test_whatever_is_read_is_answered(whole: Path, place: Path, command: Callable[..., Outcome]) -> None:
    precious = place.parent / "precious"

    @settings(
        max_examples=int(os.environ.get("RESNET_SEARCH_CASES", CASES)),
        suppress_health_check=list(HealthCheck),
        database=None,
    )
    @given(st.data(), st.sampled_from(["run", "run", "run", "other", "options", "options"]))
    def check(data: st.DataObject, kind: str) -> None:
        shutil.rmtree(place)
        shutil.copytree(whole, place)
        os.chdir(place)
        if kind == "options":
            words = odd_words(data.draw)
        elif kind == "run":
            damage(data.draw, place / "runs" / "run" / data.draw(st.sampled_from(FILES)))
            words = data.draw(st.sampled_from(READERS))
        else:
            damage(data.draw, place / data.draw(st.sampled_from(OTHERS)))
            words = data.draw(st.sampled_from(STARTS))
        outcome = command(*words)
        said = outcome.out + outcome.err
        assert outcome.status in {0, 1, 2}, (words, outcome)
        assert "internal error" not in said, (words, said)
        assert "Traceback" not in said, (words, said)
        assert "not enough memory" not in said, words
        assert [(file.name, file.read_text()) for file in precious.iterdir()] == [("file", "precious")], words
        assert {path.name for path in place.parent.iterdir()} == {"here", "precious"}, words

    check()


@pytest.mark.slow
@pytest.mark.usefixtures("no_training", "little_memory")
def test_whatever_is_missing_is_answered(whole: Path, place: Path, command: Callable[..., Outcome]) -> None:
    content = json.loads((whole / "runs" / "run" / "run.json").read_text())
    for path in list(paths(content))[1:]:
        for words in READERS:
            shutil.rmtree(place)
            shutil.copytree(whole, place)
            os.chdir(place)
            (place / "runs" / "run" / "run.json").write_text(json.dumps(changed(content, path, "remove", None)))
            outcome = command(*words)
            assert outcome.status in {0, 1, 2}, (words, path, outcome)
            assert "internal error" not in outcome.out + outcome.err, (words, path, outcome)
