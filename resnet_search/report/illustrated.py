"""The whole report of a run with plots, in its own module because Plotly and Optuna take a second to load."""

from __future__ import annotations

from resnet_search.report.content import report_of
from resnet_search.report.document import Document
from resnet_search.report.exported import Exported
from resnet_search.report.figures.axes import sections as axes
from resnet_search.report.figures.cost import against_cost
from resnet_search.report.figures.halving import brackets
from resnet_search.report.figures.learning import curves
from resnet_search.report.figures.reading import read
from resnet_search.report.figures.rungs import predicted
from resnet_search.report.figures.workers import timeline
from resnet_search.report.learning import learning
from resnet_search.report.ledger import ledger
from resnet_search.runs.trials import RunView, Trial


def illustrated(view: RunView, trial: Trial | None = None, exported: Exported | None = None) -> Document:
    """Return `content.report_of` with every plot that the run allows so far: none of chance alone."""
    reading = read(view)
    learnt = not learning(view).nothing
    pictures = (
        *(against_cost(reading) if learnt else ()),
        *brackets(view),
        *curves(reading),
        *((*axes(reading), *predicted(reading)) if learnt else ()),
        *timeline(view),
        *ledger(view),
    )
    return report_of(view, trial, exported, pictures=pictures)
