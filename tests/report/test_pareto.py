from __future__ import annotations

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from resnet_search.report.content import report_of
from resnet_search.report.pareto import LATENCY, MACS, PARAMETERS, front, fronts, measured, pareto
from resnet_search.runs.latency import Latency, keep_latency
from resnet_search.runs.trials import RunView
from tests.report.conftest import search_events
from tests.report.reading import prose, rows

MakeView = Callable[..., RunView]
# Few values, so that ties are many.
POINTS = st.lists(st.tuples(st.integers(0, 4).map(lambda x: x / 4), st.integers(1, 5).map(float)), max_size=12)


def beaten(point: tuple[float, float], by: tuple[float, float]) -> bool:
    """By the definition of dominance: at least as good in both, and better in one."""
    return by[0] >= point[0] and by[1] <= point[1] and by != point


@given(POINTS)
def test_a_front_is_what_no_point_beats(points: list[tuple[float, float]]) -> None:
    assert front(points) == [not any(beaten(point, other) for other in points) for point in points]


def test_an_example() -> None:
    assert front([(0.9, 10.0), (0.8, 5.0), (0.85, 12.0), (0.8, 5.0), (0.8, 6.0)]) == [True, True, False, True, False]
    assert front([]) == []


def test_each_cost_has_its_own_front(make_view: MakeView) -> None:
    view = make_view(search_events())
    ranked = view.ranking()
    assert [(trial.trial, trial.score) for trial in ranked] == [("0004", 0.8), ("0005", 0.79), ("0006", 0.6)]
    # The best is the smallest, too, so that only a time can put another one on a front.
    assert ranked[0].params < min(trial.params for trial in ranked[1:])
    assert [(place.trial.trial, place.on, place.latency) for place in pareto(ranked, {})] == [
        ("0004", (PARAMETERS, MACS), None)
    ]
    times = {"0004": 2.0, "0006": 1.5}
    assert [(place.trial.trial, place.on, place.latency) for place in pareto(ranked, times)] == [
        ("0004", (PARAMETERS, MACS, LATENCY), 2.0),
        ("0006", (LATENCY,), 1.5),
    ]


def test_the_report_shows_the_fronts_with_the_times_of_this_machine(make_view: MakeView) -> None:
    run = search_events()
    run("finished")
    view = make_view(run)
    times = {"p99": 9.0, "throughput": 100.0, "calls": 10, "threads": 2}
    keep_latency(view.folder, "0006", [Latency(device="cpu", batch=1, p50=1.25, **times)])
    keep_latency(view.folder, "0005", [Latency(device="A GPU", batch=1, p50=0.5, **times)])
    assert measured(view) == {"0006": 1.25}
    [section] = fronts(view)
    assert section in report_of(view).sections
    compared, timed = prose(section).splitlines()
    assert "3 candidates" in compared
    assert "measured for 1." in timed
    assert [[row[0], *row[-2:]] for row in rows(section)] == [
        ["0004", "", f"{PARAMETERS}, {MACS}"],
        ["0006", "1.25", LATENCY],
    ]
