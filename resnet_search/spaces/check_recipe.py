"""[recipe] against `training.recipe`: a name, and values that are fixed, listed, or drawn from a range."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import combinations, product
from typing import Any

from resnet_search.errors import UsageError
from resnet_search.spaces.check_values import accepts, check_list, check_names
from resnet_search.spaces.schema import Range
from resnet_search.spaces.wording import Mistakes
from resnet_search.training.recipe import RECIPES, RecipeField, recipe_fields, recipe_from

ENDS = ("min", "max")


def check_recipe(content: Mapping[str, Any], mistakes: Mistakes) -> dict[str, Any]:
    """The values of the table, whose names are known, and `name`: fixed, a tuple to choose from, or a `Range`."""
    fields = recipe_fields()
    found: dict[str, Any] = {"name": "search"}
    before = len(mistakes)
    for name, value in content.items():
        place = f"[recipe] {name}"
        if name == "name":
            if isinstance(value, str) and value in RECIPES:
                found[name] = value
            else:
                mistakes.wrong(place, value, ", ".join(f'"{recipe}"' for recipe in RECIPES), RECIPES)
        else:
            found[name] = _value(place, value, fields[name], mistakes)
    if len(mistakes) == before:
        _as_a_whole(found, mistakes)
    return found


def varies(value: Any) -> bool:
    """Whether a value of [recipe] is drawn for each trial."""
    # Milestones, a tuple of pairs and maybe empty, are one value.
    return isinstance(value, Range) or (isinstance(value, tuple) and value != () and not isinstance(value[0], tuple))


def _value(place: str, value: Any, allowed: RecipeField, mistakes: Mistakes) -> Any:
    numeric = allowed.kind in ("int", "float")
    # Of several values, each is a number.
    numbers = replace(allowed, choices=()) if numeric else allowed
    if isinstance(value, Mapping) and numeric:
        return _range(place, value, numbers, mistakes)
    if isinstance(value, list | tuple) and allowed.kind != "milestones":
        values = tuple(_converted(item, numbers) for item in check_list(place, list(value), numbers, mistakes))
        return values[0] if len(values) == 1 else values
    if accepts(allowed, value):
        return _converted(value, allowed)
    forms = "" if allowed.kind == "milestones" else "; one or a list"
    if numeric:
        forms += " or a range { min, max, log }"
    mistakes.wrong(place, value, allowed.allowed + forms, allowed.choices)
    return None


def _converted(value: Any, allowed: RecipeField) -> Any:
    if allowed.kind == "milestones":
        return tuple((float(at), float(factor)) for at, factor in value)
    return float(value) if allowed.kind == "float" else value


def _range(place: str, content: Mapping[str, Any], allowed: RecipeField, mistakes: Mistakes) -> Range | None:
    before = len(mistakes)
    content = check_names(f"{place}.", content, (*ENDS, "log"), mistakes)
    for name, value in content.items():
        if name == "log" and not isinstance(value, bool):
            mistakes.wrong(f"{place}.log", value, "true or false")
        elif name in ENDS and not accepts(allowed, value):
            mistakes.wrong(f"{place}.{name}", value, allowed.allowed)
    for end in ENDS:
        if end not in content:
            mistakes.missing(f"{place}.{end}", allowed.allowed)
    if len(mistakes) > before:
        return None
    low, high, log = _converted(content["min"], allowed), _converted(content["max"], allowed), content.get("log", False)
    if low >= high:
        mistakes.wrong(place, content, "min below max; a single value stands without a range")
    elif log and low <= 0:
        mistakes.wrong(f"{place}.min", content["min"], "numbers above 0, since log is true")
    return Range(low, high, log)


def _as_a_whole(found: dict[str, Any], mistakes: Mistakes) -> None:
    """The recipe's own rules across values, each about two values."""
    first = {name: values[0] for name, values in _ends(found).items()}
    pairs = (
        {**first, one: value, other: beside}
        for (one, values), (other, besides) in combinations(_ends(found).items(), 2)
        for value, beside in product(values, besides)
    )
    for values in [first, *pairs]:
        try:
            recipe_from(values)
        except UsageError as error:
            mistakes.append(f"[recipe] {error.message.removeprefix('recipe ')}")
            return


def _ends(found: dict[str, Any]) -> dict[str, tuple[Any, ...]]:
    """Each value of each key, but of numbers the smallest and the largest alone."""
    ends: dict[str, tuple[Any, ...]] = {}
    for name, value in found.items():
        if isinstance(value, Range):
            ends[name] = (value.min, value.max)
        elif not varies(value):
            ends[name] = (value,)
        else:
            ends[name] = value if isinstance(value[0], str | bool) else (min(value), max(value))
    return ends
