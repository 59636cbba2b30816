"""What `models` shows: a table of networks, or one network in full."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from resnet_search.cli.grid import Column, Grid
from resnet_search.cli.tables import line
from resnet_search.cli.text import count
from resnet_search.networks.architecture import applies
from resnet_search.networks.axes import MEANINGS
from resnet_search.networks.memory import HIGHEST, LOWEST
from resnet_search.report.units import percent, size


def models_table(models: Sequence[dict[str, Any]]) -> Iterable[RenderableType]:
    """Show networks as `cli.models` describes them, one a line."""
    yield Grid(
        [
            Column("name", [model["name"] for model in models]),
            Column("depth", [f"{model['depth']}" for model in models], right=True),
            Column("params", [count(model["trainable"]) for model in models], right=True),
            Column("statistics", [count(model["nontrainable"]) for model in models], right=True, spare=6),
            Column("MACs", [count(model["macs"]) for model in models], right=True),
            Column("activations", [count(model["activations"]) for model in models], right=True, spare=5),
            Column("weights", [size(model["weights_bytes"]) for model in models], right=True, spare=4),
            Column(f"memory at {models[0]['batch_size']}", [_memory(model) for model in models], right=True, spare=3),
            Column("input", [_shape(model) for model in models], right=True, spare=2),
            Column("error", [_marked_error(model) for model in models], right=True),
            Column("source", [_cited(model["source"]) for model in models]),
            Column("note", [model["note"] for model in models], spare=1),
        ],
        elsewhere="--json has everything",
    )
    if any(_on_imagenet(model) for model in models):
        yield line("* top-1 error on ImageNet; all other errors are on CIFAR-10's test images.", "dim")


def model_details(model: dict[str, Any]) -> Iterable[RenderableType]:
    """Show one network in full: its cost and origin, and every axis with its meaning."""
    stem, *stages = model["channels"]
    facts = {
        "Network": f"{model['name']}, {model['depth']:,} layers with weights",
        "Source": model["source"],
        "Error": _error(model),
        "Note": model["note"],
        "Input": f"{_shape(model)}, {model['classes']:,} {'class' if model['classes'] == 1 else 'classes'}",
        "Channels": f"{stem:,} after the stem; {', '.join(f'{channels:,}' for channels in stages)} after the stages",
        "Trainable": f"{model['trainable']:,} parameters",
        "Nontrainable": f"{model['nontrainable']:,} moving statistics of batch norm",
        "MACs": f"{model['macs']:,} multiply-adds for one image",
        "Activations": f"{model['activations']:,} outputs of convolutions and FC for one image",
        "Weights": f"{size(model['weights_bytes'])} as float32",
        "Memory": f"{_memory(model)} to train {model['batch_size']:,} images a step "
        f"(error {percent(LOWEST, 0)} to +{percent(HIGHEST, 0)})",
    }
    width = max(map(len, facts)) + 2
    yield line("\n".join(f"{name:<{width}}{value}" for name, value in facts.items() if value))
    yield Text()
    yield Grid(
        [
            Column("axis", list(MEANINGS)),
            Column("value", [_axis(model, axis) for axis in MEANINGS]),
            Column("meaning", list(MEANINGS.values())),
        ]
    )


def _axis(model: dict[str, Any], axis: str) -> str:
    """Return the value of an axis; a dash if it does not apply or follows from the others."""
    value = model[axis]
    if value is None or not applies(axis, block=model["block"], attention=model["attention"]):
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(map(str, value)) if isinstance(value, tuple) else f"{value}"


def _cited(source: str) -> str:
    """Return first author and year of a paper; else the text before the first punctuation mark."""
    paper = re.match(r"(\w+)[^,]* (\d{4})\b", source)
    return " ".join(paper.groups()) if paper else re.split("[,:;]", source)[0]


def _error(model: dict[str, Any]) -> str:
    return "" if model["error"] is None else f"{model['error']:.2f} %"


def _on_imagenet(model: dict[str, Any]) -> bool:
    return model["error"] is not None and "ImageNet" in model["note"]


def _marked_error(model: dict[str, Any]) -> str:
    """Return the error with room for the mark, so that the digits are aligned."""
    return _error(model) and _error(model) + ("*" if _on_imagenet(model) else " ")


def _shape(model: dict[str, Any]) -> str:
    return "x".join(map(str, model["input_shape"]))


def _memory(model: dict[str, Any]) -> str:
    return f"{count(model['memory_bytes'])}B"
