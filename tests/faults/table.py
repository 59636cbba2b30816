"""docs/faults.md, made from the tests that show each row: python -m tests.faults.table

A test of a fault says in words what it shows, and then shows it:

    @fault("schedule", "A trial fails", keras_tuner="its rung shrinks", here="it is replaced")
    def test_a_failed_trial_is_replaced(...): ...

The program runs these tests, the slow ones too, and writes the page only if every one of them passes.
"""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "faults.md"
# The parts of the page, in its order, each with its heading.
PARTS = {
    "schedule": "The search goes wrong",
    "crash": "The driver or a worker is killed",
    "disk": "The disk is full, or may not be written",
    "files": "A file is damaged or gone",
    "training": "A candidate cannot be trained",
    "images": "The images mislead",
    "numbers": "The numbers mislead",
    "environment": "The environment is unusual",
    "use": "A command is mistyped or misunderstood",
    "hostile": "Hostile files",
}
_HEAD = """\
# Faults

What can go wrong, what plain Keras Tuner 1.4.8 does, and what this program does. Each row is a test that shows both;
where the second column is empty, Keras Tuner has nothing of the kind. The same trials or scores means on a processor;
on a GPU, scores differ by chance ([backends.md](backends.md#the-same-bits)). Made from these tests by `python -m
tests.faults.table`, which runs them all; a test compares.
"""
_Test = TypeVar("_Test", bound=Callable[..., object])


@dataclass(frozen=True, slots=True)
class Fault:
    """A row: what happens, what Keras Tuner does, what this program does, and the test that shows it."""

    part: str
    what: str
    keras_tuner: str
    here: str
    test: str


def fault(part: str, what: str, *, here: str, keras_tuner: str = "") -> Callable[[_Test], _Test]:
    """Declare what a test shows. Say of Keras Tuner only what the same test, or one it names, has shown."""
    assert part in PARTS, part

    def declare(test: _Test) -> _Test:
        file = Path(test.__code__.co_filename).resolve().relative_to(ROOT).as_posix()  # type: ignore[attr-defined]
        test.fault = Fault(part, what, keras_tuner, here, f"{file}::{test.__name__}")  # type: ignore[attr-defined]
        return test

    return declare


def faults() -> list[Fault]:
    """Every row that a test declares, in the order of the page."""
    found: list[Fault] = []
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        if not re.search(r"^@fault\(", path.read_text(encoding="utf-8"), re.MULTILINE):
            continue
        module = importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
        found += [value.fault for value in vars(module).values() if isinstance(getattr(value, "fault", None), Fault)]
    return sorted(dict.fromkeys(found), key=lambda row: list(PARTS).index(row.part))


def page(rows: Iterable[Fault]) -> str:
    """The page in Markdown."""
    lines = [_HEAD]
    rows = list(rows)
    for part, heading in PARTS.items():
        of_part = [row for row in rows if row.part == part]
        if not of_part:
            continue
        lines += [f"## {heading}\n", "| What happens | Keras Tuner | here | shown by |", "|---|---|---|---|"]
        for row in of_part:
            cells = (row.what, row.keras_tuner, row.here, f"`{row.test}`")
            lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
        lines.append("")
    return "\n".join(lines)


def main() -> int:
    """Run the tests of all rows, and write the page if they pass."""
    rows = faults()
    status = pytest.main(["-n", "0", "-m", "", *(row.test for row in rows)])
    if status == 0:
        PAGE.write_text(page(rows), encoding="utf-8")
    return int(status)


if __name__ == "__main__":
    # The module that the tests import, whose `Fault` theirs are.
    sys.exit(importlib.import_module("tests.faults.table").main())
