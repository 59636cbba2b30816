"""A parsed space file against its schema: the values as the dataclasses want them, and every mistake at once.

Pure: no file is read here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from resnet_search.networks.architecture import STAGES, nearest_depths
from resnet_search.networks.imagenet import SOURCES
from resnet_search.spaces.check_recipe import check_recipe, varies
from resnet_search.spaces.check_values import accepts, check_list, check_names
from resnet_search.spaces.schema import BLOCKS_WITH, DESCRIPTION, KEYS, METHOD, SIZES, TRACK, Hyperband, band
from resnet_search.spaces.wording import Mistakes
from resnet_search.training.recipe import recipe_fields

TABLE_NAMES = (*KEYS, "recipe")
AT_THE_TOP = {"description": DESCRIPTION, "method": METHOD, "track": TRACK}


@dataclass
class Checked:
    """What a document holds, key by key, and what is wrong with it; the values serve only if nothing is."""

    description: str = ""
    method: str = "hyperband"
    track: tuple[str, ...] = ()
    tables: dict[str, dict[str, Any]] = field(default_factory=dict)
    recipe: dict[str, Any] = field(default_factory=dict)
    mistakes: Mistakes = field(default_factory=Mistakes)


def check(document: Mapping[str, Any]) -> Checked:
    """Check the tables of a space file, or of `SearchSpace.to_dict`."""
    checked = Checked()
    mistakes = checked.mistakes
    document = _at_home(document, mistakes)
    document = check_names("", document, (*AT_THE_TOP, *TABLE_NAMES), mistakes)
    for name, key in AT_THE_TOP.items():
        if name in document and key.many:
            setattr(checked, name, check_list(name, key.values(document[name]), key, mistakes))
        elif name in document:
            if not accepts(key, document[name]):
                mistakes.wrong(name, document[name], key.allowed, key.choices)
            setattr(checked, name, document[name])
    tables: dict[str, Mapping[str, Any]] = {}
    for name in TABLE_NAMES:
        content = document.get(name, {})
        if not isinstance(content, Mapping):
            mistakes.wrong(name, content, f"a table, headed [{name}]")
        else:
            tables[name] = check_names(f"[{name}] ", _below_the_top(name, content, mistakes), _names(name), mistakes)
    checked.tables = {name: _table(name, tables.get(name, {}), mistakes) for name in KEYS}
    checked.recipe = check_recipe(tables.get("recipe", {}), mistakes)
    if "axes" in tables:
        _missing_axes(tables["axes"], mistakes)
        _across_axes(tables["axes"], checked.tables["axes"], mistakes)
    _across_limits(checked)
    _across_hyperband(checked)
    if checked.method == "grid":
        _in_a_grid(checked, tables.get("recipe", {}))
    if not mistakes:
        _with_weights(checked)
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


def _below_the_top(table: str, content: Mapping[str, Any], mistakes: Mistakes) -> dict[str, Any]:
    """A table without the keys that belong above the first table, where TOML cannot return to."""
    for name in AT_THE_TOP:
        if name in content:
            mistakes.wrong(f"[{table}] {name}", content[name], "at the top of the file, above the first table")
    return {name: value for name, value in content.items() if name not in AT_THE_TOP}


def _table(table: str, content: Mapping[str, Any], mistakes: Mistakes) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in content.items():
        key = KEYS[table][name]
        place = f"[{table}] {name}"
        if key.many:
            values = [tuple(item) if isinstance(item, list) else item for item in key.values(value)]
            found[name] = tuple(map(key.read, check_list(place, values, key, mistakes)))
        elif accepts(key, value):
            found[name] = tuple(value) if isinstance(value, list) else value
        else:
            mistakes.wrong(place, value, key.allowed, key.choices)
    return found


def _missing_axes(axes: Mapping[str, Any], mistakes: Mistakes) -> None:
    keys = KEYS["axes"]
    if "models" in axes:
        for name in axes:
            if name != "models":
                mistakes.wrong(f"[axes] {name}", axes[name], "no other axis with models, which set their own")
        return
    for name in ("block", "width"):
        if name not in axes:
            mistakes.missing(f"[axes] {name}", keys[name].allowed)
    given = [name for name in SIZES if name in axes]
    if not given:
        mistakes.missing("[axes] n", f"{keys['n'].allowed}; or depth or blocks in its place")
    for name in given[1:]:
        if axes[name] != []:  # A list without values is reported as a mistake of its own.
            mistakes.wrong(f"[axes] {name}", axes[name], "one of n, depth and blocks, not several")


def _across_axes(axes: Mapping[str, Any], good: Mapping[str, Any], mistakes: Mistakes) -> None:
    """The rules across axes; `good` holds the axes' values, () where they are wrong."""
    blocks = good.get("block", ())
    if not blocks or "models" in axes:
        return
    for name, having in BLOCKS_WITH.items():
        if name in axes and not set(having) & set(blocks):
            mistakes.wrong(f"[axes] {name}", axes[name], f"only with a block that has it: {', '.join(having)}")
    if "attention_ratio" in axes and "se" not in good.get("attention", ("none",)):
        mistakes.wrong("[axes] attention_ratio", axes["attention_ratio"], 'only with attention "se"')
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
    stages = sorted({len(sizes) for sizes in good.get("blocks", ())} or {STAGES})
    for multiples in good.get("multiples", ()):
        if len(multiples) not in stages:
            mistakes.wrong(
                "[axes] multiples", multiples, f"one for each stage: {' or '.join(map(str, stages))} numbers"
            )


def _across_limits(checked: Checked) -> None:
    """Check the bounds of the parameters, and put them in the place of `params`."""
    given = checked.tables["limits"]
    both = given.pop("params", None)
    if both is not None:
        for name in ("min_params", "max_params"):
            if given.get(name) is not None:
                checked.mistakes.wrong(f"[limits] {name}", given[name], "not given together with params")
        given["min_params"], given["max_params"] = band(both) or (None, None)
    least, most = given.get("min_params"), given.get("max_params")
    if least is not None and most is not None and least > most:
        checked.mistakes.wrong("[limits] min_params", least, f"at most max_params, which is {most}")


def _across_hyperband(checked: Checked) -> None:
    """Check that the shortest trials are no longer than the longest, and these no longer than the final training."""
    given = checked.tables["hyperband"]
    least, most = (given.get(name, getattr(Hyperband(), name)) for name in ("min_epochs", "max_epochs"))
    if least > most:
        checked.mistakes.wrong("[hyperband] min_epochs", least, f"at most max_epochs, which is {most}")
    final = given.get("final_epochs")
    if final is not None and final < most:
        checked.mistakes.wrong("[hyperband] final_epochs", final, f"at least max_epochs, which is {most}")


def _in_a_grid(checked: Checked, recipe: Mapping[str, Any]) -> None:
    """A grid has no rungs to halve, and compares architectures, so that all else must be the same."""
    for name in ("min_epochs", "final_epochs", "factor", "iterations", "promotion", "promote_by", "sampler"):
        default = getattr(Hyperband(), name)
        value = checked.tables["hyperband"].get(name, default)
        if value != default:
            checked.mistakes.wrong(f"[hyperband] {name}", value, "not given: method grid trains everything once")
    for name, value in checked.recipe.items():
        if varies(value):
            checked.mistakes.wrong(f"[recipe] {name}", recipe[name], "one value: method grid trains all alike")


def _with_weights(checked: Checked) -> None:
    """Only some networks have weights of ImageNet to start from, and they all have a name."""
    init, models = checked.recipe.get("init", ()), checked.tables["axes"].get("models")
    without = [name for name in models or () if name not in SOURCES]
    if "imagenet" in ((init,) if isinstance(init, str) else init) and (models is None or without):
        allowed = f"with [axes] models alone, of those that have such weights: {', '.join(SOURCES)}"
        checked.mistakes.wrong("[recipe] init", "imagenet", allowed + (f"; not {without[0]}" if without else ""))
