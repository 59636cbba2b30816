"""Check names and lists of values, in any table of a space file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Protocol

from resnet_search.spaces.wording import Mistakes, escape, nearest

REPORTED = 10  # wrong names of one table, or values of one list, that are reported one by one


class Allowed(Protocol):
    """What a key may be: `schema.Key` and `training.recipe.RecipeField` are such."""

    @property
    def allowed(self) -> str: ...
    @property
    def choices(self) -> tuple[str, ...]: ...
    def accepts(self, value: Any) -> bool: ...


def accepts(key: Allowed, value: Any) -> bool:
    """Whether a key takes a value; an integer beyond any float is taken by none."""
    try:
        return key.accepts(value)
    except OverflowError:
        return False


def check_names(place: str, content: Mapping[str, Any], names: Collection[str], mistakes: Mistakes) -> dict[str, Any]:
    """The content that has known names; a mistyped name is noted, and then read as the name that was meant."""
    found = {name: value for name, value in content.items() if name in names}
    unknown = [name for name in content if name not in names]
    for name in unknown[:REPORTED]:
        mistakes.unknown(f"{place}{escape(name)}", name, content[name], names)
        near = nearest(name, names)
        if near is not None:
            found.setdefault(near, content[name])
    if len(unknown) > REPORTED:
        mistakes.append(f"{place}{len(unknown) - REPORTED:,} more unknown names; allowed: {', '.join(names)}")
    return found


def check_list(place: str, values: Sequence[Any], key: Allowed, mistakes: Mistakes) -> tuple[Any, ...]:
    """The values of a list, each hashable if it is permitted; () after noting what is wrong."""
    if not values:
        mistakes.wrong(place, values, f"{key.allowed}, not an empty list")
    wrong = [item for item in values if not accepts(key, item)]
    for item in wrong[:REPORTED]:
        mistakes.wrong(place, item, key.allowed, key.choices)
    if len(wrong) > REPORTED:
        mistakes.append(f"{place}: {len(wrong) - REPORTED:,} more wrong values; allowed: {key.allowed}")
    counts = Counter(item for item in values if accepts(key, item))
    twice = [item for item, count in counts.items() if count > 1]
    for item in twice[:REPORTED]:
        mistakes.wrong(place, item, f"each value once, not {counts[item]} times")
    return () if wrong or twice else tuple(values)
