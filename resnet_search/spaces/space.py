"""A search space: what may be built, what it may cost, how it is trained and searched, and on which images."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from resnet_search.errors import SpaceError
from resnet_search.spaces.check import check
from resnet_search.spaces.check_recipe import varies
from resnet_search.spaces.feasible import Feasible, find_feasible
from resnet_search.spaces.schema import TABLES, Axes, Data, Hyperband, Limits, Range


@dataclass(frozen=True, kw_only=True)
class SearchSpace:
    """One search, validated. Made by `load_space`, `parse_space` or `from_dict`; equal if all it holds is equal.

    `recipe` holds `name` and the values that replace the named recipe's: each fixed, a tuple of values to choose from,
    or a `Range`. `method`: "hyperband" or "grid". `track`: the trackers that follow every candidate. `text`: the
    TOML as it was read.
    """

    name: str
    description: str
    text: str = field(repr=False)
    method: str
    axes: Axes
    limits: Limits
    hyperband: Hyperband
    recipe: dict[str, Any]
    data: Data
    track: tuple[str, ...] = ()

    @classmethod
    def from_document(cls, document: Mapping[str, Any], *, name: str, text: str, where: str) -> SearchSpace:
        """The space of parsed TOML; `SpaceError` for `where` holds every mistake in it."""
        checked = check(document)
        if checked.mistakes:
            raise SpaceError(where, checked.mistakes, "docs/spaces.md lists every key.")
        return cls(
            name=name,
            description=checked.description,
            text=text,
            method=checked.method,
            track=checked.track,
            recipe=checked.recipe,
            **{table: kind(**checked.tables[table]) for table, kind in TABLES.items()},  # type: ignore[arg-type]
        )

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], where: str = "run.json") -> SearchSpace:
        """The space that `to_dict` wrote, checked like a file; `SpaceError` if it is not one."""
        document = dict(values) if isinstance(values, Mapping) else {}
        if isinstance(document.get("hyperband"), Mapping) and document.get("method") != "grid":
            # Runs from before the key was there have promoted by accuracy.
            document["hyperband"] = {"promote_by": "accuracy", **document["hyperband"]}
        name, text = document.pop("name", None), document.pop("text", None)
        if not isinstance(name, str) or not isinstance(text, str):
            raise SpaceError(where, ["name and text: missing; allowed: a space as SearchSpace.to_dict writes it"])
        return cls.from_document(document, name=name, text=text, where=where)

    def to_dict(self) -> dict[str, Any]:
        """JSON-able: the tables of the file with the defaults filled in, beside name, description and text."""
        tables = {
            table: {
                key: value for key, value in asdict(getattr(self, table)).items() if value is not None and value != ()
            }
            for table in TABLES
        } | {"recipe": self.recipe}
        return {
            "name": self.name,
            "description": self.description,
            "text": self.text,
            "method": self.method,
            **({"track": list(self.track)} if self.track else {}),
            **{table: {key: _plain(value) for key, value in values.items()} for table, values in tables.items()},
        }

    def with_settings(
        self,
        *,
        max_epochs: int | None = None,
        min_epochs: float | None = None,
        final_epochs: int | None = None,
        factor: int | None = None,
        iterations: int | None = None,
        promotion: str | None = None,
        promote_by: str | None = None,
        sampler: str | None = None,
        max_params: int | None = None,
        min_params: int | None = None,
        params: str | None = None,
        max_macs: int | None = None,
        source: str | None = None,
        validation: float | None = None,
        image_size: int | None = None,
        value_range: tuple[float, float] | None = None,
    ) -> SearchSpace:
        """The same space with the settings that are not None replaced; `SpaceError` as for a file."""
        replaced: dict[str, dict[str, Any]] = {
            "hyperband": {
                "max_epochs": max_epochs,
                "min_epochs": min_epochs,
                "final_epochs": final_epochs,
                "factor": factor,
                "iterations": iterations,
                "promotion": promotion,
                "promote_by": promote_by,
                "sampler": sampler,
            },
            "limits": {"max_params": max_params, "min_params": min_params, "params": params, "max_macs": max_macs},
            "data": {
                "source": source,
                "validation": validation,
                "image_size": image_size,
                "value_range": value_range,
            },
        }
        values = self.to_dict()
        if params is not None:
            values["limits"] = {key: values["limits"][key] for key in ("max_macs",) if key in values["limits"]}
        for table, settings in replaced.items():
            values[table].update({key: value for key, value in settings.items() if value is not None})
        return self.from_dict(values, where=f"the settings given for {self.name}")

    def feasible(self, input_shape: tuple[int, int, int] | None = None, classes: int = 10) -> Feasible:
        """Every architecture inside the limits, for images of (height, width, channels); found once, then remembered.

        Without `input_shape`, colour images of `data.image_size`. Of a space of more than `feasible.CAP` points it is
        an estimate. `SpaceError` if no architecture is inside the limits.
        """
        size = self.data.image_size
        return find_feasible(self.axes, self.limits, input_shape or (size, size, 3), classes, self.name)

    @property
    def fixed_recipe(self) -> dict[str, Any]:
        """The recipe's name and the values that are the same in every trial: what `recipe_from` takes."""
        return {key: value for key, value in self.recipe.items() if not varies(value)}

    @property
    def recipe_varies(self) -> bool:
        """Whether trials differ in their recipe."""
        return any(map(varies, self.recipe.values()))

    def draw_recipe(self, rng: random.Random) -> dict[str, Any]:
        """A value for each key of the recipe that varies, the same for the same state of `rng`."""
        return {
            key: value.draw(rng) if isinstance(value, Range) else rng.choice(value)
            for key, value in sorted(self.recipe.items())
            if varies(value)
        }


def _plain(value: Any) -> Any:
    if isinstance(value, Range):
        return asdict(value)
    return [_plain(item) for item in value] if isinstance(value, tuple) else value
