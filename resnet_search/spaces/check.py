"""A parsed space file against its schema: the values as the dataclasses want them, and every mistake at once.

Pure: no file is read here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from resnet_search.networks.architecture import nearest_depths
from resnet_search.spaces.check_recipe import check_recipe
from resnet_search.spaces.check_values import accepts, check_list, check_names
from resnet_search.spaces.schema import BLOCKS_WITH, DESCRIPTION, KEYS, REQUIRED
from resnet_search.spaces.wording import Mistakes
from resnet_search.training.recipe import recipe_fields

TABLE_NAMES = (*KEYS, "recipe")


@dataclass
class Checked:
    """What a document holds, key by key, and what is wrong with it; the values serve only if nothing is."""

    description: str = ""
    tables: dict[str, dict[str, Any]] = field(default_factory=dict)
    recipe: dict[str, Any] = field(default_factory=dict)
    mistakes: Mistakes = field(default_factory=Mistakes)


def check(document: Mapping[str, Any]) -> Checked:
    """Check the tables of a space file, or of `SearchSpace.to_dict`."""
    checked = Checked()
    mistakes = checked.mistakes
    document = _at_home(document, mistakes)
    document = check_names("", document, ("description", *TABLE_NAMES), mistakes)
    checked.description = document.get("description", "")
    if not DESCRIPTION.accepts(checked.description):
        mistakes.wrong("description", checked.description, DESCRIPTION.allowed)
    tables: dict[str, Mapping[str, Any]] = {}
    for name in TABLE_NAMES:
        content = document.get(name, {})
        if not isinstance(content, Mapping):
            mistakes.wrong(name, content, f"a table, headed [{name}]")
        else:
            tables[name] = check_names(f"[{name}] ", content, _names(name), mistakes)
    checked.tables = {name: _table(name, tables.get(name, {}), mistakes) for name in KEYS}
    checked.recipe = check_recipe(tables.get("recipe", {}), mistakes)
    if "axes" in tables:
        _missing_axes(tables["axes"], mistakes)
        _across_axes(tables["axes"], checked.tables["axes"], mistakes)
    return checked


def _names(table: str) -> tuple[str, ...]:
    return ("name", *recipe_fields()) if table == "recipe" else tuple(KEYS[table])


def _at_home(document: Mapping[str, Any], mistakes: Mistakes) -> dict[str, Any]:
    """The document without the keys that stand above their table's heading."""
    kept = {}
    for name, content in document.items():
        homes = [table for table in TABLE_NAMES if name in _names(table)]
        if homes:
            mistakes.wrong(name, content, f"below its table's heading, [{homes[0]}]")
        else:
            kept[name] = content
    return kept


def _table(table: str, content: Mapping[str, Any], mistakes: Mistakes) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in content.items():
        key = KEYS[table][name]
        place = f"[{table}] {name}"
        if key.many:
            found[name] = check_list(place, value, key, mistakes)
        elif accepts(key, value):
            found[name] = value
        else:
            mistakes.wrong(place, value, key.allowed, key.choices)
    return found


def _missing_axes(axes: Mapping[str, Any], mistakes: Mistakes) -> None:
    keys = KEYS["axes"]
    for name in REQUIRED["axes"]:
        if name not in axes:
            mistakes.missing(f"[axes] {name}", keys[name].allowed)
    if "n" not in axes and "depth" not in axes:
        mistakes.missing("[axes] n", f"{keys['n'].allowed}; or depth in its place")


def _across_axes(axes: Mapping[str, Any], good: Mapping[str, Any], mistakes: Mistakes) -> None:
    """The rules across axes; `good` holds the axes' values, () where they are wrong."""
    if "n" in axes and "depth" in axes:
        mistakes.wrong("[axes] depth", axes["depth"], "either n or depth, not both")
    blocks = good.get("block", ())
    if not blocks:
        return
    for name, having in BLOCKS_WITH.items():
        if name in axes and not set(having) & set(blocks):
            mistakes.wrong(f"[axes] {name}", axes[name], f"only beside a block that has it: {', '.join(having)}")
    grouped = [block for block in blocks if block in BLOCKS_WITH["cardinality"]]
    if grouped and "cardinality" not in axes:
        mistakes.missing("[axes] cardinality", f"{KEYS['axes']['cardinality'].allowed}; block {grouped[0]} needs it")
    for depth in good.get("depth", ()):
        near = nearest_depths(blocks, depth)
        if depth not in near:
            below = [str(other) for other in near if other < depth][-1:]
            above = [str(other) for other in near if other > depth][:1]
            allowed = "depths that one of the blocks can have; the nearest are " + " and ".join(below + above)
            mistakes.wrong("[axes] depth", depth, allowed)
