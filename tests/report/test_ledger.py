from __future__ import annotations

import pytest

from resnet_search.files import append_line
from resnet_search.report.ledger import WATTS_PER_THREAD, ledger, ledger_of
from resnet_search.runs.energy import ENERGY

from .conftest import Events, search_events


def test_spent_and_in_full(make_view):
    """Six completed trials of 6 s and 1 s, 1 + 1 + 1 + 2 + 3 + 3 epochs; five candidates in full are 15 epochs."""
    found = ledger_of(make_view(search_events()))
    assert (found.epochs, found.full_epochs) == (11, 15)
    assert found.seconds == 42
    # By candidate, seconds an epoch: 12/3, 6/1, 6/1, 6/3, 6/3; three epochs each.
    assert found.full_seconds == pytest.approx(3 * (4 + 6 + 6 + 2 + 2))


def test_energy_is_an_estimate_by_its_assumption(make_view):
    view = make_view(search_events())
    found = ledger_of(view)
    assert found.joules == WATTS_PER_THREAD * 3 * 42  # three threads a worker
    assert found.measured == ()
    assert "10 W" in str(ledger(view))


def test_energy_is_measured_where_it_was(make_view):
    view = make_view(search_events())
    for session, joules in ((1.0, 100.0), (1.0, 250.0), (2.0, 50.0)):
        line = {"session": session, "time": 3.0, "joules": {"GPU 0": joules, "processor package-0": 1.0}}
        append_line(view.folder.path / ENERGY, line)
    found = ledger_of(view)
    assert found.joules == 302.0
    assert found.measured == ("GPU 0", "processor package-0")
    assert "GPU 0, processor package-0" in str(ledger(view))
    assert " W " not in str(ledger(view))


def test_nothing_is_told_before_anything_was_trained(make_view):
    assert ledger(make_view(Events())) == ()
