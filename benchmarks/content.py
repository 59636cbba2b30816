"""What run.json of a small search says: whole, since a run whose run.json lacks a value is not read."""

from __future__ import annotations

from typing import Any, Final

from resnet_search.spaces.plan import make_plan
from resnet_search.spaces.space import SearchSpace
from resnet_search.training.recipe import RECIPES

SPACE: Final[dict[str, Any]] = {
    "name": "small", "description": "", "text": "", "axes": {}, "limits": {}, "hyperband": {"max_epochs": 3},
    "data": {}, "recipe": {},
}  # fmt: skip
DATA: Final[dict[str, Any]] = {
    "source": "shapes", "location": "", "data_dir": None, "fingerprint": "0" * 64, "arrays": "none", "train": 100,
    "train_examples": None, "validation": 50, "test": 50, "image_shape": [32, 32, 3],
    "classes": list(map(str, range(10))), "mean": [128.0] * 3, "std": [64.0] * 3, "notes": [],
}  # fmt: skip
WORKERS: Final[dict[str, Any]] = {"slots": 1, "threads": 1, "precision": "float32", "jit": False, "device": "cpu"}


def make_content(**changed: Any) -> dict[str, Any]:
    """Return the content of a run.json, with other values at its top."""
    return {
        "created": "2026-01-01T00:00:00.000+00:00", "space": SPACE, "recipe": {"name": "search"}, "horizon": 3,
        "plan": [], "data": DATA, "seed": 0, "workers": WORKERS, "versions": {"python": "3.11"},
        "machine": {"host": "here", "processors": 2, "system": "Linux"}, "command": ["resnet-search", "run"],
        **changed,
    }  # fmt: skip


def searched_content(space: SearchSpace, seed: int) -> dict[str, Any]:
    """Return the content of the run.json of a search of this space."""
    plan = make_plan(space).to_list()
    horizon, recipe = space.hyperband.max_epochs, {**RECIPES[space.recipe["name"]].to_dict(), **space.fixed_recipe}
    return make_content(space=space.to_dict(), horizon=horizon, plan=plan, seed=seed, recipe=recipe)
