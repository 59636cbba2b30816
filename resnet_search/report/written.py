"""Write the report's files: a page with plots, and a text version."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from resnet_search import __version__
from resnet_search.files import make_folder, write_text
from resnet_search.report.exported import Exported
from resnet_search.report.html import to_html
from resnet_search.report.illustrated import illustrated
from resnet_search.report.markdown import to_markdown
from resnet_search.runs.trials import RunView, Trial

FOLDER, PAGE, WORDS = "report", "report.html", "report.md"


def write_report(
    view: RunView,
    trial: Trial | None = None,
    exported: Exported | None = None,
    *,
    out: Path | None = None,
    refresh: int | None = None,
) -> tuple[Path, Path]:
    """Write both files atomically to `out`, and return their paths.

    By default they are written to `report` in the run's folder; with a `trial`, to its own folder in there.
    `trial` and `exported`: see `content.report_of`. `refresh`: seconds after which the open page reloads.
    """
    folder = out or view.folder.path / FOLDER / ("" if trial is None else f"trial_{trial.trial}")
    document = illustrated(view, trial, exported)
    now = datetime.now(UTC)
    footer = f"Written by resnet-search {__version__} on {now:%Y-%m-%d at %H:%M:%S} UTC; the run was {view.state}."
    make_folder(folder)
    page, words = folder / PAGE, folder / WORDS
    write_text(page, to_html(document, footer=footer, refresh=refresh))
    write_text(words, to_markdown(document))
    return page, words
