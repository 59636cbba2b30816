"""A run to show whole, and one whose every text from a file is after something."""

from __future__ import annotations

from pathlib import Path

from resnet_search.files import read_lines, write_json, write_lines
from resnet_search.runs.trials import RunView, read_run
from resnet_search.spaces.load import parse_space
from tests.cli.conftest import make_run

SPACE = """
description = "four blocks"
[axes]
n = [1, 2, 3]
width = [4, 8, 16]
block = ["basic", "bottleneck", "resnext", "preact_basic"]
cardinality = [2, 4]
shortcut = ["identity", "projection"]
[hyperband]
max_epochs = {max_epochs}
factor = 3
iterations = {iterations}
[data]
source = "cifar10"
"""
NAMES = (
    "<script>window.hacked = 1</script>",
    "</script><script>window.hacked = 1</script>",
    "<img src=x onerror='window.hacked = 1'>",
    "\"><b>bold</b><a href='https://example.org'>link</a>",
    "%{x} $\\alpha$ &lt;i&gt; &amp; ]]> <!-- <br> `code`",
    "\u202eright to left\u202c \u05d0\u05d1\u05d2",
    "long" * 500,
)


def whole_run(runs_dir: Path, name: str = "whole", *, max_epochs: int = 27, iterations: int = 1) -> RunView:
    """A finished search of three brackets and more, on CIFAR-10 as its space says."""
    space = parse_space(SPACE.format(max_epochs=max_epochs, iterations=iterations), "four")
    return read_run(make_run(runs_dir, name, space=space), locked=False)


def hostile_run(runs_dir: Path) -> RunView:
    """The same with names, reasons and classes that are markup and worse."""
    view = whole_run(runs_dir, "hostile")
    events = read_lines(view.folder.events)
    for at, event in enumerate(events):
        if event["event"] == "created":
            event["name"] = NAMES[at % len(NAMES)]
        elif event["event"] == "failed":
            event["reason"] = NAMES[at % len(NAMES)]
    write_lines(view.folder.events, events)
    content = view.folder.read()
    content["data"]["classes"] = [f"{name} {at}" for at, name in enumerate(NAMES)]
    content["data"]["notes"] = list(NAMES)
    content["space"]["description"] = NAMES[1]
    content["machine"]["host"] = NAMES[0]
    write_json(view.folder.path / "run.json", content)
    return read_run(view.folder, locked=False)
