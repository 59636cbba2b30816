"""What is printed fits the terminal, whatever names there are; colours and bars are only where they are wanted."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len

from resnet_search.cli import confirm
from resnet_search.cli.text import MOST_OF_A_LINE, cut, cut_lines
from resnet_search.export import predict
from resnet_search.files import append_line, write_text
from resnet_search.report import confirmed
from resnet_search.runs import doctor
from resnet_search.runs.folder import RunFolder
from tests.export import colours
from tests.report.test_confirmed import found

from .conftest import Outcome, make_run

Command = Callable[..., Outcome]
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r")  # those of colours, and of what is drawn while one waits
NAMES = {
    "markup": "[bold red]x[/bold red] <b>&amp; {0}",
    "quotes": 'it\'s "a" `name` $(x) \\ |',
    "long": "basic20-w16-" + "projection-" * 26,
    "no hyphen": "x" * 300,
    "right to left": "\u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627 \u202eabc\u202c" * 6,
    "wide": "\u732b\u72ac" * 60 + "\U0001f600\U0001f468\u200d\U0001f469\u200d\U0001f467" * 5,
    "control": "a\x1b[2J\x1b]0;t\x07\r\n\tb\x00" * 20,
}
TABLES = [
    ["list"],
    ["trials", "run"],
    ["trials", "run", "--pareto"],
    ["show", "run", "0"],
    ["show", "run", "6"],
    ["compare", "run", "other"],
    ["plan", "--space", "quickstart"],
    ["spaces"],
    ["models", "wrn"],
    ["models", "resnet-20"],
    ["doctor"],
    ["doctor", "run"],
    ["predict", "export", "photos"],
    ["confirm", "run"],
]
# A table of numbers that all say something.
NARROWEST = {"plan": 80, "spaces": 80, "models": 80, "confirm": 80, "predict": 80}


def renamed(run: RunFolder, name: str) -> None:
    """Let every name and reason in a run be this."""
    lines = [json.loads(line) for line in run.events.read_text().splitlines()]
    for line in lines:
        line.update({key: name for key in ("name", "reason") if key in line})
    run.events.write_text("".join(json.dumps(line) + "\n" for line in lines))
    content = json.loads((run.path / "run.json").read_text())
    content["space"]["name"] = content["space"]["description"] = content["data"]["source"] = name
    content["machine"]["system"] = name
    (run.path / "run.json").write_text(json.dumps(content))


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return NAMES[request.param]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> Path:
    """A folder where every name of a run, of a class and of a space is hostile."""
    monkeypatch.chdir(tmp_path)
    renamed(make_run(tmp_path / "runs", "other", seed=1), "another")
    run = make_run(tmp_path / "runs", "run")
    renamed(run, name)
    folder = re.sub(r"[\x00/]", "", name)[:80]
    make_run(tmp_path / "runs", "third").path.rename(tmp_path / "runs" / folder)
    checks = [doctor.Check("Disk", doctor.OK, name), doctor.Check(name, doctor.WARNING, "asleep", name)]
    monkeypatch.setattr(doctor, "examine", lambda *_: checks)
    monkeypatch.setattr(confirm, "begin_or_go_on", lambda *_, **__: _Finished())
    two = found({"0007": [0.74, 0.76, 0.75], "0004": [0.78, 0.77, 0.79]}, failed=("0001",))
    monkeypatch.setattr(confirmed, "confirmation", lambda *_: two)
    monkeypatch.setattr(predict, "running", colours.running)
    colours.describe(tmp_path / "export")
    colours.paint(tmp_path / "photos" / folder / "red" / f"{folder[:60]}.png", "red")
    (tmp_path / "search_spaces").mkdir()
    (tmp_path / "search_spaces" / "mine.toml").write_text(
        f"description = {json.dumps(name)}\n[axes]\nn = [1]\nwidth = [8]\nblock = ['basic']\n[data]\nsource='shapes'\n"
    )
    return tmp_path


class _Finished:
    state = "finished"


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_every_table_fits_the_terminal(
    columns: int, place: Path, command: Command, terminal: Callable[[int], None]
) -> None:
    terminal(columns)
    for words in TABLES:
        outcome = command(*words)
        assert outcome.status in {0, 1}, outcome.err
        text = ESCAPES.sub("", outcome.out)
        assert text
        assert all(char.isprintable() or char == "\n" for char in text), words
        lines = [line for line in text.splitlines() if "Classifying" not in line]  # drawn over itself
        wide = [line for line in lines if cell_len(line) > max(columns, NARROWEST.get(words[0], 0))]
        # What is to be typed stays in a line.
        assert [line for line in wide if not line.startswith("  resnet-search ")] == [], words


def test_names_are_told_as_they_are(place: Path, name: str, command: Command, terminal: Callable[[int], None]) -> None:
    """Markup stays text, and of what folds or is cut the beginning is there."""
    terminal(200)
    shown = ESCAPES.sub("", command("show", "run", "0").out).replace("\n", "")
    safe = "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in name)
    assert safe[:20] in shown
    assert ESCAPES.sub("", command("trials", "run", "--top", 1).out).count(safe[:8]) >= 1


def test_what_is_wrapped_stays_beside_its_word(
    command: Command, terminal: Callable[[int], None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """No line begins below the word that it belongs to, and no command is broken."""
    monkeypatch.chdir(tmp_path)
    run = make_run(tmp_path / "runs", "run")
    for trial in ("0012", "0020", "0022"):
        write_text(run.trial(trial) / "checkpoint.weights.h5", "weights")
    cure = (
        "It was stopped after the trials that are here, and goes on with: resnet-search resume run, whenever you like"
    )
    monkeypatch.setattr(doctor, "examine", lambda *_: [doctor.Check("State", doctor.WARNING, cure, cure)])
    terminal(80)
    for words, word in (
        (["show", "run", "12"], "Axes"),
        (["doctor"], "warning"),
        (["clean", "run", "--keep=3"], "Keeps"),
    ):
        lines = ESCAPES.sub("", command(*words).out).splitlines()
        [first] = [at for at, line in enumerate(lines) if line.startswith(f"{word} ")]
        indent = re.match(r"\S+ +", lines[first]).end()  # type: ignore[union-attr]
        assert lines[first + 1].startswith(" " * indent + lines[first + 1].lstrip()[0]), words
        assert max(map(len, lines)) <= 80
        assert ("resnet-search resume run" in "\n".join(lines)) == (words == ["doctor"])


@pytest.mark.parametrize("words", TABLES, ids=" ".join)
def test_colour_only_where_it_is_wanted(
    words: list[str], command: Command, terminal: Callable[[int], None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("run", "other"):
        make_run(tmp_path / "runs", name, seed=len(name))
    monkeypatch.setattr(doctor, "examine", lambda *_: [doctor.Check("Disk", doctor.OK, "9 GB free")])
    if words[0] in {"predict", "confirm"}:
        pytest.skip("their tables are made of the same columns")
    colour = re.compile(r"\x1b\[[0-9;]*(3[0-9]|9[0-9])m")
    assert "\x1b" not in command(*words).out, "a pipe"
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b[" in command(*words).out, "a pipe that wants it"
    terminal(100)
    assert "\x1b[" in command(*words).out
    monkeypatch.setenv("NO_COLOR", "1")
    assert not colour.search(command(*words).out)
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", "dumb")
    assert "\x1b" not in command(*words).out


@pytest.mark.parametrize(("encoding", "bars"), [("utf-8", "█"), ("ascii", "#")])
def test_bars_only_where_they_can_be_shown(encoding: str, bars: str, tmp_path: Path) -> None:
    make_run(tmp_path / "runs", "run")
    make_run(tmp_path / "runs", "other", seed=1)
    for words in (["list"], ["trials", "run"], ["show", "run", "20"], ["compare", "run", "other"]):
        out = _printed(words, tmp_path, encoding)
        assert bars in out, words
        assert "?" not in out, words


def _printed(words: list[str], folder: Path, encoding: str) -> str:
    import subprocess

    environment: dict[str, Any] = {**os.environ, "PYTHONIOENCODING": encoding, "PYTHONPATH": str(_ROOT)}
    environment.pop("COLUMNS", None)
    done = subprocess.run(
        [sys.executable, "-m", "resnet_search", *words], cwd=folder, env=environment, capture_output=True, check=True
    )
    return done.stdout.decode(encoding)


_ROOT = Path(__file__).resolve().parents[2]


def test_a_terminal_that_knows_no_bars(tmp_path: Path) -> None:
    import subprocess

    make_run(tmp_path / "runs", "run")
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0", "PYTHONPATH": str(_ROOT)}
    environment["PYTHONCOERCECLOCALE"] = "0"
    done = subprocess.run(
        [sys.executable, "-m", "resnet_search", "list"], cwd=tmp_path, env=environment, capture_output=True, check=True
    )
    assert done.stdout.isascii()
    assert b"#" in done.stdout


@pytest.mark.parametrize(
    "words",
    [["show", "run", "NAME"], ["trials", "NAME"], ["compare", "run", "NAME"], ["trials", "run", "--sort", "NAME"],
     ["plan", "--space", "NAME"], ["models", "NAME"], ["NAME"], ["list", "--NAME"], ["predict", "NAME", "x.png"]],
    ids=" ".join,
)  # fmt: skip
def test_a_name_of_100_kilobytes_is_cut(words: list[str], tmp_path: Path, command: Command) -> None:
    make_run(tmp_path / "runs", "run")
    long = "begin" + "x" * 100_000 + "end"
    outcome = command(*[word.replace("NAME", long) for word in words], *_runs_dir(words, tmp_path))
    assert outcome.status in {1, 2}
    assert "begin" in outcome.err
    assert len(outcome.err) < 3 * MOST_OF_A_LINE
    assert "should not have happened" not in outcome.err


def _runs_dir(words: list[str], folder: Path) -> list[str]:
    return ["--runs-dir", str(folder / "runs")] if words[0] in {"show", "trials", "compare", "list"} else []


def test_a_reason_of_100_kilobytes_is_cut(tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run = make_run(tmp_path / "runs", "run", stop_after=1)
    append_line(run.events, {"event": "failed", "time": 2e9, "trial": "0001", "reason": "why " * 25_000})
    for words in (["show", "run", "1"], ["trials", "run"], ["list"]):
        assert len(command(*words).out) < 3 * MOST_OF_A_LINE
    [shown] = [line for line in command("show", "run", "1").out.splitlines() if line.startswith("Failed with")]
    assert "why why" in shown
    assert "..." in shown
    # Programs have all of it.
    assert json.loads(command("show", "run", "1", "--json").out)["reason"] == "why " * 25_000


def test_cutting() -> None:
    assert cut("a" * 300) == "a" * 300
    assert cut("begin" + "x" * 100_000 + "end", 20) == "beginxxxx...xxxxxend"
    assert len(cut("x" * 301)) == 300
    text = "\n".join(["a" * 5000, "short"])
    assert [len(line) for line in cut_lines(text).split("\n")] == [MOST_OF_A_LINE, 5]
