"""The documentation is true: links lead somewhere, commands can be typed, files in it load, numbers are the plan's."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from click import ClickException
from PIL import Image

from resnet_search.cli.main import cli
from resnet_search.cli.session import Session
from resnet_search.errors import UserError
from resnet_search.spaces.brackets import hyperband
from resnet_search.spaces.load import parse_space

from .cli.conftest import command, make_run

__all__ = ["command"]

ROOT = Path(__file__).resolve().parents[1]
HOW_TO = sorted((ROOT / "docs" / "how-to").glob("*.md"))
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), ROOT / "benchmarks" / "README.md"]
# These read alone, so a test can run them as they stand. The others train.
READERS = {"plan", "spaces", "models", "list", "trials", "show", "report", "compare", "doctor", "clean", "import"}
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def fences(page: Path, *languages: str) -> Iterator[str]:
    """The blocks of a page in some languages."""
    for language, text in FENCE.findall(page.read_text(encoding="utf-8")):
        if language in languages:
            yield text


def prose(page: Path) -> str:
    """A page without its code."""
    return re.sub(r"```.*?```|`[^`\n]*`", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)


def command_lines(page: Path) -> list[list[str]]:
    """The words of every command of this program in the blocks of a page."""
    lines = [line for block in fences(page, "sh", "") for line in block.replace("\\\n", " ").splitlines()]
    # What a shell does with the output is not the command's.
    typed = [re.split(r" [|>] ", line)[0] for line in lines if line.startswith("resnet-search ")]
    return [shlex.split(line, comments=True)[1:] for line in typed]


def anchors(page: Path) -> set[str]:
    """What a link into a page can name: its headings, as GitHub spells them."""
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    headings = [re.sub(r"[`*]|\]\([^)]*\)|\[", "", line) for line in re.findall(r"^#+ +(.+)$", text, re.MULTILINE)]
    return {re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-") for heading in headings}


def of_pages(rule: Callable[[Path], Iterator[str]], pages: list[Path] = PAGES) -> list[str]:
    """What breaks a rule, with its page."""
    return [f"{page.relative_to(ROOT)}: {offender}" for page in pages for offender in rule(page)]


def broken_links(page: Path) -> Iterator[str]:
    for picture, target in re.findall(r"(!?)\[[^\]]*\]\(([^)\s]+)\)", prose(page)):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        there = page.parent / path if path else page
        if not there.exists() or (anchor and anchor not in anchors(there)):
            yield target
        elif picture and there.stat().st_size >= 300_000:
            yield f"{target} takes long to load"


def test_links_and_pictures_are_there():
    assert of_pages(broken_links) == []


PROMISES = re.compile(r"(same|identical) (trials|scores|result)\b|bit for bit|last bit")


def promises_of_bits(page: Path) -> Iterator[str]:
    """Paragraphs that promise equal results without a word on where; a page's first paragraph may say it for all."""
    text = page.read_text(encoding="utf-8")
    first, *others = [one for one in text.split("\n\n") if not one.startswith("#")]
    if "processor" in first:
        return
    for paragraph in [first, *others]:
        words = " ".join(paragraph.split())
        if PROMISES.search(words) and not re.search("CPU|processor", words):
            yield words[:100]


def test_equal_results_are_promised_where_they_hold():
    pages = [
        ROOT / "README.md",
        *(ROOT / "docs" / f"{name}.md" for name in ("backends", "faults", "keeping", "resume")),
    ]
    pages += [ROOT / "docs" / "how-to" / f"{name}.md" for name in ("cluster", "resume-and-repair")]
    assert of_pages(promises_of_bits, pages) == []


def pictures_without_words(page: Path) -> Iterator[str]:
    text = page.read_text(encoding="utf-8")
    alternatives = re.findall(r'<img[^>]*alt="([^"]*)"', text)
    yield from (words for words in [*re.findall(r"!\[([^\]]*)\]\(", text), *alternatives] if len(words) <= 30)
    if text.count("<img") != len(alternatives):
        yield "an <img> without alt"


def test_pictures_say_in_words_what_they_show():
    assert of_pages(pictures_without_words) == []


def refused_commands(page: Path) -> Iterator[str]:
    for name, *words in command_lines(page):
        if "[OPTIONS]" in words or "[COMMAND]" in words or name.startswith("-"):
            continue
        try:
            above = cli.make_context("resnet-search", [name, *words], obj=Session())
            typed = cli.get_command(above, name)
            if typed is None:
                yield f"{name} is no command"
            else:
                typed.make_context(name, list(words), parent=above)
        except (ClickException, UserError) as error:
            yield f"{shlex.join([name, *words])}: {error}"


def test_every_command_can_be_typed(tmp_path, monkeypatch):
    """Names and options exist, and values are allowed; nothing is run."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RESNET_SEARCH_RUNS_DIR", raising=False)
    assert of_pages(refused_commands) == []


def make_images(path: Path, suffix: str = ".png", per_class: int = 40) -> None:
    rng = np.random.default_rng(0)
    for part in ("train", "test"):
        for name in ("cat", "dog"):
            (path / part / name).mkdir(parents=True)
            for number in range(per_class):
                pixels = rng.integers(0, 256, (16, 16, 3), np.uint8)
                Image.fromarray(pixels).save(path / part / name / f"{number}{suffix}")


def make_arrays(path: Path) -> None:
    rng = np.random.default_rng(0)
    parts: dict[str, Any] = {}
    for part, count in (("train", 2100), ("test", 20)):
        parts[f"x_{part}"] = rng.integers(0, 256, (count, 32, 32, 3), np.uint8)
        parts[f"y_{part}"] = np.arange(count) % 10
    np.savez(path, **parts)


def make_theirs(folder: Path) -> None:
    """The project of from-keras-tuner.md, by its own `build`, with a score instead of training."""
    import keras_tuner

    from .search.projects import make_project

    [source] = [text for text in fences(ROOT / "docs/how-to/from-keras-tuner.md", "python") if "def build" in text]
    built: list[tuple[int, ...]] = []

    def residual(x: Any, block: str, filters: int, strides: int) -> Any:
        import keras

        built.append((filters, strides))
        return keras.layers.Conv2D(filters, 3, strides, padding="same")(x)

    names: dict[str, Any] = {"residual": residual, "keras_tuner": keras_tuner}
    # The search itself, behind `build`, needs images and a night.
    exec(source.split("\n\n\ntuner =")[0], names)  # noqa: S102
    made = make_project(folder / "search", "random", names["build"], accuracy, fails=-1)
    assert built
    made.rename(made.parent / "cifar")


def accuracy(values: dict[str, Any], epochs: int) -> dict[str, float]:
    del epochs
    return {"val_accuracy": 0.3 + 0.1 * values["n"]}


def make_what_is_there(page: Path, words: set[str], folder: Path) -> None:
    """What a page says that its reader has, and what its earlier lines have trained."""
    (folder / "search_spaces").mkdir()
    spaces = list(fences(page, "toml"))
    for space in spaces:
        parse_space(space, page.name)
    for name in ("mine", "cifar") if spaces else ():
        (folder / "search_spaces" / f"{name}.toml").write_text(spaces[0], encoding="utf-8")
    if "photos/" in words:
        make_images(folder / "photos", per_class=200)
    if "images.npz" in words:
        make_arrays(folder / "images.npz")
    if "import" in words:
        make_theirs(folder)
    for name in sorted({"cifar", "seed-0", "seed-1"} & words):
        make_run(folder / ("shared/runs" if name.startswith("seed") else "runs"), name)
    if {"latest", "runs/here"} & words:
        make_run(folder / "runs", "here")


def test_how_to_pages_work_from_top_to_bottom(tmp_path, monkeypatch, command: Callable[..., Any]):
    """Each command that trains nothing is run as it stands, in order, with what the page says is there."""

    def failed_commands(page: Path) -> Iterator[str]:
        folder = tmp_path / page.stem
        folder.mkdir()
        monkeypatch.chdir(folder)
        lines = [line for line in command_lines(page) if not any(word in {"RUN", "TRIAL"} for word in line)]
        make_what_is_there(page, {word for line in lines for word in line}, folder)
        for name, *rest in lines:
            if name in READERS:
                # Hyperband records its epochs, RandomSearch, which is quicker, does not.
                done = command(name, *rest, *(["--epochs", "5"] if name == "import" else []))
                # A run that no training made has no checkpoints, which doctor tells.
                if done.status not in ({0, 1} if name == "doctor" else {0}):
                    yield f"{shlex.join([name, *rest])}: {done.err}"

    assert of_pages(failed_commands, HOW_TO) == []


def test_the_page_of_hyperband_has_the_numbers_of_its_plan():
    text = (ROOT / "docs" / "hyperband.md").read_text(encoding="utf-8")
    brackets = hyperband(27, 3, 1)
    for bracket in brackets:
        rungs = ", ".join(f"{rung.size} to {rung.epochs}" for rung in bracket.rungs)
        assert f"| {bracket.number} | {bracket.draws} | {rungs} | {bracket.epochs} |" in text
    for max_epochs, factor in ((9, 3), (27, 3), (27, 4), (81, 3)):
        plan = hyperband(max_epochs, factor, 1)
        draws = sum(bracket.draws for bracket in plan)
        numbers = (max_epochs, factor, len(plan), draws, sum(bracket.trials for bracket in plan),
                   sum(bracket.epochs for bracket in plan), draws * max_epochs)  # fmt: skip
        assert "| " + " | ".join(f"{number:,}" for number in numbers) + " |" in text
    ends = sum(bracket.rungs[-1].size for bracket in brackets)
    assert f"{ends} networks reach epoch" in text
    [words] = re.findall(r"!\[([^\]]*)\]\(images/hyperband.svg\)", text)
    for bracket in brackets:
        assert f"racket {bracket.number}" in words


def test_random_search_is_what_the_page_says():
    assert [[rung.size for rung in bracket.rungs] for bracket in hyperband(27, 28, 3)] == [[2], [2], [2]]
