"""Values of keys as a command line spells them, and a network by its axes: `block=basic,blocks=3-4-6-3,width=16`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from resnet_search.errors import UsageError
from resnet_search.networks.architecture import Architecture
from resnet_search.spaces.key import Key
from resnet_search.spaces.points import architecture_of
from resnet_search.spaces.schema import KEYS, SIZES
from resnet_search.spaces.wording import escape, nearest
from resnet_search.training.recipe import RecipeField

AXES = tuple(axis for axis in KEYS["axes"] if axis != "models")


def value_of(key: Key | RecipeField, text: str) -> Any:
    """The value that a text means for a key; text that means none stays text, which no such key takes."""
    if isinstance(key, Key) and key.stages:
        return tuple(_number(part) for part in text.split("-"))
    if key.kind == "bool":
        return {"true": True, "false": False}.get(text.lower(), text)
    return _number(text) if key.kind in {"int", "float"} else text


def architecture_spelled(text: str, option: str) -> Architecture:
    """The network of such a text; `UserError` names what is wrong in it."""
    values: dict[str, Any] = {}
    for part in text.split(","):
        axis, equals, value = part.partition("=")
        if axis not in AXES or not equals or axis in values:
            near = nearest(axis, AXES)
            cure = f"Did you mean {near}?" if near and near != axis else "Write block=basic,n=3,width=16."
            raise UsageError(f"{option}: got {escape(part)!r}; allowed: AXIS=VALUE, once each: {', '.join(AXES)}", cure)
        key = KEYS["axes"][axis]
        values[axis] = value_of(key, value)
        if not key.accepts(values[axis]):
            raise UsageError(f"{option}: got {escape(part)!r}; allowed: {axis}: {key.allowed}")
    missing = [axis for axis in ("block", "width") if axis not in values]
    sizes = [axis for axis in SIZES if axis in values]
    if missing or len(sizes) != 1:
        raise UsageError(f"{option}: got {escape(text)!r}; allowed: block, width and one of {', '.join(SIZES)}")
    return architecture_of(values)


def spelled(values: Mapping[str, Any]) -> str:
    """Axes as `architecture_spelled` reads them."""
    return ",".join(f"{axis}={_word(value)}" for axis, value in values.items())


def _word(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "-".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _number(text: str) -> Any:
    for kind in (int, float):
        try:
            number = kind(text)
        except ValueError:
            continue
        if (kind is int or math.isfinite(number)) and text.isascii() and "_" not in text:
            return number
    return text
