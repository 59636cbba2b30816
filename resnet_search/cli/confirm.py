"""resnet-search confirm"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from resnet_search.cli.again import begin_or_go_on, report_again, source_of, take_settings
from resnet_search.cli.budget import hang_option, take_budget, time_budget_option
from resnet_search.cli.cluster import cluster_options, take_cluster
from resnet_search.cli.options import DEVICES, OneOf, SpaceKey, Whole, WorkerCount, json_option, run_argument
from resnet_search.cli.session import Session, run_words
from resnet_search.errors import TrainingError
from resnet_search.training.recipe import RECIPES

if TYPE_CHECKING:
    from resnet_search.report.confirmed import Confirmation
    from resnet_search.runs.trials import RunView, Trial

TOP, SEEDS = 3, 3


@click.command("confirm", short_help="Retrain the best candidates of a search with several seeds each.")
@run_argument
@click.option("--top", type=Whole(1, 1000), metavar="K", help=f"Confirm the best K candidates.  [default: {TOP}]")
@click.option("--seeds", type=Whole(1, 1000), metavar="S", help=f"Train each with S seeds.  [default: {SEEDS}]")
@click.option("--recipe", type=OneOf(RECIPES), metavar="NAME", help="Train with another recipe.  [default: the run's]")
@click.option("--epochs", type=SpaceKey("hyperband", "max_epochs"), metavar="N",
              help="Epochs of each.  [default: the run's full budget; with --recipe, the recipe's]")  # fmt: skip
@click.option("--workers", type=WorkerCount(), metavar="N|auto|ray[://ADDRESS]",
              help="Networks that train at the same time.  [default: auto, as many as processors or GPUs and their "
              "memory allow]")  # fmt: skip
@click.option("--threads", type=Whole(1, 1024), metavar="N",
              help="Processor threads of each worker.  [default: the processors divided by --workers]")  # fmt: skip
@click.option("--device", type=OneOf(DEVICES), metavar="|".join(DEVICES), help="Device to train on.  "
              "[default: the run's]")  # fmt: skip
@cluster_options
@hang_option(None)
@time_budget_option("running networks finish their epoch", "confirm")
@click.option("--discard", is_flag=True, help="Remove an earlier confirmation of this run and start from scratch.")
@click.option("--quiet", "-q", is_flag=True, help="Print only the table.")
@json_option
@click.pass_obj
def command(session: Session, /, *, run: str, runs_dir: Path, top: int | None, seeds: int | None, discard: bool,
            quiet: bool, as_json: bool, **options: Any) -> None:  # fmt: skip
    """Retrain the best candidates of a search from scratch, with several seeds each.

    The best score of a search is optimistic, since it is the best of many. `confirm` reports the mean accuracy of the
    best candidates with a confidence interval, which candidates are tied, and by how much the search overestimated
    each. Repeat the command to continue a confirmation that was stopped.
    """
    from resnet_search.report.confirmed import confirmation
    from resnet_search.report.facts import confirmed_of
    from resnet_search.runs.after import CONFIRM
    from resnet_search.search.after import best_of, confirm_run

    quiet = quiet or as_json
    take_cluster(session, options, runs_dir)
    view = source_of(session, run, runs_dir, "confirm")
    budget, settings = take_budget(options), take_settings(options)
    given = {"top": top, "seeds": seeds, "recipe": settings.recipe, "epochs": settings.epochs}

    best = min(TOP, max(1, len(view.ranking()))) if top is None else top
    if top is not None or not view.ranking():
        best_of(view, best)  # Raises before anything is read.

    def start(observers: Any) -> Any:
        return confirm_run(view, best, seeds or SEEDS, settings, observers, discard=discard, budget=budget)

    done = begin_or_go_on(
        session, view, CONFIRM, start, given=given, settings=settings, discard=discard, budget=budget, quiet=quiet
    )
    found = confirmation(view, done)
    _check(found)
    again = confirmed_of(view)
    outdated = "" if again is None else again.outdated
    if as_json:
        _print_json(view, found, outdated)
    else:
        _tell(found, [*filter(None, [outdated]), *_of_chance(view)], learnt=not _of_chance(view))
    report_again(view, quiet=quiet)
    if not quiet:
        words = run_words(view.folder.path, runs_dir)
        click.echo("\nNext:")
        if done.state != "finished":
            click.echo(f"  resnet-search confirm {words}{session.workers}")
        if outdated:
            click.echo(f"  resnet-search confirm {words} --discard   # the best of the extended search")
        click.echo(f"  resnet-search train {words}{_discard(view, found)}")
        if not outdated and not _of_chance(view) and (smaller := _smaller(view, found)) is not None:
            click.echo(f"  resnet-search train {words} --trial {smaller.trial}   # the smallest of the tied")


def _discard(view: RunView, found: Confirmation) -> str:
    """Return `--discard` if `train` would otherwise continue the training of another network."""
    from resnet_search.runs.after import FINAL, following

    final = following(view.folder, FINAL)
    if final is None or found.best is None:
        return ""
    source = view.trials[final.content["of"]["trials"][0]]
    return "" if source.candidate == view.trials[found.best.trial].candidate else " --discard"


def _smaller(view: RunView, found: Confirmation) -> Trial | None:
    """Return the smallest network tied with the best of a finished confirmation; None if that is the best itself."""
    if not found.finished or found.best is None:
        return None
    tied = [found.best, *(one for one in found.candidates if one.p is not None and one.tied)]
    smallest = min((view.trials[one.trial] for one in tied), key=lambda trial: trial.params)
    return None if smallest.trial == found.best.trial else smallest


def _check(found: Confirmation) -> None:
    if found.finished and found.best is None:
        what, reason = found.failures[-1] if found.failures else ("nothing", "the reason is unknown")
        raise TrainingError(
            f"no candidate could be retrained; the last was {what}: {reason}",
            "Retrain them with another --recipe or --epochs, and --discard.",
        )


def _of_chance(view: RunView) -> list[str]:
    from resnet_search.report.learning import CURES, learning

    found = learning(view)
    return [found.words, CURES] if found.nothing else []


def _print_json(view: RunView, found: Confirmation, outdated: str) -> None:
    from resnet_search.cli.screen import show_json

    values = found.to_dict()
    for candidate in values["candidates"]:
        candidate["scores"] = [{"seed": seed, "score": score} for seed, score in candidate["scores"].items()]
    values["failures"] = [{"network": network, "reason": reason} for network, reason in found.failures]
    show_json("confirm/1", {"run": view.folder.name, **values, "outdated": outdated})


def _tell(found: Confirmation, notes: list[str], *, learnt: bool) -> None:
    """Print the candidates, the best mean first, with failures and notes; `notes` come first."""
    from resnet_search.cli.grid import Column, Grid, Hanging
    from resnet_search.cli.screen import show
    from resnet_search.report.confirmed import cells, remarks
    from resnet_search.report.units import counted

    seeds, mean, deviation, interval, search, over, verdicts = (
        zip(*map(cells, found.candidates), strict=True) if found.candidates else [()] * 7
    )
    each = counted(found.epochs, "epoch")
    title = f"{found.done} of {counted(found.networks, 'network')}, {each} each with recipe {found.recipe}"
    show(
        [
            Grid(
                [
                    Column("trial", [one.trial for one in found.candidates]),
                    Column("architecture", [one.name for one in found.candidates], folds=True),
                    Column("seeds", list(seeds), right=True, spare=3),
                    Column("mean", list(mean), right=True),
                    Column("std", list(deviation), right=True, spare=2),
                    Column("95 % interval", list(interval), right=True),
                    Column("in the search", list(search), right=True, spare=1),
                    Column("too high by", list(over), right=True),
                    Column("against the best", list(verdicts)),
                ],
                title=title,
            ),
            *(Hanging(f"Failed     {what}: {reason}") for what, reason in found.failures),
            *(Hanging(f"Note       {remark}") for remark in (*notes, *remarks(found, learnt=learnt))),
        ]
    )
