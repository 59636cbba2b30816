"""resnet-search list"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from resnet_search.cli.options import json_option, runs_dir_option
from resnet_search.cli.text import safe
from resnet_search.cli.watch import Look, check_watch, watch, watch_option
from resnet_search.training.length import in_epochs

if TYPE_CHECKING:
    from rich.console import RenderableType

    from resnet_search.runs.folder import RunFolder


@click.command("list")
@runs_dir_option
@watch_option
@json_option
def command(*, runs_dir: Path, watched: bool, as_json: bool) -> int:
    """List the runs, the latest last.

    Shows each run's state, progress and best network so far; on 120 columns or more, also a curve of its best score.
    While a run is being confirmed or its best network trained in full, the state says so. --watch shows as many of the
    latest runs as fit on the screen.
    """
    from resnet_search.cli.screen import show, show_json
    from resnet_search.runs.folder import list_runs

    if watched:
        check_watch({"--json": as_json})
        return watch(lambda rows: _look(runs_dir, rows))
    runs = [describe(folder) for folder in list_runs(runs_dir)]
    if as_json:
        show_json("list/1", {"runs": runs})
    else:
        show(_shown(runs, runs_dir))
    return 0


def _shown(runs: list[dict[str, Any]], runs_dir: Path) -> Iterable[RenderableType]:
    from resnet_search.cli.screen import is_wide
    from resnet_search.cli.tables import line, runs_table

    if not runs:
        return [line(f"No runs in {safe(runs_dir)}. Start one: resnet-search run --space quickstart")]
    return runs_table(runs, wide=is_wide())


def _look(runs_dir: Path, rows: int) -> Look:
    from resnet_search.runs.after import follow_ups
    from resnet_search.runs.folder import list_runs

    folders = list_runs(runs_dir)[-rows:]
    every = [each for folder in folders for each in (folder, *follow_ups(folder))]
    running = [folder for folder in every if folder.is_locked()]
    shown = _shown([describe(folder) for folder in folders], runs_dir)
    return Look(shown, [runs_dir, *(folder.events for folder in every)], running)


def describe(folder: RunFolder) -> dict[str, Any]:
    """Describe a run, JSON-able; for a damaged one, give the reason."""
    from resnet_search.errors import RunError
    from resnet_search.report.anytime import best_so_far
    from resnet_search.report.course import epochs_done
    from resnet_search.report.kind import is_final
    from resnet_search.runs.after import under_way
    from resnet_search.runs.exports import exports_in
    from resnet_search.runs.trials import COMPLETED, FAILED, read_run

    try:
        view = read_run(folder)
    except RunError as error:
        return {"run": folder.name, "path": str(folder.path), "state": "damaged", "reason": error.message}
    trials = list(view.trials.values())
    done = [trial for trial in trials if trial.status == COMPLETED]
    leader = view.leader
    # A single network has a name before it has a score.
    scored = not is_final(view)  # A final network was trained on its validation images.
    shown = leader or (trials[0] if trials and view.planned_trials == 1 else None)
    return {
        "run": folder.name,
        "path": str(folder.path),
        "state": view.state,
        "following": [
            {"kind": each.folder.name, "trials": each.completed, "planned_trials": each.planned_trials}
            for each in under_way(folder)
        ],
        "space": view.content["space"]["name"],
        "trials": len(done),
        "planned_trials": view.planned_trials,
        "failed": sum(trial.status == FAILED for trial in trials),
        "epochs": epochs_done(view),
        "planned_epochs": in_epochs(view.planned_epochs - view.saved_epochs),
        "best": None if leader is None else leader.trial,
        "score": leader.score if leader is not None and scored else None,
        "architecture": None if shown is None else shown.name,
        "best_so_far": _climb(best_so_far(view)) if scored else [],
        "started": view.started,
        "seconds": view.seconds,
        "exports": [path.name for path in exports_in(folder)],
    }


def _climb(curve: list[tuple[float, float]]) -> list[dict[str, Any]]:
    """Return the points where the best score improved, and the last."""
    kept = [point for before, point in zip([(0, -1.0), *curve], curve, strict=False) if point[1] > before[1]]
    if curve and kept[-1] != curve[-1]:
        kept.append(curve[-1])
    return [{"epochs": epochs, "score": score} for epochs, score in kept]
