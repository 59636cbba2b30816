"""resnet-search show"""

from __future__ import annotations

from pathlib import Path

import click
from click.shell_completion import CompletionItem

from resnet_search.cli.options import RUNS_DIR, json_option, run_argument


def _complete_trial(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    del param
    from resnet_search.errors import UserError
    from resnet_search.runs.folder import find_run
    from resnet_search.runs.trials import read_run

    try:
        view = read_run(find_run(ctx.params["run"], ctx.params.get("runs_dir") or RUNS_DIR))
    except (UserError, KeyError):
        return []
    return [
        CompletionItem(trial.trial, help=trial.name)
        for trial in view.trials.values()
        if trial.trial.startswith(incomplete)
    ]


@click.command("show")
@run_argument
@click.argument("trial", metavar="TRIAL", shell_complete=_complete_trial)
@json_option
def command(*, run: str, runs_dir: Path, trial: str, as_json: bool) -> None:
    """Show a trial in full.

    Its architecture and cost, its promotions, its learning curve, its timings, and why it failed.
    """
    from resnet_search.cli.screen import show, show_json
    from resnet_search.cli.trials import document
    from resnet_search.runs.folder import find_run
    from resnet_search.runs.trials import read_run

    view = read_run(find_run(run, runs_dir))
    found = view.find(trial)
    history = view.history(found)
    if as_json:
        chain = [link.trial for link in view.chain(found)]
        show_json({**document(found), "chain": chain, "history": history})
        return
    from resnet_search.cli.tables import trial_details

    show(trial_details(view, found, history))
