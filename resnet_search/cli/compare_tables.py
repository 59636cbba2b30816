"""What `compare` shows."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from resnet_search.cli.curves import spark
from resnet_search.cli.grid import Column, Grid, Hanging
from resnet_search.cli.tables import line, shown
from resnet_search.cli.text import count, cut
from resnet_search.report.units import counted, duration, energy, percent, points, spread

_ROWS = 10  # rows in the table of candidates that all runs trained
_HASH, _DIGITS = re.compile(r"[0-9a-f]{64}"), 12  # digits shown of a fingerprint
_SETTING, _VALUE = 28, 60  # characters of a setting's name, and of its value
# Why two runs cannot be compared, at any number of epochs.
_UNLIKE = {
    "images": "use different images",
    "split": "were trained or validated on different parts of their images",
    "no result": "cannot be compared before both have a result",
}


def comparison_tables(found: dict[str, Any]) -> Iterator[RenderableType]:
    """Yield the result of `report.compared.compare` as tables, warnings first."""
    names = [run["run"] for run in found["runs"]]
    yield from _warnings(found["comparable"])
    yield _bests(found["runs"])
    yield Text()
    yield from map(Hanging, _verdicts(found))
    yield from map(Hanging, _chance(found["runs"]))
    yield Text()
    yield _spent(found["runs"])
    yield from _anytime(names, found["equal_epochs"])
    yield from _followed(found["runs"])
    yield from _common(names, found)
    yield from _settings(names, found["differences"])


def _warnings(comparable: dict[str, bool]) -> Iterator[RenderableType]:
    if not comparable["data"]:
        yield line("NOT COMPARABLE: these runs use different images. Their scores cannot be compared.", "red")
        yield Text()
    elif not comparable["split"]:
        yield line(
            "NOT COMPARABLE score by score: these runs trained or validated on different parts of the same images. "
            "Only differences well beyond the standard error are meaningful.",
            "red",
        )
        yield Text()


def _trained(best: dict[str, Any]) -> str:
    return f"{counted(best['epochs'], 'epoch')}{'' if best['full_budget'] else ' so far'}"


def _bests(runs: Sequence[dict[str, Any]]) -> Grid:
    bests = [run["best"] or {} for run in runs]
    epochs = [f"{best['epochs']}{'' if best['full_budget'] else ' so far'}" if best else "" for best in bests]
    return Grid(
        [
            Column("run", [run["run"] for run in runs], folds=True),
            Column("state", [run["state"] for run in runs], narrow=3),
            Column("best", [percent(best.get("score")) or "none yet" for best in bests], right=True),
            Column("std. error", [percent(best.get("standard_error")) for best in bests], right=True),
            Column("trial", [best.get("trial", "") for best in bests], narrow=1),
            Column("architecture", [best.get("name", "") for best in bests], folds=True),
            Column("epochs", epochs, right=True, narrow=2),
            Column("params", [count(best["params"]) if best else "" for best in bests], right=True, spare=1),
            Column("MACs", [count(best["macs"]) if best else "" for best in bests], right=True, spare=1),
        ],
        title="Best of each",
        elsewhere="--json has everything",
    )


def _verdicts(found: dict[str, Any]) -> Iterator[str]:
    drawn = any(value is not None for curve in found["equal_epochs"]["curves"] for value in curve)
    below = "; their best so far at equal epochs is below" if drawn else ""
    for pair, runs in zip(found["pairs"], combinations(found["runs"], 2), strict=True):
        first, second = (cut(name, _VALUE) for name in pair["runs"])
        if pair["unlike"] in _UNLIKE:
            yield f"No verdict {first} and {second} {_UNLIKE[pair['unlike']]}"
            continue
        if pair["unlike"] is not None:
            trained = " and ".join(f"{cut(run['run'], _VALUE)} after {_trained(run['best'])}" for run in runs)
            yield f"No verdict {trained}: these scores cannot be compared{below}"
            continue
        if pair["difference"] < 0:
            first, second = second, first
        difference = f"{first} is {points(abs(pair['difference']))} above {second}"
        if pair["difference"] == 0:
            difference = f"{first} and {second} are equal"
        if pair["larger"] is None:
            yield f"Difference {difference}"
        elif pair["larger"]:
            yield f"Difference {difference}: significant by {pair['test']} at 5 % (p = {pair['p']:.2g})"
        else:
            yield (
                f"Difference {difference}: tied by {pair['test']} at 5 % (p = {pair['p']:.2g}); these images cannot "
                "distinguish them"
            )


def _chance(runs: Sequence[dict[str, Any]]) -> Iterator[str]:
    for run in runs:
        if not run["learnt"]:
            yield f"Note       {cut(run['run'], _VALUE)}: no network was shown to be better than chance"


def _spent(runs: Sequence[dict[str, Any]]) -> Grid:
    spent = [run["spent"] for run in runs]
    return Grid(
        [
            Column("run", [run["run"] for run in runs], folds=True),
            Column("trials", [f"{one['trials']:,}" for one in spent], right=True, narrow=1),
            Column("epochs", [f"{one['epochs']:,}" for one in spent], right=True),
            Column("all workers", [duration(one["worker_seconds"]) for one in spent], right=True, narrow=2),
            Column("wall time", [duration(one["seconds"]) for one in spent], right=True),
            Column("energy", [_energy(one) for one in spent], right=True, narrow=3),
        ],
        title="Spent (energy: ~ means estimated, not measured)",
        elsewhere="--json has everything",
    )


def _energy(spent: dict[str, Any]) -> str:
    return f"{'' if spent['energy_measured'] else '~'}{energy(spent['joules'])}"


def _anytime(names: Sequence[str], equal: dict[str, Any]) -> Iterator[RenderableType]:
    values = [value for curve in equal["curves"] for value in curve if value is not None]
    if not values:
        return
    span = (min(values), max(values))
    yield Text()
    yield Grid(
        [
            Column("run", list(names), folds=True),
            Column(f"after {equal['epochs']:,}", [percent(value) for value in equal["scores"]], right=True),
            Column(
                f"until {equal['curve_epochs'][-1]:,} epochs, {percent(span[0])} to {percent(span[1])}",
                [_drawn(curve, span) for curve in equal["curves"]],
                narrow=1,
            ),
        ],
        title=f"Best so far at equal epochs: after {counted(equal['epochs'], 'epoch')} of all trials together",
    )


def _drawn(curve: Sequence[float | None], span: tuple[float, float]) -> str:
    """Draw a bar for each value and a space where there is none."""
    bars = spark([math.nan if value is None else value for value in curve], len(curve), span)
    return "".join(" " if value is None else bar for value, bar in zip(curve, bars, strict=False)).rstrip()


def _followed(runs: Sequence[dict[str, Any]]) -> Iterator[RenderableType]:
    if not any(run["confirmed"] or run["tested"] for run in runs):
        return
    confirmed, tested = [run["confirmed"] or {} for run in runs], [run["tested"] or {} for run in runs]
    yield Text()
    yield Grid(
        [
            Column("run", [run["run"] for run in runs], folds=True),
            Column("confirmed", [percent(one.get("mean")) for one in confirmed], right=True, spare=0),
            Column("95 % interval", [_interval(one) for one in confirmed], right=True, narrow=3),
            Column("seeds", [f"{one['seeds']}" if one else "" for one in confirmed], right=True, narrow=2),
            Column("test images", [percent(one.get("accuracy")) for one in tested], right=True),
            Column("95 % interval", [_interval(one) for one in tested], right=True, narrow=3),
        ],
        title="Trained again: the best mean over seeds, and the final network on the test images",
        elsewhere="--json has everything",
    )
    for run in runs:
        if run["confirmed"] and run["confirmed"]["outdated"]:
            yield Hanging(f"Note       {cut(run['run'], _VALUE)}, confirmed: {run['confirmed']['outdated']}")


def _interval(one: dict[str, Any]) -> str:
    if one.get("seeds") and one.get("low") is None:
        return f"none: {counted(one['seeds'], 'seed')}"
    return "" if one.get("low") is None else spread(one["low"], one["high"])


def _common(names: Sequence[str], found: dict[str, Any]) -> Iterator[RenderableType]:
    common = found["common"]
    yield Text()
    if not common:
        yield line("No candidate was trained for equally many epochs by all runs.")
        return
    rows = common[:_ROWS]
    yield Grid(
        [
            Column("architecture", [one["name"] for one in rows], folds=True),
            Column("epochs", [f"{one['epochs']}" for one in rows], right=True),
            *(
                Column(name, [percent(one["scores"][place]) for one in rows], right=True, folds=True)
                for place, name in enumerate(names)
            ),
        ],
        title=f"Trained by all runs: {counted(len(common), 'candidate')}",
    )
    if len(rows) < len(common):
        yield line(f"and {len(common) - len(rows):,} more: --json has them", "dim")
    yield from map(Hanging, _ranked(found["pairs"]))


def _ranked(pairs: Iterable[dict[str, Any]]) -> Iterator[str]:
    for pair in pairs:
        ranks, names = pair["ranks"], " and ".join(cut(name, _VALUE) for name in pair["runs"])
        if ranks["correlation"] is not None:
            yield (
                f"Ranks      {names}: correlation {ranks['correlation']:.2f} (Spearman) over "
                f"{counted(ranks['candidates'], 'candidate')} after {counted(ranks['epochs'], 'epoch')}"
            )


def _settings(names: Sequence[str], differences: Sequence[dict[str, Any]]) -> Iterator[RenderableType]:
    yield Text()
    if not differences:
        yield line("All runs were started with the same settings.")
        return
    settings = [one["setting"] for one in differences]
    yield Grid(
        [
            Column("setting", settings, folds=True, least=min(_SETTING, max(map(len, settings)))),
            *(
                Column(name, [_value(one["values"][place]) for one in differences], folds=True)
                for place, name in enumerate(names)
            ),
        ],
        title="Settings that differ",
    )


def _value(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, list):
        return cut(", ".join(map(shown, value)), _VALUE)
    if _HASH.fullmatch(str(value)):
        return str(value)[:_DIGITS]
    return cut(shown(value), _VALUE)
