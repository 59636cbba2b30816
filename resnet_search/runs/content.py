"""What run.json may say: the kind of each value and its bounds, checked before anything is computed from it.

A run's folder may come from anywhere. A rung of 10**18 trials, or an image of 10**9 pixels, would take all memory.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from resnet_search.errors import UserError
from resnet_search.networks.architecture import Architecture
from resnet_search.training.length import in_epochs
from resnet_search.training.recipe import recipe_from
from resnet_search.workers.cluster import MOST_SLOTS, Cluster

# Every parallel worker holds its own TensorFlow: more than this on one machine is a typing error.
MAX_WORKERS: Final = 256
MOST_TRIALS: Final = 2_000_000  # of a plan: the largest that a driver can hold
MOST_EPOCHS: Final = 10**6
MOST_PIXELS: Final = 4096  # of a side of an image
MOST_CLASSES: Final = 100_000
_MOST_IMAGES: Final = 10**10
_COLOURS: Final = 4
_TEXT: Final = 4096  # characters

Test = Callable[[Any], bool]


def check_content(content: Mapping[str, Any]) -> None:
    """Raise `ValueError`, or another error of reading a missing value, if a run cannot be what run.json says."""
    for where, names in _ALWAYS.items():
        table = content[where] if where else content
        missing = [name for name in names if name not in table]
        if missing:
            raise ValueError(f"{where or 'run.json'}: has no {missing[0]!r}")
    _check_values("data", content["data"], _DATA)
    _check_values("workers", content["workers"], _WORKERS)
    _check_values("run.json", content, _TOP)
    _check_values("space", content["space"], _SPACE)
    _check_values("feasible", content.get("feasible", {}), _FEASIBLE)
    _check_values("of", content.get("of") or {}, _OF)
    data, workers = content["data"], content["workers"]
    for name in ("mean", "std"):
        if name in data and "image_shape" in data and len(data[name]) != data["image_shape"][-1]:
            raise ValueError(f"data: {name} has {len(data[name])} values for {data['image_shape'][-1]} colours")
    cluster = workers.get("cluster") and Cluster.from_dict(workers["cluster"])
    most = MOST_SLOTS if cluster else MAX_WORKERS
    if not workers["slots"] <= most:
        raise ValueError(f"workers: slots is {workers['slots']}; allowed: 1 to {most}")
    _check_plan(content["plan"])


def extended(content: dict[str, Any], event: Mapping[str, Any]) -> dict[str, Any]:
    """Return the content of run.json with the changes of an `extended` event."""
    space = content["space"]
    return {
        **content,
        "space": {**space, "hyperband": {**space["hyperband"], **event["hyperband"]}},
        **{name: event[name] for name in ("plan", "horizon", "constant_until", "stage", "closed") if name in event},
        "known": [*content.get("known", []), *([event["known"]] if event["known"] else [])],
    }


def check_candidate(architecture: Mapping[str, Any], recipe: Mapping[str, Any], content: Mapping[str, Any]) -> None:
    """Raise `ValueError` if a candidate of a run cannot be trained: a byte of its event may have changed."""
    try:
        Architecture.from_dict(architecture)
        if recipe:
            recipe_from({**content["recipe"], **recipe})
    except UserError as error:
        raise ValueError(error.message) from error


def check_epoch(line: Any) -> float:
    """Return the epoch of a line of a history; `ValueError` unless its values are numbers."""
    number = line["epoch"]
    _check("history", "epoch", number, _number(0, MOST_EPOCHS))
    for name, value in line.items():
        # A loss may be NaN.
        _check("history", name, value, lambda one: one is None or type(one) is float or _whole(-(2**63), 2**63)(one))
    return in_epochs(number)


def _check_plan(plan: Iterable[Mapping[str, Any]]) -> None:
    trials = 0
    for bracket in plan:
        for name in ("iteration", "number", "offset"):
            _check("plan", name, bracket.get(name, 0), _whole(0, 10**9))
        _check("plan", "rungs", bracket["rungs"], lambda rungs: isinstance(rungs, list | tuple) and len(rungs) > 0)
        for rung in bracket["rungs"]:
            _check("plan", "size", rung["size"], _whole(0, MOST_TRIALS))
            _check("plan", "epochs", rung["epochs"], _number(0, MOST_EPOCHS))
            trials += rung["size"]
    if trials > MOST_TRIALS:
        raise ValueError(f"plan: has {trials:,} trials; allowed: {MOST_TRIALS:,}")


def _check_values(where: str, values: Mapping[str, Any], tests: Mapping[str, Test]) -> None:
    for name, test in tests.items():
        if name in values:
            _check(where, name, values[name], test)


def _check(where: str, name: str, value: Any, test: Test) -> None:
    if not test(value):
        raise ValueError(f"{where}: {name} is {value!r:.100}")


def _whole(low: int, high: int) -> Test:
    return lambda value: type(value) is int and low <= value <= high


def _number(low: float, high: float) -> Test:
    return lambda value: type(value) in (int, float) and low <= value <= high and math.isfinite(value)


def _text(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= _TEXT


def _table(value: Any) -> bool:
    return isinstance(value, dict)


def _counts(value: Any) -> bool:
    return isinstance(value, dict) and all(map(_whole(0, _MOST_IMAGES), value.values()))


def _flag(value: Any) -> bool:
    return isinstance(value, bool)


def _or_none(test: Test) -> Test:
    return lambda value: value is None or test(value)


def _many(test: Test, low: int, high: int) -> Test:
    return lambda value: isinstance(value, list) and low <= len(value) <= high and all(map(test, value))


def _is_earlier(value: Any) -> bool:
    return _table(value) and _text(value["run"]) and _flag(value["alike"]) and all(map(_is_score, value["scores"]))


def _is_score(value: Any) -> bool:
    Architecture.from_dict(value["architecture"])
    return _number(0, MOST_EPOCHS)(value["epochs"]) and _number(0, 1)(value["score"])


def _shape(value: Any) -> bool:
    return _many(_whole(1, MOST_PIXELS), 3, 3)(value) and value[2] <= _COLOURS


# What every version has written. The rest came later, and is read with a default.
_ALWAYS: Final = {
    "": ("space", "recipe", "horizon", "plan", "data", "seed", "workers", "versions", "machine", "command"),
    "data": ("source", "location", "data_dir", "fingerprint", "arrays", "train", "train_examples", "validation", "test",
             "image_shape", "classes", "mean", "std"),
    "space": ("name", "text", "axes", "limits", "hyperband", "data", "recipe"),
    "workers": ("slots", "threads", "precision", "jit", "device"),
}  # fmt: skip
_DATA: Final[dict[str, Test]] = {
    "source": _text,
    "location": _or_none(_text),
    "data_dir": _or_none(_text),
    "fingerprint": _text,
    "train": _whole(0, _MOST_IMAGES),
    "train_examples": _or_none(_whole(0, _MOST_IMAGES)),
    "merged": _flag,
    "validation": _whole(1, _MOST_IMAGES),
    "test": _whole(0, _MOST_IMAGES),
    "image_shape": _shape,
    "classes": _many(_text, 1, MOST_CLASSES),
    "mean": _many(_number(-1e6, 1e6), 1, _COLOURS),
    "std": _many(_number(1e-6, 1e6), 1, _COLOURS),
    "largest_class": _number(0, 1),
    "duplicates": _counts,
    "left_out": lambda value: isinstance(value, dict) and all(map(_counts, value.values())),
    "notes": _many(lambda value: isinstance(value, str), 0, MOST_CLASSES),
}
_WORKERS: Final[dict[str, Test]] = {
    "slots": _whole(1, MOST_SLOTS),
    "threads": _whole(1, 1024),
    "precision": _text,
    "jit": _flag,
    "device": _text,
    "hang_timeout": _number(1e-3, 1e9),
    "gpus": _whole(0, 1024),
    "gpu_share": _number(0, 1),
    "gpu_bytes": _whole(0, 2**50),
    "backend": _text,
    "deterministic": _flag,
}
_SPACE: Final[dict[str, Test]] = {
    "name": _text,
    "description": lambda value: isinstance(value, str),
    "text": lambda value: isinstance(value, str),
    "axes": _table,
    "limits": _table,
    "hyperband": _table,
    "data": _table,
    "recipe": _table,
}
_FEASIBLE: Final[dict[str, Test]] = {
    "architectures": _number(0, 1e300),
    "interval": _many(_number(0, 1e300), 2, 2),
    "exact": _flag,
    "total": _number(0, 1e300),
    "excluded": _table,
}
_OF: Final[dict[str, Test]] = {
    "run": _text,
    "kind": _text,
    "trials": _many(_text, 1, MOST_TRIALS),
}
_TOP: Final[dict[str, Test]] = {
    "command": _many(_text, 0, 10_000),
    "versions": _table,
    "machine": _table,
    "recipe": _table,
    "feasible": lambda value: isinstance(value, dict) and "architectures" in value,
    "horizon": _whole(0, MOST_EPOCHS),
    "constant_until": _number(0, MOST_EPOCHS),
    "stage": _or_none(_text),
    "closed": lambda value: isinstance(value, list),
    "earlier": lambda value: isinstance(value, list) and all(map(_is_earlier, value)),
    "seed": _whole(0, 2**63),
    "backend": _text,
    "plan": lambda value: isinstance(value, list),
}
