"""resnet-search resume"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from resnet_search.cli.budget import budget_options, hang_option, take_budget
from resnet_search.cli.changes import changing_options, fixed_options, refuse_changes
from resnet_search.cli.cluster import cluster_options, take_cluster
from resnet_search.cli.options import quiet_options, run_argument
from resnet_search.cli.session import Session
from resnet_search.cli.text import safe
from resnet_search.report.units import counted

if TYPE_CHECKING:
    from resnet_search.runs.trials import RunView
    from resnet_search.search.resume import ResumeSettings

_CHANGING = ("workers", "threads", "device", "hang_timeout", "add_iterations", "add_epochs", "retry_failed")


@click.command("resume", short_help="Resume a run that was stopped, or extend a finished one.")
@run_argument
@changing_options
@cluster_options
@click.option("--retry-failed", is_flag=True, help="Train failed trials again, such as those that a full memory ended.")
@hang_option(None)
@budget_options
@fixed_options
@quiet_options
@click.pass_obj
def command(session: Session, /, *, run: str, runs_dir: Path, quiet: bool, no_export: bool, **options: Any) -> None:
    """Resume a run that was stopped, or extend a finished one.

    After Ctrl-C, kill -9 or a reboot, a resumed run ends with the same trials as an uninterrupted one, on a processor
    to the last bit. A finished run trains more only with --add-iterations, --add-epochs or --retry-failed; otherwise
    only missing parts of its export are written.

    Settings that define the run, such as its seed, cannot be changed.
    """
    from resnet_search.cli.searching import conclude, watch
    from resnet_search.runs.folder import find_run
    from resnet_search.runs.trials import FAILED, read_run

    budget = take_budget(options)
    take_cluster(session, options, runs_dir)
    changing = {key: options.pop(key) for key in _CHANGING}
    folder = find_run(run, runs_dir)
    session.folder, session.runs_dir = folder.path, runs_dir
    view = read_run(folder)
    refuse_changes(folder.name, view.as_started, options)
    failed = sum(trial.status == FAILED for trial in view.trials.values())
    again = changing["add_iterations"] or changing["add_epochs"] or (changing["retry_failed"] and failed)
    if view.state == "finished" and not again:
        if not quiet:
            trials = counted(failed, "trial")
            more = f" {trials} failed: --retry-failed trains {'it' if failed == 1 else 'them'} again." if failed else ""
            click.echo(f"{safe(folder.full_name)} is finished: nothing is left to train.{more}")
    else:
        settings = _checked(view, changing)
        driver = folder.last_driver()
        if driver is not None and not quiet:
            click.echo(f"The last driver, {driver}, died: resuming from its last state.")
        from resnet_search.search.start import resume_run

        preparing = f"Resuming {folder.full_name}: starting the training backend ..."
        view = watch(
            session,
            lambda observers: resume_run(folder, observers, settings=settings, budget=budget),
            preparing=preparing,
            quiet=quiet,
        )
    conclude(session, view, quiet=quiet, export=not no_export)


def _checked(view: RunView, changing: dict[str, Any]) -> ResumeSettings:
    """Return the changed settings; raise errors before anything is printed or read."""
    from resnet_search.runs.planned import check_drivable
    from resnet_search.search.resume import ResumeSettings, extension

    if view.state == "running":
        raise view.folder.in_use()
    if not view.content.get("imported"):
        check_drivable(view)
    settings = ResumeSettings(**changing)
    if settings.extends:
        extension(view, settings)
    return settings
