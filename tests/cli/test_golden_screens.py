"""What each command prints at 80 columns, word for word: tests/golden/screens has a file for each command.

`pytest --update-golden` writes the files. No other test of the command line repeats what they say.
"""

from __future__ import annotations

import re
import shlex
import shutil
import socket
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from resnet_search.cli.main import COMMANDS
from resnet_search.files import append_line, write_text
from resnet_search.runs import latency, stop
from resnet_search.spaces import load
from resnet_search.spaces.load import known_spaces
from tests.export import colours

from .conftest import Asked, Outcome, make_folder, make_run

pytestmark = pytest.mark.interface

# Of each command, typical calls and some of its typical mistakes.
CALLS = {
    "run": [
        "run --space quickstart --name first --seed 7",
        "run --space quickstart --name quiet --quiet",
        "run --space quikstart",
        "run --space quickstart --name night",
        "run --space quickstart --max-epochs 0",
    ],
    "plan": [
        "plan --space cifar_small",
        "plan --space degradation",
        "plan --space quickstart --data photos/ --validation 0.1 --baseline wrn-28-10 --workers 4",
        "plan --space wrong",
        "plan --space quickstart --data cifar",
        "plan --space quickstart --train-examples 100000",
    ],
    "spaces": ["spaces"],
    "models": [
        "models wrn",
        "models resnet-20",
        "models --block preact_bottleneck --depth 164 --width 16",
        "models resnet-21",
        "models --block basic --width 8 --depth 21",
        "models --block basic --width 8 --n 1 --cardinality 4",
    ],
    "resume": [
        "resume stopped",
        "resume night",
        "resume absent",
        "resume stopped --seed 7 --max-epochs 3",
        "resume begun --add-epochs 3",
    ],
    "stop": ["stop held", "stop night", "stop absent"],
    "skip": ["skip stopped 9", "skip night 6", "skip night 99"],
    "enqueue": ["enqueue night resnet-20", "enqueue night resnet-20", "enqueue night block=basic,n=0,width=4"],
    "list": ["list", "list --runs-dir nowhere", "list --runs-dir x.png"],
    "trials": [
        "trials night --top 5",
        "trials night --pareto --top 3",
        "trials night --bracket 7",
        "trials night --sort scor",
        "trials damaged",
    ],
    "show": ["show night 20", "show night 6", "show night 99"],
    "compare": ["compare night other", "compare night stopped", "compare night nowhere", "compare night"],
    "confirm": ["confirm night", "confirm night --top 999", "confirm begun"],
    "train": [
        "train --model resnet-20 --data shapes --name one",
        "train begun",
        "train",
        "train --model resnet-21",
        "train --model resnet-20 --seed x",
    ],
    "report": ["report night", "report night --json --out there", "report absent"],
    "export": ["export night --format keras,onnx", "export night --format onxx", "export night --ensemble 2 --trial 1"],
    "predict": ["predict export pictures", "predict export x.png", "predict nothing x.png", "predict export"],
    "dashboard": ["dashboard absent", "dashboard night --port 70000"],
    "track": ["track night --to tensorboard", "track night --to tensorbord", "track night"],
    "clean": ["clean night --keep 2", "clean night --keep 2 --yes", "clean stopped --yes"],
    "import": [
        "import search/hyperband --data images.npz --image-size 16 --validation 12 --name theirs",
        "import nothing --data images.npz",
        "import search/hyperband --data images.npz --map filters=widht",
    ],
    "doctor": ["doctor", "doctor begun", "doctor damaged", "doctor absent"],
}

# Up to which of their trials they were searched, the latest run last.
RUNS = {"other": 10**9, "begun": 0, "damaged": 0, "held": 3, "stopped": 9, "night": 10**9}


@pytest.fixture
def place(
    command: Callable[..., Outcome], asked: Asked, made: None, machine: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Path]:  # fmt: skip
    """The current folder, with all that the calls name, on a terminal of 80 columns."""
    for hour, (name, trials) in enumerate(RUNS.items()):
        make_run(tmp_path / "runs", name, stop_after=trials, created=f"2026-09-21T{hour:02d}:00:00.000+00:00")
    append_line(tmp_path / "runs" / "damaged" / "events.jsonl", {"event": "completed", "time": 1.0, "trial": "99"})
    for trial in ("0004", "0007", "0012"):
        write_text(tmp_path / "runs" / "night" / f"trial_{trial}" / "checkpoint.weights.h5", "weights")
    write_text(tmp_path / "x.png", "no image")
    colours.paint(tmp_path / "pictures" / "red" / "a.png", "red")
    make_folder(tmp_path / "photos", ant=60, bee=50)
    for equal in ("train/ant/0.jpg", "train/bee/1.jpg", "test/bee/2.jpg", "train/bee/notes.txt"):
        write_text(tmp_path / "photos" / equal, "equal")
    shipped = known_spaces()
    for folder in ("shipped", "search_spaces"):
        (tmp_path / folder).mkdir()
    for name in ("cifar_small", "degradation", "quickstart"):
        shutil.copyfile(shipped[name], tmp_path / "shipped" / f"{name}.toml")
    write_text(tmp_path / "search_spaces" / "wrong.toml", '[axes]\nn = [0]\nwidht = [8]\nblock = ["basik"]\n')
    # Relative, since lines break elsewhere in longer paths.
    monkeypatch.setattr(load, "_shipped_folder", lambda: Path("shipped"))
    stopped = stop.stop
    monkeypatch.setattr(stop, "stop", lambda folder: "process 7" if folder.name == "held" else stopped(folder))
    monkeypatch.setattr(latency, "machine", lambda: "4 of a processor")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield tmp_path
    monkeypatch.undo()
    time.tzset()


def screens(calls: list[str], place: Path, command: Callable[..., Outcome]) -> str:
    """The calls with what they print and their exit status, without what differs between two machines."""
    parts = []
    for call in calls:
        outcome = command(*shlex.split(call))
        status = f"(exit status {outcome.status})\n" if outcome.status else ""
        parts.append(f"$ resnet-search {call}\n{outcome.out}{outcome.err}{status}")
    text = "\n".join(parts).replace(str(place), "FOLDER").replace(socket.gethostname(), "HOST")
    return re.sub(r"[ \t]+$", "", text, flags=re.MULTILINE)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_prints_its_screens(
    name: str, place: Path, command: Callable[..., Outcome], check_golden: Callable[[str, str], None],
    monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest,
) -> None:  # fmt: skip
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    if name == "import":
        for made in request.getfixturevalue("project").iterdir():
            (place / made.name).symlink_to(made)
    check_golden(f"screens/{name}.txt", screens(CALLS[name], place, command))


def test_there_are_no_other_screens(golden: Path) -> None:
    assert {path.stem for path in (golden / "screens").iterdir()} == set(COMMANDS) == set(CALLS)
