"""resnet-search predict, with a model that needs no process; tests/export runs the real one."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from resnet_search.export import predict
from tests.export import colours

from .conftest import Outcome, refused

Command = Callable[..., Outcome]
EVIL = "[red]\x1b[2J\r\u202e|x"


@pytest.fixture
def export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(predict, "running", colours.running)
    colours.describe(tmp_path / "export")
    return Path("export")


def test_a_table(command: Command, export: Path) -> None:
    colours.paint(Path("a.png"), "red")
    done = command("predict", export, "a.png")
    assert done.status == 0
    assert done.out.splitlines()[0].split() == ["file", "class", "probability", "runners-up"]
    assert done.out.splitlines()[1].split()[:3] == ["a.png", "red", "0.9991"]
    assert "green 0.0005, blue 0.0005" in done.out
    assert "Accuracy" not in done.out
    assert done.err == ""


def test_it_fits_into_80_columns(command: Command, export: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    folder = Path("a-folder-of-a-very-long-name") / ("deeper" * 12) / "red"
    colours.paint(folder / f"{'x' * 100}.png", "red")
    done = command("predict", export, folder)
    assert max(map(len, done.out.splitlines())) <= 80
    assert done.out.replace("\n", "").replace(" ", "").count("x" * 10) >= 1


def test_runners_up_make_way_before_a_path_is_broken(
    command: Command, export: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = Path("photos/of_one_afternoon/circle.png")
    colours.paint(path, "red")

    def row(columns: int, *words: str) -> str:
        monkeypatch.setenv("COLUMNS", str(columns))
        return command("predict", export, path, *words).out.splitlines()[1]

    for columns, runners_up in ((90, ["green", "0.0005,", "blue", "0.0005"]), (80, ["green", "0.0005"])):
        assert row(columns).split() == [str(path), "red", "0.9991", *runners_up]
    assert row(76) == row(80)
    # Those that were asked for are all told.
    out = command("predict", export, path, "--top", 3).out
    assert out.splitlines()[1].split()[:4] == [str(path), "red", "0.9991", "green"]
    assert "blue" in out
    colours.paint(long := Path("a-long-name" * 6) / "circle.png", "red")
    path = long
    assert row(80).split() == ["a-long-namea-long...-name/circle.png", "red", "0.9991", "green", "0.0005"]
    monkeypatch.delenv("COLUMNS")
    assert str(long) in command("predict", export, long).out, "a file has room"


def test_class_folders_give_an_accuracy(command: Command, export: Path) -> None:
    for name in ("red", "green", "blue"):
        colours.paint(Path("test") / name / "a.png", name)
    colours.paint(Path("test") / "blue" / "b.png", "red")
    colours.paint(Path("test") / "else.png", "red")
    done = command("predict", export, "test")
    numbers = re.findall(r"[\d.]*\d", done.out[done.out.index("Accuracy ") :])
    assert numbers == ["75.00", "95", "30.06", "95.44", "4", "5"]


def test_json_holds_everything(command: Command, export: Path) -> None:
    colours.paint(Path("test") / "red" / "a.png", "red")
    Path("test/red/b.png").write_bytes(b"no image")
    done = command("predict", export, "test", "--json", "--top", "2")
    found = json.loads(done.out)
    (image,) = found["images"]
    assert done.status == 1
    assert (image["file"], image["class"], image["folder"]) == ("test/red/a.png", "red", "red")
    assert [one["class"] for one in image["top"]] == ["red", "green"]
    assert image["probability"] == image["top"][0]["probability"] > 0.99
    assert found["unreadable"] == [{"file": "test/red/b.png", "reason": "cannot identify image file"}]
    assert found["accuracy"]["value"] == found["accuracy"]["high"] == 1
    assert found["accuracy"]["images"] == 1


def test_the_network_is_named(command: Command, export: Path, tmp_path: Path) -> None:
    colours.paint(Path("a.png"), "red")
    manifest = json.loads((export / "export.json").read_text())
    manifest |= {"run": "night", "trial": "0007", "members": ["0007"], "name": "resnet-20", "score": 0.44}
    (export / "export.json").write_text(json.dumps(manifest))
    [line] = [line for line in command("predict", export, "a.png").out.splitlines() if line.startswith("Network")]
    assert all(fact in line for fact in ("0007", "night", "resnet-20", "export"))
    found = json.loads(command("predict", export, "a.png", "--json").out)["network"]
    assert found == {"folder": "export", "run": "night", "trials": ["0007"], "name": "resnet-20"}


def test_a_run_without_its_best_export_names_the_others(command: Command, export: Path, tmp_path: Path) -> None:
    other = tmp_path / "runs" / "mine" / "export-trial-0007"
    colours.describe(other)
    (tmp_path / "runs" / "mine" / "run.json").write_text("{}")
    colours.paint(Path("a.png"), "blue")
    refused(command("predict", "mine", "a.png"), 1, "EXPORT", "runs/mine/export-trial-0007", "resnet-search export")
    assert command("predict", other, "a.png").status == 0


def test_what_cannot_be_read_is_told_at_the_end(command: Command, export: Path) -> None:
    colours.paint(Path("a.png"), "red")
    Path("many").mkdir()
    for at in range(25):
        Path("many", f"{at:02}.png").write_bytes(b"no image")
    done = command("predict", export, "a.png", "nothing.png", "many")
    assert done.status == 1
    assert "a.png" in done.out
    first, second, *_, last = done.err.splitlines()
    assert first.endswith(" 26")
    assert second.startswith("  nothing.png: ")
    assert last.startswith("  and 6 more")


def test_only_unreadable_files_leave_no_table(command: Command, export: Path) -> None:
    done = command("predict", export, "nothing.png")
    assert (done.status, done.out) == (1, "")


def test_names_are_text(command: Command, export: Path, tmp_path: Path) -> None:
    """Of files and of classes, and bytes that are no text."""
    colours.describe(tmp_path / "export", (EVIL, "green", "blue"))
    colours.paint(Path(EVIL) / f"{EVIL}.png", "red")
    os.rename(colours.paint(Path("x.png"), "red"), b"\xff\x1b.png")  # noqa: PTH104 - a name of bytes
    Path(f"{EVIL}.gif").write_bytes(b"no image")
    for words in ([], ["--json"]):
        done = command("predict", export, EVIL, f"{EVIL}.gif", os.fsdecode(b"\xff\x1b.png"), *words)
        assert done.status == 1
        assert all(char.isprintable() or char == "\n" for char in done.out + done.err)
    assert json.loads(done.out)["images"][0]["class"] == EVIL


def test_a_run_stands_for_its_default_export(command: Command, export: Path, tmp_path: Path) -> None:
    colours.describe(tmp_path / "runs" / "mine" / "export")
    (tmp_path / "runs" / "mine" / "run.json").write_text("{}")
    colours.paint(Path("a.png"), "blue")
    assert "blue" in command("predict", "mine", "a.png").out
    assert "blue" in command("predict", "mine", "a.png", "--runs-dir", tmp_path / "runs").out


@pytest.mark.parametrize(
    ("words", "status", "names"),
    [
        (["nonsense", "a.png"], 1, ["EXPORT", "'nonsense'", "export.json"]),
        (["export"], 2, ["IMAGE..."]),
        (["export", "a.png", "--top", "0"], 2, ["--top", "'0'", "1,000"]),
    ],
)
def test_what_is_wrong_is_named(
    command: Command, export: Path, words: list[str], status: int, names: list[str]
) -> None:
    refused(command("predict", *words), status, *names)
