"""docs/cli.md and the README say what there is."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from resnet_search.cli.main import COMMANDS, cli
from resnet_search.cli.reference import reference

pytestmark = pytest.mark.interface

ROOT = Path(__file__).resolve().parents[2]


def commands() -> dict[str, click.Command]:
    context = click.Context(cli)
    return {name: command for name in COMMANDS if (command := cli.get_command(context, name))}


def test_the_page_is_up_to_date() -> None:
    message = "make it anew: python -m resnet_search.cli.reference > docs/cli.md"
    assert (ROOT / "docs" / "cli.md").read_text(encoding="utf-8") == reference(), message


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_option_is_on_the_page(name: str) -> None:
    section = reference().split(f"\n## resnet-search {name}\n", 1)[1].split("\n## ", 1)[0]
    for param in commands()[name].params:
        if isinstance(param, click.Option) and param.hidden:
            continue
        for word in param.opts if isinstance(param, click.Option) else [param.human_readable_name]:
            assert word in section
        if isinstance(param, click.Option):
            assert param.help


def test_every_command_of_the_readme_exists() -> None:
    known = commands()
    for name, rest in re.findall(r"resnet-search +([a-z]+)([^\n`]*)", (ROOT / "README.md").read_text(encoding="utf-8")):
        assert name in known, f"README.md: resnet-search {name}"
        options = {option for param in known[name].params for option in param.opts} | {"--help"}
        for option in re.findall(r"(?<=\s)--[a-z-]+", rest.split("#")[0]):
            assert option in options, f"README.md: resnet-search {name} {option}"
