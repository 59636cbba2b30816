from __future__ import annotations

from collections.abc import Callable

import pytest

from resnet_search.report.content import report_of
from resnet_search.report.markdown import to_markdown
from resnet_search.runs.trials import RunView

from .conftest import make_content, search_events

MakeView = Callable[..., RunView]


def test_an_estimated_space_is_told_as_one(make_view: MakeView) -> None:
    content = make_content()
    content["feasible"] = {
        "architectures": 14_839_898, "interval": [14_447_793, 15_239_717], "exact": False, "total": 69_851_250,
        "excluded": {"more than 100,000 parameters": 39_790_765},
    }  # fmt: skip
    text = to_markdown(report_of(make_view(search_events(), content)))
    estimate = "about 14.8 million feasible architectures (95 % interval 14.45 to 15.24 million)"
    assert f"out of {estimate}" in text
    assert f"| Feasible | {estimate} |" in text
    assert "| Excluded: more than 100,000 parameters | about 39.8 million |" in text


@pytest.mark.parametrize(("precision", "asked"), [("float32", "float32"), ("wide_bfloat16", "bfloat16")])
def test_the_command_asks_for_the_precision_that_it_had(make_view: MakeView, precision: str, asked: str) -> None:
    content = make_content()
    content["workers"]["precision"] = precision
    text = to_markdown(report_of(make_view(search_events(), content)))
    assert f"| Precision | `{precision}` |" in text
    assert f"--precision {asked}" in text


def test_a_cluster_is_named_with_the_command_for_it(make_view: MakeView) -> None:
    content = make_content()
    content["workers"] |= {"slots": 8, "cluster": {"address": "head:6379", "cpus": 2.0, "gpus": 0.25, "storage": ""}}
    text = to_markdown(report_of(make_view(search_events(), content)))
    assert "each, on `ray://head:6379` |" in text
    assert "--workers ray://head:6379 --cpus-per-trial 2.0 --gpus-per-trial 0.25" in text


def test_a_space_that_was_listed_is_told_exactly(make_view: MakeView) -> None:
    content = make_content()
    text = to_markdown(report_of(make_view(search_events(), content)))
    assert f"| Feasible | {content['feasible']['architectures']} feasible architectures |" in text
    # As runs of the first version noted it.
    content["feasible"] = {"architectures": 9, "excluded": {"more than 100,000 parameters": 3}}
    text = to_markdown(report_of(make_view(search_events(), content)))
    assert "| Feasible | 9 feasible architectures |" in text
    assert "| Excluded: more than 100,000 parameters | 3 |" in text
