"""--json: every command that shows something prints a document of its schema, strict, with no key that is not there."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from jsonschema import Draft202012Validator

from resnet_search.cli import trials as trials_command
from resnet_search.cli.fronts import Fronts
from resnet_search.cli.json_reference import PARTS, documented, reference, schema
from resnet_search.cli.main import COMMANDS, cli
from resnet_search.cli.screen import to_json
from resnet_search.files import append_line, read_lines, write_text
from resnet_search.networks.axes import MEANINGS
from tests.export import colours

from .conftest import Asked, Outcome, make_run

pytestmark = pytest.mark.interface

Command = Callable[..., Outcome]
ROOT = Path(__file__).resolve().parents[2]
# Of each command, the ways to call it that give documents of other kinds.
CALLS = {
    "spaces": [["spaces"]],
    "models": [["models"], ["models", "resnet-20"], ["models", "--block", "resnext", "--depth", "29", "--width", "16"]],
    "plan": [
        ["plan", "--space", "quickstart"],
        ["plan", "--space", "degradation"],
        ["plan", "--space", "quickstart", "--data", "tfds:absent", "--baseline", "resnet-20", "--workers", "256"],
    ],
    "list": [["list"], ["list", "--runs-dir", "nowhere"]],
    "trials": [["trials", "a"], ["trials", "a", "--pareto"], ["trials", "stopped"]],
    "show": [["show", "a", "0"], ["show", "a", "6"], ["show", "stopped", "9"], ["show", "a", "20"]],
    "compare": [["compare", "a", "b"], ["compare", "a", "stopped", "begun"]],
    "report": [["report", "a"], ["report", "stopped"]],
    "confirm": [["confirm", "a"]],
    "export": [["export", "a"], ["export", "a", "--ensemble", "2"]],
    "predict": [["predict", "export", "photos", "x.png"], ["predict", "export", "photos/else.png"]],
    "clean": [["clean", "a", "--yes"]],
    "doctor": [["doctor"], ["doctor", "a"], ["doctor", "a", "--repair"]],
}
OPEN = {"report": {"plotly"}}  # what Plotly documents


def with_json() -> list[str]:
    context = click.Context(cli)
    commands = {name: cli.get_command(context, name) for name in COMMANDS}
    return [name for name, one in commands.items() if one and any("--json" in param.opts for param in one.params)]


def whole(value: Any) -> Any:
    """A schema with the parts that it refers to in their places."""
    if isinstance(value, dict):
        if "$ref" in value:
            return whole(schema(value["$ref"].removesuffix(".json")))
        return {key: whole(item) for key, item in value.items()}
    return [whole(item) for item in value] if isinstance(value, list) else value


@pytest.fixture
def place(asked: Asked, made: None, tmp_path: Path) -> Path:
    """A folder in which every call of `CALLS` finds what it needs."""
    run = make_run(tmp_path / "runs", "a")
    make_run(tmp_path / "runs", "b", seed=1)
    make_run(tmp_path / "runs", "stopped", stop_after=9)
    make_run(tmp_path / "runs", "begun", stop_after=0)
    (tmp_path / "runs" / "damaged").mkdir()
    (tmp_path / "runs" / "damaged" / "run.json").write_text('{"format": 1}')
    (tmp_path / "search_spaces").mkdir()
    (tmp_path / "search_spaces" / "mine.toml").write_text('[axes]\nn = [1]\nwidth = [8]\nblock = ["basik"]\n')
    for trial in ("0000", "0001"):
        write_text(run.trial(trial) / "checkpoint.weights.h5", "weights")
    history = run.trial("0020") / "history.jsonl"
    lines = [{**line, "loss": float("nan")} if number == 0 else line for number, line in enumerate(read_lines(history))]
    write_text(history, "".join(json.dumps(line) + "\n" for line in lines))
    colours.paint(tmp_path / "photos" / "red" / "a.png", "red")
    colours.paint(tmp_path / "photos" / "else.png", "red")
    (tmp_path / "x.png").write_bytes(b"no image")
    return tmp_path


def refuse(constant: str) -> Any:
    raise AssertionError(f"{constant} is no JSON")


def test_every_command_with_json_has_a_schema_and_is_called_here() -> None:
    assert with_json() == documented()
    assert sorted(CALLS) == sorted(documented())


@pytest.mark.parametrize("name", CALLS)
def test_what_is_printed_is_a_document_of_the_schema(name: str, place: Path, command: Command) -> None:
    checked = Draft202012Validator(whole(schema(name)))
    for words in CALLS[name]:
        outcome = command(*words, "--json")
        assert outcome.status in {0, 1}, outcome.err
        assert outcome.status or not outcome.err
        document = json.loads(outcome.out, parse_constant=refuse)
        errors = [f"{error.json_path}: {error.message:.300}" for error in checked.iter_errors(document)]
        assert not errors, words
        assert document["schema"] == f"resnet-search/{name}/1"
        assert outcome.out.isascii()


def test_a_number_that_is_not_finite_is_null(place: Path, command: Command) -> None:
    assert "NaN" in (place / "runs" / "a" / "trial_0020" / "history.jsonl").read_text()
    history = json.loads(command("show", "a", "20", "--json").out)["history"]
    assert [line["loss"] is None for line in history].count(True) == 1
    assert all(line["val_accuracy"] for line in history)
    assert to_json({"x": [float("inf"), 1.0, (float("nan"),)]}) == '{"x": [null, 1.0, [null]]}'


def test_an_error_leaves_standard_output_empty(place: Path, command: Command) -> None:
    for words in (["list", "--runs-dir", "x.png"], ["show", "a", "999"], ["trials", "nothing"], ["compare", "a"]):
        outcome = command(*words, "--json")
        assert outcome.status in {1, 2}
        assert outcome.out == ""
        assert outcome.err.startswith("Error: ")
    append_line(place / "runs" / "b" / "events.jsonl", {"event": "completed", "time": 1.0, "trial": "99"})
    assert command("trials", "b", "--json").out == ""


def test_clean_asks_nobody(place: Path, command: Command) -> None:
    outcome = command("clean", "a", "--json")
    assert outcome.status == 2
    assert "--yes" in outcome.err
    assert (place / "runs" / "a" / "trial_0000" / "checkpoint.weights.h5").exists()
    removed = json.loads(command("clean", "a", "--json", "--yes").out)["removed"]
    assert removed["bytes"] == sum(len("weights") for _ in removed["files"]) > 0
    assert not (place / "runs" / "a" / "trial_0000" / "checkpoint.weights.h5").exists()
    again = json.loads(command("clean", "a", "--json", "--yes").out)
    assert again["removed"] == {"bytes": 0, "files": [], "trials": []}


def schemas(value: Any, name: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every schema within one, with the key that it is of."""
    yield name, value
    for key, inner in value.get("properties", {}).items():
        yield from schemas(inner, key)
    for part in ("items", "additionalProperties"):
        if isinstance(value.get(part), dict):
            yield from schemas(value[part], name)
    for inner in value.get("oneOf", ()):
        yield from schemas(inner, name)


@pytest.mark.parametrize("name", [*CALLS, *PARTS])
def test_a_schema_leaves_nothing_open(name: str) -> None:
    document = schema(name)
    Draft202012Validator.check_schema(document)
    for key, one in schemas(document):
        kinds = one.get("type", [])
        kinds = {kinds} if isinstance(kinds, str) else set(kinds)
        if "object" in kinds and name not in PARTS and key not in OPEN.get(name, ()):
            closed = one.get("additionalProperties", one.get("unevaluatedProperties", True))
            assert closed is not True, key
        if kinds & {"number", "integer"} and not kinds & {"string", "boolean"}:
            assert one.get("unit"), f"{key} has no unit"
        for inner, value in one.get("properties", {}).items():
            assert value.get("description") or "$ref" in value, f"{inner} has no description"


def test_parts_have_what_there_is() -> None:
    assert tuple(schema("trial")["properties"]) == trials_command.FIELDS
    assert schema("trial")["required"] == list(trials_command.FIELDS)
    assert set(schema("trials")["properties"]["trials"]["items"]["properties"]) == set(Fronts.fields)
    assert set(schema("architecture")["properties"]) == set(MEANINGS)


def test_a_key_too_many_is_found() -> None:
    checked = Draft202012Validator(whole(schema("doctor")))
    document = {"schema": "resnet-search/doctor/1", "run": None, "repaired": [], "checks": []}
    assert checked.is_valid(document)
    assert not checked.is_valid({**document, "more": 1})
    assert not checked.is_valid({**document, "schema": "resnet-search/doctor/2"})


def test_the_page_is_up_to_date() -> None:
    message = "make it anew: python -m resnet_search.cli.json_reference > docs/json.md"
    assert (ROOT / "docs" / "json.md").read_text(encoding="utf-8") == reference(), message
