"""The command that lists and costs networks."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from resnet_search.cli import main as cli_main
from resnet_search.networks.architecture import Architecture
from resnet_search.networks.complexity import complexity
from resnet_search.networks.presets import PRESETS
from tests.networks.conftest import architecture_of
from tests.networks.test_complexity import drawn

from .conftest import Outcome, refused

COSTS = ("trainable", "nontrainable", "macs", "activations")
GOLDENS = Path(__file__).resolve().parents[1] / "golden"


@pytest.fixture(autouse=True)
def width(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)


def words(axes: dict[str, Any]) -> list[str]:
    """The options that give these axes."""
    found = []
    for axis, value in axes.items():
        flag = axis.replace("_", "-")
        if isinstance(value, bool):
            found.append(f"--{flag}" if value else f"--no-{flag}")
        elif isinstance(value, list | tuple):
            found += [f"--{flag}", ",".join(map(str, value))]
        elif value is not None:
            found += [f"--{flag}", str(value)]
    return found


def costed(outcome: Outcome) -> list[dict[str, Any]]:
    """The networks of --json."""
    models: list[dict[str, Any]] = json.loads(outcome.out)["models"]
    return models


def test_the_list_has_every_preset(command: Callable[..., Outcome]) -> None:
    outcome = command("models")
    listed = costed(command("models", "--json"))
    assert [model["name"] for model in listed] == list(PRESETS)
    assert len(listed) >= 88
    shown = [line.split()[0] for line in outcome.out.splitlines()[1 : len(PRESETS) + 1]]
    assert shown == list(PRESETS)
    for model in listed:
        own = PRESETS[model["name"]]
        assert [model[key] for key in COSTS] == [getattr(own.complexity, key) for key in COSTS]
        assert (model["error"], model["source"]) == (own.error, own.source)


@pytest.mark.parametrize(("columns", "shown"), [(80, {"source"}), (200, {"source", "activations", "memory", "note"})])
def test_the_list_fits_the_terminal(
    columns: int, shown: set[str], command: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    lines = command("models").out.splitlines()
    assert max(map(len, lines)) <= columns
    assert {"name", "depth", "params", "MACs", "error"} | shown <= set(lines[0].split())
    assert any("* top-1" in line for line in lines)
    details = command("models", "resnext-101-32x8d").out.splitlines()
    assert max(map(len, details)) <= 80


def test_a_part_of_a_name_lists_those_that_have_it(command: Callable[..., Outcome]) -> None:
    names = [model["name"] for model in costed(command("models", "WRN", "--json"))]
    assert names == [name for name in PRESETS if "wrn" in name]
    assert [line.split()[0] for line in command("models", "wrn").out.splitlines()[1 : len(names) + 1]] == names


def test_a_whole_name_wins_over_those_that_contain_it(command: Callable[..., Outcome]) -> None:
    [model] = costed(command("models", "ResNet-20", "--json"))
    assert model["name"] == "resnet-20"
    assert (model["trainable"], model["nontrainable"], model["macs"]) == (269_722, 1_376, 40_551_040)


def test_one_model_in_full(command: Callable[..., Outcome]) -> None:
    outcome = command("models", "se-resnext-50-32x4d")
    for axis in fields(Architecture):
        assert f"\n{axis.name} " in outcome.out
    for text in ("27,559,896", "21.10 %", "224x224x3", "1,000 classes", "110.51 MB", "-22 %", "yes", "32"):
        assert text in outcome.out


def test_the_page_names_every_key_that_is_no_axis(command: Callable[..., Outcome]) -> None:
    page = (GOLDENS.parents[1] / "docs" / "models.md").read_text(encoding="utf-8")
    keys = set(costed(command("models", "resnet-20", "--json"))[0]) - {axis.name for axis in fields(Architecture)}
    assert all(f"`{key}`" in page for key in keys)


def test_costs_of_any_axes(command: Callable[..., Outcome]) -> None:
    [model] = costed(command("models", "--block", "preact_bottleneck", "--depth", 164, "--width", 16, "--json"))
    assert list(model)[:3] == ["name", "block", "depth"]
    assert (model["trainable"], model["nontrainable"], model["macs"]) == (1_703_258, 24_224, 247_646_720)
    assert model["source"].startswith("He et al. 2016")
    assert model["error"] is None
    [same] = costed(command("models", "--block", "preact_bottleneck", "--n", 18, "--width", 16, "--json"))
    assert same == model


def test_every_axis_is_an_option(command: Callable[..., Outcome]) -> None:
    for a in drawn(60, 5):
        outcome = command("models", *words(a.to_dict()), "--json")
        if a.block == "plain":  # its shortcut is none, which is no value to give
            assert outcome.status == 2
            outcome = command("models", *words({**a.to_dict(), "shortcut": None}), "--json")
        [model] = costed(outcome)
        assert Architecture.from_dict({axis.name: model[axis.name] for axis in fields(Architecture)}) == a
        assert [model[key] for key in COSTS] == [getattr(complexity(a), key) for key in COSTS]


def test_a_preset_with_other_axes(command: Callable[..., Outcome]) -> None:
    changed = ["resnet-18", "--attention", "se", "--stem", "cifar", "--image-size", 32, "--classes", 10, "--json"]
    assert costed(command("models", *changed))[0]["trainable"] == 11_261_002
    [deeper] = costed(command("models", "resnet-20", "--depth", 110, "--json"))
    assert deeper["trainable"] == PRESETS["resnet-110"].complexity.trainable
    assert (deeper["error"], deeper["note"]) == (None, "resnet-20 with other axes")


def test_other_images_and_classes(command: Callable[..., Outcome]) -> None:
    [small] = costed(command("models", "resnet-50", "--input-shape", "64x48x1", "--classes", 7, "--json"))
    own = complexity(PRESETS["resnet-50"].architecture, (64, 48, 1), 7)
    assert [small[key] for key in COSTS] == [getattr(own, key) for key in COSTS]
    assert small["input_shape"] == [64, 48, 1]
    several = costed(command("models", "wrn", "--image-size", 64, "--json"))
    assert {tuple(model["input_shape"]) for model in several} == {(64, 64, 3)}


@pytest.mark.parametrize(
    ("given", "error", "note"),
    [
        ([], 22.85, "ImageNet top-1, table 3, 10 crops"),
        (["--image-size", 224, "--classes", 1000], 22.85, "ImageNet top-1, table 3, 10 crops"),
        (["--image-size", 8], None, ""),
        (["--classes", 100], None, ""),
    ],
)
def test_an_error_is_of_the_images_and_classes_that_it_was_published_for(
    given: list[Any], error: float | None, note: str, command: Callable[..., Outcome]
) -> None:
    [model] = costed(command("models", "resnet-50", *given, "--json"))
    assert (model["error"], model["note"]) == (error, note)
    assert ("Error  " in command("models", "resnet-50", *given).out) == (error is not None)


def test_large_and_single_numbers_have_their_units(command: Callable[..., Outcome]) -> None:
    outcome = command("models", "--block", "basic", "--width", 16, "--n", 3_000, "--classes", 1)
    for text in (", 18,002 layers with weights", "32x32x3, 1 class\n", " GB as float32"):
        assert text in outcome.out


def test_memory_goes_with_the_batch(command: Callable[..., Outcome]) -> None:
    small, large = (costed(command("models", "resnet-20", "--batch-size", size, "--json"))[0] for size in (32, 256))
    assert small["batch_size"] == 32
    assert 7 < large["memory_bytes"] / small["memory_bytes"] < 8


@pytest.mark.parametrize("folder", ["tests", "shared"])
def test_the_goldens(folder: str, command: Callable[..., Outcome], request: pytest.FixtureRequest) -> None:
    place = GOLDENS if folder == "tests" else request.getfixturevalue("shared") / "golden"
    rows = json.loads((place / "cifar10.json").read_text())
    for key, counts in rows.items():
        axes = architecture_of(key).to_dict()
        axes.pop("shortcut" if axes["block"] == "plain" else "", None)
        [model] = costed(command("models", *words(axes), "--json"))
        assert {name: model[name] for name in counts} == counts, key
    models = {model["name"]: model for model in costed(command("models", "--json"))}
    imagenet = json.loads((place / "imagenet.json").read_text())
    for depth in (18, 34, 50, 101, 152):
        assert models[f"resnet-{depth}"]["trainable"] == imagenet["torchvision trainable"][f"resnet{depth}"]
    for name, (total, trainable) in imagenet["keras.applications"]["total/trainable"].items():
        depth = name.removeprefix("ResNet").removesuffix("V2")
        model = models[f"resnet-{depth}-v2" if name.endswith("V2") else f"keras-resnet-{depth}"]
        assert (model["trainable"] + model["nontrainable"], model["trainable"]) == (total, trainable)
    published = {row[1] for row in json.loads((place / "published_errors.json").read_text())["rows"]}
    assert published - {model["error"] for model in models.values()} == {7.54}  # Highway-19, which is no preset


@pytest.mark.parametrize(
    ("axes", "name"),
    [
        # A rule of several axes is named; tests/networks tries all of them.
        ({"cardinality": 4}, "cardinality without groups"),
        ({"block": "resnext", "cardinality": 3}, "cardinality does not divide"),
        ({"multiples": (1, 1.03, 2)}, "multiples give whole channels"),
        ({"attention_ratio": 8}, "attention axes without attention"),
        # A value that is wrong in itself, its option.
        ({"block": "dense"}, "--block"),
        ({"blocks": (2, 0, 2)}, "--blocks"),
        ({"width": 0}, "--width"),
    ],
)
def test_a_broken_rule_is_named(axes: dict[str, Any], name: str, command: Callable[..., Outcome]) -> None:
    outcome = command("models", *words({"block": "basic", "blocks": (2, 2, 2), "width": 16, **axes}))
    refused(outcome, 2)
    assert outcome.err.startswith(f"Error: {name}: ")
    assert outcome.out == ""


@pytest.mark.parametrize(
    ("given", "names"),
    [
        (["nothing"], ["NAME", "88"]),
        (["nothing", "--width", "8"], ["NAME", "88"]),
        (["resnet-21x"], ["NAME", "resnet-32"]),
        (["resnet20"], ["NAME", "resnet-20"]),
        (["--width", "8"], ["--block"]),
        (["--zero-gamma"], ["--block", "--width"]),
        (["--block", "basic", "--width", "8"], ["depth, n, blocks"]),
        (["--block", "basic", "--width", "8", "--n", "1", "--depth", "8"], ["depth, n, blocks"]),
        (["--block", "basic", "--width", "8", "--depth", "21"], ["depth", "20", "26"]),
        (["resnet-20", "--depth", "21"], ["depth", "20", "26"]),
        (["resnet-20", "--cardinality", "4"], ["cardinality without groups"]),
        (["--block", "basik"], ["--block", "nearest: basic"]),
        (["--width", "1_0"], ["--width"]),
        (["--multiples", "1,nan,3"], ["--multiples"]),
        (["--multiples", "1,1_0"], ["--multiples"]),
        (["--blocks", ""], ["--blocks"]),
        (["--blocks", "1,"], ["--blocks", "16"]),
        (["--blocks", ",".join("1" * 17)], ["--blocks", "16"]),
        (["--dropout", "few"], ["--dropout", "'few'", "0", "1"]),
        (["--gate-bias", "nan"], ["--gate-bias", "-1,000,000", "1,000,000"]),
        (["--image-size", "32x32"], ["--input-shape", "--image-size"]),
        (["--image-size", "0"], ["HxWxC"]),
        (["--input-shape", "32x32"], ["HxWxC"]),
        (["--input-shape", "32x32x3x1"], ["HxWxC"]),
        (["--input-shape", "٣"], ["HxWxC"]),
        (["--classes", "0"], ["--classes"]),
        (["--batch-size", "0"], ["--batch-size"]),
        (["\x1b[31mred"], ["NAME", "\\x1b"]),
    ],
)
def test_wrong_command_lines(given: list[str], names: list[str], command: Callable[..., Outcome]) -> None:
    outcome = command("models", *given)
    refused(outcome, 2, *names)
    assert "\x1b" not in outcome.err


def test_the_largest_values_are_shown(command: Callable[..., Outcome]) -> None:
    most = ["--block", "bottleneck", "--blocks", ",".join(["600"] * 16), "--width", 1_000_000]
    outcome = command("models", *most, "--image-size", 99_999, "--classes", 1_000_000, "--batch-size", 1_000_000)
    assert outcome.status == 0, outcome.err


def test_random_words_never_break_it(command: Callable[..., Outcome]) -> None:
    rng = random.Random(0)
    flags = [option for param in cli_main.import_module("resnet_search.cli.models").command.params
             for option in param.opts if option.startswith("--") and option != "--json"]  # fmt: skip
    values = ["", "0", "1", "-1", "1.5", "1,2", "se", "basic", "resnext", "x", "32x32x3", "nan", "1e9", "é"]
    for _ in range(150):
        given = [word for flag in rng.sample(flags, 4) for word in (flag, rng.choice(values))]
        outcome = command("models", *given)
        assert outcome.status in {0, 2}, given
        assert "internal error" not in outcome.err, given
