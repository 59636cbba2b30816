from __future__ import annotations

from collections.abc import Callable

import pytest

from resnet_search.report.content import report_of
from resnet_search.report.inputs import repeat, searched
from resnet_search.runs.trials import RunView

from .conftest import make_content, search_events
from .reading import cells, listings, prose, rows

MakeView = Callable[..., RunView]


def test_an_estimated_space_is_told_as_one(make_view: MakeView) -> None:
    content = make_content()
    content["feasible"] = {
        "architectures": 14_839_898, "interval": [14_447_793, 15_239_717], "exact": False, "total": 69_851_250,
        "excluded": {"more than 100,000 parameters": 39_790_765},
    }  # fmt: skip
    view = make_view(search_events(), content)
    [estimate] = [cell for cell in cells(searched(view)) if "architectures" in cell]
    for fact in ("14.8 million", "95 %", "14.45 to 15.24 million"):
        assert fact in estimate
    assert estimate in prose(report_of(view))
    assert excluded(view) == "about 39.8 million"


@pytest.mark.parametrize(("precision", "asked"), [("float32", "float32"), ("wide_bfloat16", "bfloat16")])
def test_the_command_asks_for_the_precision_that_it_had(make_view: MakeView, precision: str, asked: str) -> None:
    content = make_content()
    content["workers"]["precision"] = precision
    section = repeat(make_view(search_events(), content))
    assert precision in cells(section)
    assert f"--precision {asked}" in listings(section)


@pytest.mark.parametrize(
    ("device", "deterministic", "equal"), [("cpu", False, True), ("gpu", True, False), ("gpu", False, False)]
)
def test_equal_scores_are_promised_where_they_hold(
    make_view: MakeView, device: str, deterministic: bool, equal: bool
) -> None:
    content = make_content()
    content["workers"] |= {"device": device, "deterministic": deterministic}
    view = make_view(search_events(), content)
    assert ("same scores" in prose(report_of(view))) is equal
    assert ("deterministic" in prose(report_of(view))) is deterministic
    assert ("--deterministic" in listings(repeat(view))) is deterministic


def test_a_cluster_is_named_with_the_command_for_it(make_view: MakeView) -> None:
    content = make_content()
    content["workers"] |= {"slots": 8, "cluster": {"address": "head:6379", "cpus": 2.0, "gpus": 0.25, "storage": ""}}
    section = repeat(make_view(search_events(), content))
    assert any(cell.startswith("8, ") and cell.endswith("ray://head:6379") for cell in cells(section))
    assert "--workers ray://head:6379 --cpus-per-trial 2.0 --gpus-per-trial 0.25" in listings(section)


def test_a_space_that_was_listed_is_told_exactly(make_view: MakeView) -> None:
    content = make_content()
    number = content["feasible"]["architectures"]
    assert f"{number} feasible architectures" in cells(searched(make_view(search_events(), content)))
    # As runs of the first version noted it.
    content["feasible"] = {"architectures": 9, "excluded": {"more than 100,000 parameters": 3}}
    view = make_view(search_events(), content)
    assert "9 feasible architectures" in cells(searched(view))
    assert excluded(view) == "3"


def excluded(view: RunView) -> str:
    """How many architectures the one reason excludes."""
    [count] = [count for reason, count in rows(searched(view)) if "more than 100,000 parameters" in reason]
    return count
