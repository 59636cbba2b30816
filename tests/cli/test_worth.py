"""What is said of a run's images, and of what a score on few of them is worth."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from resnet_search.cli.live import LiveView
from resnet_search.cli.named import space_of
from resnet_search.cli.plain import PlainLines
from resnet_search.cli.worth import best_lines, images_line, notes, of_images
from resnet_search.files import read_lines, write_lines
from resnet_search.networks.presets import preset
from resnet_search.runs.folder import RunFolder
from resnet_search.runs.trials import RunView, read_run
from resnet_search.spaces.space import SearchSpace

from .conftest import make_run
from .test_progress import replay

FEW = {"train": 300, "validation": 36, "test": 80, "classes": list("abcd"), "notes": ["n"]}


def changed(folder: RunFolder, **tables: dict[str, Any]) -> RunView:
    """A run with other values in tables of its run.json."""
    content = folder.read()
    for table, values in tables.items():
        content[table] = {**content.get(table, {}), **values}
    (folder.path / "run.json").write_text(json.dumps(content))
    return read_run(folder)


def scored(folder: RunFolder, *shares: float) -> RunView:
    """A run on `FEW` images whose trials of the full budget have these scores, and no other trials count."""
    lines = read_lines(folder.events)
    full = {line["trial"] for line in lines if line["event"] == "created" and line["epochs"] == 9}
    ended = [line for line in lines if line["event"] == "completed" and line["trial"] in full]
    assert len(ended) >= len(shares)
    for at, line in enumerate(ended):
        line["score"] = shares[at] if at < len(shares) else 0.1
    write_lines(folder.events, lines)
    return changed(folder, data=FEW)


def test_the_images_are_counted(tmp_path: Path) -> None:
    folder = make_run(tmp_path)
    apart = images_line(changed(folder, data=FEW))
    assert re.findall(r"\d+", apart) == ["4", "300", "36", "80"]
    merged = images_line(changed(folder, data={"merged": True, "train": 336}))
    assert re.findall(r"\d+", merged) == ["4", "336", "36", "80"]
    assert re.sub(r"\d+", "", merged) != re.sub(r"\d+", "", apart)


@pytest.mark.parametrize(
    ("images", "recipe", "varying", "told"),
    [
        (300, {"batch_size": 128}, {}, ["2 steps", "batch_size = 16 under [recipe]", "docs/train.md"]),
        (300, {"batch_size": 64}, {"batch_size": [32, 128]}, ["batches of 128", "2 steps"]),
        (300, {}, {"batch_size": {"min": 32, "max": 64, "log": True}}, ["batches of 64", "4 steps"]),
        (100, {"batch_size": 128}, {}, ["100 images", "batches of 100", "1 step", "batch_size = 8 "]),
        (40, {"batch_size": 8}, {}, ["5 steps", "ImageNet"]),
        (1279, {"batch_size": 128}, {}, ["9 steps"]),
        (1280, {"batch_size": 128}, {}, []),
        (300, {"batch_size": 128, "init": "imagenet"}, {}, []),
    ],
)
def test_an_epoch_of_few_steps_is_noted(
    tmp_path: Path, images: int, recipe: dict[str, Any], varying: dict[str, Any], told: list[str]
) -> None:
    folder = make_run(tmp_path)
    space = {"recipe": {"name": "search", **varying}}
    view = changed(folder, data={**FEW, "train": images}, recipe=recipe, space=space)
    found = notes(view)
    assert found[0] == "n"
    assert len(found) == (2 if told else 1)
    for words in told:
        assert words in found[1]


def single() -> SearchSpace:
    return space_of(preset("resnet-20"), {"name": "he"}, 9, {"source": "shapes"})


def test_the_cure_is_in_the_words_of_the_command(tmp_path: Path) -> None:
    view = changed(make_run(tmp_path, space=single()), data=FEW, recipe={"batch_size": 128})
    assert re.findall(r"--[a-z-]+ \w+", notes(view)[1]) == ["--batch-size 16", "--init imagenet"]


def test_what_follows_from_a_search_trains_as_that_did(tmp_path: Path) -> None:
    view = changed(make_run(tmp_path), data=FEW, recipe={"batch_size": 128})
    view.content["of"] = {"run": "live", "kind": "confirm"}
    assert notes(view) == ["n"]


def test_the_best_has_its_standard_error_and_its_ties(tmp_path: Path) -> None:
    view = scored(make_run(tmp_path), 24 / 36, 23 / 36, 22 / 36)
    best, note = best_lines(view)
    assert re.findall(r"[\d.]+", best) == ["66.67", "7.86", "36", "2", "5", "15"]
    assert note.startswith("Note ")
    assert "--validation" in note


@pytest.mark.parametrize(
    ("images", "shares", "noted"),
    [(36, (0.9, 0.2), False), (5000, (0.9, 0.8999), False), (500, (0.5, 0.499), True), (36, (1.0, 1.0), False)],
)
def test_a_note_where_the_choice_is_made_by_chance(
    tmp_path: Path, images: int, shares: tuple[float, ...], noted: bool
) -> None:
    folder = make_run(tmp_path)
    scored(folder, *shares)
    best, *more = best_lines(changed(folder, data={"validation": images}))
    assert best.startswith(f"Best       {of_images(shares[0], images)}")
    assert bool(more) == noted


def test_no_best_before_the_full_budget(tmp_path: Path) -> None:
    assert list(best_lines(read_run(make_run(tmp_path, stop_after=3)))) == []


@pytest.mark.parametrize(("share", "text"), [(0.5, "50.00 % ± 5.00 % "), (1.0, "100.00 % "), (0.0, "0.00 % ")])
def test_a_standard_error_where_there_is_one(share: float, text: str) -> None:
    assert of_images(share, 100).startswith(text)
    assert "±" not in of_images(share, 100).removeprefix(text)


def test_both_views_say_it_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Under the run's full name, which is that of the search and its own."""
    search = make_run(tmp_path, "live")
    final = make_run(search.path, "final", space=single())
    changed(final, data=FEW, recipe={"batch_size": 128})
    with PlainLines("Reading ...") as lines:
        replay(final, lines)
    out = capsys.readouterr().out.splitlines()
    assert "live/final" in out[1]
    assert out[2] == images_line(read_run(final))
    assert " 2 steps " in out[4]
    written = io.StringIO()
    with LiveView(Console(file=written, force_terminal=True, width=120), "Reading ...") as live:
        replay(final, live)
    assert images_line(read_run(final)) in written.getvalue()
    assert " 2 steps " in written.getvalue()
    assert "live/final" in written.getvalue()
