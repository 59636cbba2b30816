"""What is printed fits the terminal, whatever names there are; colours and bars are only where they are wanted."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.cells import cell_len

from resnet_search.cli import confirm
from resnet_search.cli.text import MOST_OF_A_LINE, cut, cut_lines
from resnet_search.files import append_line, read_lines, write_lines, write_text
from resnet_search.runs import doctor
from resnet_search.runs.folder import RunFolder
from resnet_search.spaces import load
from tests.export import colours

from .conftest import Outcome, make_run, refused

pytestmark = pytest.mark.interface

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
    ["spaces"],
    ["doctor"],
    ["doctor", "run"],
    ["predict", "export", "photos"],
    ["confirm", "run"],
]
# Without names of a run or a file.
OTHERS = [["plan", "--space", "quickstart"], ["models", "wrn"], ["models", "resnet-20"]]
# A table of numbers that all say something.
NARROWEST = {"plan": 80, "spaces": 80, "models": 80, "confirm": 80, "predict": 80}


def renamed(run: RunFolder, name: str) -> None:
    """Let every name and reason in a run be this."""
    lines = read_lines(run.events)
    for line in lines:
        line.update({key: name for key in ("name", "reason") if key in line})
    write_lines(run.events, lines)
    content = json.loads((run.path / "run.json").read_text())
    content["space"]["name"] = content["space"]["description"] = content["data"]["source"] = name
    content["machine"]["system"] = name
    (run.path / "run.json").write_text(json.dumps(content))


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return NAMES[request.param]


@pytest.fixture(autouse=True)
def quick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One space ships, and no report is written: both take their time."""
    monkeypatch.setattr(confirm, "report_again", lambda *_, **__: None)
    quickstart = load.known_spaces()["quickstart"]
    (tmp_path / "shipped").mkdir()
    shutil.copy(quickstart, tmp_path / "shipped")
    monkeypatch.setattr(load, "_shipped_folder", lambda: tmp_path / "shipped")


@pytest.fixture
def place(made: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> Path:
    """A folder where every name of a run, of a class and of a space is hostile."""
    renamed(make_run(tmp_path / "runs", "other", seed=1), "another")
    renamed(make_run(tmp_path / "runs", "run"), name)
    folder = re.sub(r"[\x00/]", "", name)[:80]
    make_run(tmp_path / "runs", "third").path.rename(tmp_path / "runs" / folder)
    checks = [doctor.Check("Disk", doctor.OK, name), doctor.Check(name, doctor.WARNING, "asleep", name)]
    monkeypatch.setattr(doctor, "examine", lambda *_: checks)
    colours.paint(tmp_path / "photos" / folder / "red" / f"{folder[:60]}.png", "red")
    (tmp_path / "search_spaces").mkdir()
    (tmp_path / "search_spaces" / "mine.toml").write_text(
        f"description = {json.dumps(name)}\n[axes]\nn = [1]\nwidth = [8]\nblock = ['basic']\n[data]\nsource='shapes'\n"
    )
    return tmp_path


def check_width(words: list[str], columns: int, command: Command) -> None:
    outcome = command(*words)
    assert outcome.status in {0, 1}, outcome.err
    text = ESCAPES.sub("", outcome.out)
    assert text
    assert all(char.isprintable() or char == "\n" for char in text), words
    lines = [line for line in text.splitlines() if "Classifying" not in line]  # drawn over itself
    wide = [line for line in lines if cell_len(line) > max(columns, NARROWEST.get(words[0], 0))]
    # What is to be typed stays in a line.
    assert [line for line in wide if not line.startswith("  resnet-search ")] == [], words


def test_every_table_fits_the_terminal(place: Path, command: Command, terminal: Callable[[int], None]) -> None:
    for columns in (40, 80, 200):
        terminal(columns)
        for words in TABLES:
            check_width(words, columns, command)


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_tables_without_names_fit_the_terminal(
    columns: int, tmp_path: Path, command: Command, terminal: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    terminal(columns)
    for words in OTHERS:
        check_width(words, columns, command)


def test_names_are_shown_as_they_are(place: Path, name: str, command: Command, terminal: Callable[[int], None]) -> None:
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
    cure = "word " * 20 + "resnet-search resume run" + ", word" * 5
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


def test_colour_only_where_it_is_wanted(
    made: None, command: Command, terminal: Callable[[int], None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("run", "other"):
        make_run(tmp_path / "runs", name, seed=len(name))
    colours.paint(tmp_path / "photos" / "red" / "a.png", "red")
    colour = re.compile(r"\x1b\[[0-9;]*(3[0-9]|9[0-9])m")

    def printed() -> dict[str, str]:
        return {" ".join(words): command(*words).out for words in (*TABLES, *OTHERS)}

    assert [words for words, out in printed().items() if "\x1b" in out] == [], "a pipe"
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert [words for words, out in printed().items() if "\x1b[" not in out] == [], "a pipe that wants it"
    terminal(100)
    assert [words for words, out in printed().items() if "\x1b[" not in out] == [], "a terminal"
    monkeypatch.setenv("NO_COLOR", "1")
    assert [words for words, out in printed().items() if colour.search(out)] == [], "nobody wants it"
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", "dumb")
    assert [words for words, out in printed().items() if "\x1b" in out] == [], "a terminal that has none"


@pytest.mark.parametrize(("encoding", "bars"), [("utf-8", "█"), ("ascii", "#")])
def test_bars_only_where_they_can_be_shown(
    encoding: str, bars: str, tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    make_run(tmp_path / "runs", "run")
    make_run(tmp_path / "runs", "other", seed=1)
    for words in (["list"], ["trials", "run"], ["show", "run", "20"], ["compare", "run", "other"]):
        printed = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
        with monkeypatch.context() as patched:
            patched.setattr(sys, "stdout", printed)
            assert command(*words).status == 0
        out = printed.buffer.getvalue().decode(encoding)  # type: ignore[attr-defined]
        assert bars in out, words
        assert "?" not in out, words


def test_a_terminal_that_knows_no_bars(tmp_path: Path) -> None:
    make_run(tmp_path / "runs", "run")
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0"}
    environment |= {"PYTHONPATH": str(Path(__file__).resolve().parents[2]), "PYTHONCOERCECLOCALE": "0"}
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
    refused(outcome, outcome.status, "begin")
    assert outcome.status in {1, 2}
    assert len(outcome.err) < 3 * MOST_OF_A_LINE


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
