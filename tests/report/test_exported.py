from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from resnet_search.report.content import report_of
from resnet_search.report.exported import Ensemble, Exported, File, ensemble, files, missed
from resnet_search.report.units import size
from resnet_search.runs.latency import Latency
from resnet_search.runs.trials import RunView
from tests.report.conftest import search_events
from tests.report.reading import cells, prose, rows

MakeView = Callable[..., RunView]


def latency(p50: float, batch: int = 1, device: str = "cpu") -> Latency:
    return Latency(device=device, batch=batch, p50=p50, p99=2 * p50, throughput=batch / p50 * 1e3, calls=50, threads=2)


SAVED_MODEL = File(
    format="saved_model", name="saved_model", runtime="TensorFlow", size=123_456, compared=1000, difference=2.4e-7,
    agreement=1.0, required=0.0, accuracy=0.81,
    latencies=(latency(1.5), latency(40.0, 128), latency(0.5, 1, "<b>H200")),
)  # fmt: skip
INT8 = replace(
    SAVED_MODEL, format="litert-int8", name="model_int8.tflite", runtime="LiteRT", agreement=0.963, required=0.98
)
EXPORTED = Exported(
    difference=2.4e-7, compared=1000, accuracy=0.81, size=123_456, files=(SAVED_MODEL, INT8), machine="2 of a | chip"
)


def test_a_file_falls_short_of_what_is_asked() -> None:
    assert SAVED_MODEL.shortfall == 0
    assert round(INT8.shortfall, 6) == 0.017
    for fact in ("96.30 %", "1,000 images", "1.70 percentage points", "98 %"):
        assert fact in missed(INT8)


def test_files_and_times(make_view: MakeView) -> None:
    [section] = files(EXPORTED)
    assert section in report_of(make_view(search_events()), None, EXPORTED).sections
    table = rows(section)
    assert ["saved_model", "saved_model", "123 kB", "TensorFlow", "2.4e-07", "100.00 %", "81.00 %"] in table
    assert ["saved_model", "processor", "128", "40", "80", "3,200", "50"] in table
    assert ["saved_model", "<b>H200", "1", "0.5", "1", "2,000", "50"] in table
    # Of both files only the one that falls short has a line.
    verified, short, timed = prose(section).splitlines()
    assert "1,000 validation images" in verified
    assert short == f"litert-int8: {missed(INT8)}"
    assert "2 of a | chip" in timed
    [of_trained_on] = files(replace(EXPORTED, trained_on=True))
    assert len(prose(of_trained_on)) > len(prose(section)), "it says so"
    assert rows(of_trained_on) == table


def test_an_ensemble_stands_beside_the_best_of_it(make_view: MakeView) -> None:
    view = make_view(search_events())
    members = [view.trials["0004"], view.trials["0005"]]
    together = Ensemble(
        members=("0004", "0005"),
        params=sum(member.params for member in members),
        macs=sum(member.macs for member in members),
        alone=(latency(0.75), latency(20.0, 128)),
    )
    exported = replace(EXPORTED, ensemble=together)
    first, network, *_ = report_of(view, None, exported).sections
    assert (first,) == ensemble(view, exported)
    table = rows(first)
    assert [row[0] for row in table[:2]] == ["0004", "0005"]
    assert ["81.00 % ± 1.24 %", "80.00 % ± 1.26 %"] in [row[1:] for row in table]
    assert [f"{together.params:,}", f"{members[0].params:,}"] in [row[1:] for row in table]
    times = [row for row in table if row[-1].endswith(" ms")]
    assert [row[1:] for row in times] == [["1.5 ms", "0.75 ms"], ["40 ms", "20 ms"]]
    assert ["128" in row[0] for row in times] == [False, True]
    # What was exported is not the network that the next section is about.
    assert not [cell for cell in cells(network) if size(EXPORTED.size) in cell]


def test_an_export_without_files_has_no_section() -> None:
    assert files(replace(EXPORTED, files=())) == ()
