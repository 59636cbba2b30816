"""Map the hyperparameters of a Keras Tuner project to axes and recipe values of a space.

A name that a space has keeps its meaning; every other name must be mapped or ignored.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from resnet_search.errors import ArchitectureError, RunError, UsageError
from resnet_search.networks.architecture import BLOCKS, Architecture
from resnet_search.networks.rules import check_choice
from resnet_search.search.project import Hyperparameter, Project
from resnet_search.spaces.load import parse_space
from resnet_search.spaces.points import architecture_of
from resnet_search.spaces.schema import KEYS, SIZES, Range, has_axis
from resnet_search.spaces.space import SearchSpace
from resnet_search.spaces.spelled import AXES, value_of
from resnet_search.spaces.wording import escape, nearest, show
from resnet_search.training.recipe import recipe_fields, recipe_from

# Without epochs, which belong to Hyperband here, and milestones, which are not a single number.
RECIPE = tuple(name for name in recipe_fields() if name not in {"epochs", "milestones"})
_TOLD = 10  # values of a hyperparameter in a message


@dataclass(frozen=True, slots=True)
class Target:
    """The key of a space for a hyperparameter, and the values here for those with other names."""

    key: str
    values: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """The user's mapping: `targets` by hyperparameter, `fixed` keys that the project does not vary.

    `ignored`: hyperparameters that are not part of a network or recipe here.
    """

    targets: Mapping[str, Target] = field(default_factory=dict)
    fixed: Mapping[str, str] = field(default_factory=dict)
    ignored: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Mapped:
    """A project's mapped hyperparameters. `by_name` holds those that are not ignored."""

    by_name: Mapping[str, Target]
    axes: Mapping[str, tuple[Any, ...]]
    recipe: Mapping[str, tuple[Any, ...] | Range]
    fixed: Mapping[str, Any]
    defaults: Mapping[str, Any]

    def values(self, trial: Mapping[str, Any]) -> dict[str, Any]:
        """Return a trial's values by key of the space."""
        found = dict(self.fixed)
        for name, target in self.by_name.items():
            value = trial.get(name, self.defaults.get(name))
            if value is not None:
                found[target.key] = _value(target, value)
        return found

    def architecture(self, trial: Mapping[str, Any]) -> Architecture:
        """Return the network of a trial's values; `ArchitectureError` if they describe none here."""
        values = self.values(trial)
        missing = [axis for axis in ("block", "width") if axis not in values]
        missing += [] if any(axis in values for axis in SIZES) else ["n"]
        if missing:
            words = f"it has no {' and no '.join(missing)}"
            raise ArchitectureError(words, rule=words)
        block, attention = values["block"], values.get("attention", "none")
        check_choice("block", block, BLOCKS)
        having = [axis for axis in AXES if axis in values and has_axis(axis, block, attention)]
        return architecture_of({axis: values[axis] for axis in having})

    def drawn_recipe(self, trial: Mapping[str, Any], space: SearchSpace) -> dict[str, Any]:
        """Return a trial's values of the recipe keys that the space varies; `UsageError` if one is not allowed."""
        values = self.values(trial)
        found = {key: values[key] for key in self.recipe if key in values and key not in space.fixed_recipe}
        recipe_from({"name": space.recipe["name"], **found})
        return found


def map_names(project: Project, told: Told) -> Mapped:
    """Map every hyperparameter; `UsageError` or `RunError` for a wrong or missing mapping."""
    _known_names(project, told)
    by_name, homeless = {}, []
    for one in project.hyperparameters:
        if one.name in told.ignored:
            continue
        if one.name in told.targets:
            by_name[one.name] = told.targets[one.name]
        elif one.name in (*AXES, *RECIPE):
            by_name[one.name] = Target(one.name)
        else:
            homeless.append(one)
    if homeless:
        raise _without_a_place(project, homeless)
    _once_each(by_name, told.fixed)
    fixed = {key: _parsed(key, text) for key, text in told.fixed.items()}
    found: dict[str, tuple[Any, ...] | Range] = {key: (value,) for key, value in fixed.items()}
    for one in project.hyperparameters:
        if one.name in by_name:
            target = by_name[one.name]
            found[target.key] = _values(one, target)
    axes = {key: _listed(key, values) for key, values in found.items() if key in AXES}
    return Mapped(
        by_name,
        axes,
        {key: values for key, values in found.items() if key in RECIPE},
        fixed,
        {one.name: one.default for one in project.hyperparameters},
    )


def _known_names(project: Project, told: Told) -> None:
    names = {one.name for one in project.hyperparameters}
    for option, given in (("--map", told.targets), ("--ignore", told.ignored)):
        for name in given:
            if name not in names:
                near = nearest(name, names)
                cure = f"Did you mean {escape(near)}?" if near else ""
                allowed = ", ".join(escape(one) for one in sorted(names))
                raise UsageError(f"{option}: got {escape(name)!r}; allowed: {allowed}", cure)


def _once_each(by_name: Mapping[str, Target], fixed: Mapping[str, str]) -> None:
    taken: dict[str, str] = {}
    for name, target in by_name.items():
        if target.key in taken:
            raise UsageError(
                f"--map: {escape(taken[target.key])!r} and {escape(name)!r} both map to {target.key}; allowed: one",
                "Give --ignore for the other if it is not part of the network.",
            )
        taken[target.key] = name
        if target.key in fixed:
            raise UsageError(f"--set: got {target.key}, but {escape(name)!r} is mapped to it; allowed: other keys")


def _without_a_place(project: Project, homeless: Iterable[Hyperparameter]) -> RunError:
    lines = []
    for one in homeless:
        near = nearest(one.name, (*AXES, *RECIPE))
        hint = f"; nearest: {near}" if near else ""
        lines.append(f"  - {escape(one.name)}: {_shown(one.values)}{hint}")
    return RunError(
        "\n".join([f"{escape(str(project.path), 300)}: cannot map these hyperparameters:", *lines]),
        f"Map each with --map NAME=KEY, or give --ignore NAME if it is not part of a network.\n"
        f"KEY: an axis ({', '.join(AXES)}) or a value of the recipe ({', '.join(RECIPE)}).",
    )


def _shown(values: tuple[Any, ...] | Range) -> str:
    if isinstance(values, Range):
        return f"from {values.min:g} to {values.max:g}"
    more = f" and {len(values) - _TOLD:,} more" if len(values) > _TOLD else ""
    return ", ".join(map(show, values[:_TOLD])) + more


def _values(one: Hyperparameter, target: Target) -> tuple[Any, ...] | Range:
    if isinstance(one.values, Range):
        return one.values
    return tuple(dict.fromkeys(_value(target, value) for value in one.values))


def _value(target: Target, value: Any) -> Any:
    """Convert a value of a hyperparameter to one of the space."""
    word = str(value).lower() if isinstance(value, bool) else str(value)
    if word in target.values:
        return _parsed(target.key, target.values[word])
    kind = _kind(target.key)
    if kind == "int" and isinstance(value, float) and value.is_integer():
        return int(value)
    # A Choice of Keras Tuner may hold numbers as text.
    return _parsed(target.key, value) if isinstance(value, str) else value


def _kind(key: str) -> str:
    return str(KEYS["axes"][key].kind if key in KEYS["axes"] else recipe_fields()[key].kind)


def _parsed(key: str, text: str) -> Any:
    return value_of(KEYS["axes"].get(key) or recipe_fields()[key], text)


def _listed(key: str, values: tuple[Any, ...] | Range) -> tuple[Any, ...]:
    if isinstance(values, Range):
        raise RunError(
            f"{key}: got a hyperparameter from {values.min:g} to {values.max:g} without steps; "
            "allowed: a list of values for an axis",
            f"Give --ignore for it and --set {key}=VALUE.",
        )
    return values


def space_of(
    project: Project, mapped: Mapped, name: str, *, recipe: str, epochs: int, data: Mapping[str, Any]
) -> SearchSpace:
    """Return a space with the same choices and its TOML as `text`; `SpaceError` names values not allowed here."""
    text = f"""\
# resnet-search run --space {name}.toml
# The choices of the Keras Tuner project {escape(project.path.name)}, {len(project.trials)} trials of {project.tuner}.

description = {_toml(f"as the Keras Tuner project {escape(project.path.name)}")}

[axes]
{_lines({axis: mapped.axes[axis] for axis in AXES if axis in mapped.axes})}
[hyperband]
max_epochs = {epochs}
factor = {project.factor or 3}
iterations = {project.iterations}

[recipe]
name = {_toml(recipe)}
{_lines(mapped.recipe)}
[data]
{_lines(data)}"""
    return parse_space(text, f"{name}.toml")


def _lines(values: Mapping[str, Any]) -> str:
    return "".join(f"{key} = {_toml(value)}\n" for key, value in values.items() if value is not None)


def _toml(value: Any) -> str:
    """Write a value as TOML; its strings, numbers and lists look the same in JSON."""
    if isinstance(value, Range):
        return f"{{ min = {value.min}, max = {value.max}, log = {str(value.log).lower()} }}"
    if isinstance(value, tuple):
        inside = ", ".join(map(_toml, value))
        return _toml(value[0]) if len(value) == 1 and not isinstance(value[0], tuple) else f"[{inside}]"
    return json.dumps(value)
