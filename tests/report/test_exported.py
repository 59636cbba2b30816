from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from resnet_search.report.content import report_of
from resnet_search.report.exported import Ensemble, Exported, File, missed
from resnet_search.report.markdown import to_markdown
from resnet_search.runs.latency import Latency
from resnet_search.runs.trials import RunView
from tests.report.conftest import search_events

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


def text_of(view: RunView, exported: Exported) -> str:
    return to_markdown(report_of(view, None, exported)).replace("\\", "")


def test_a_file_falls_short_of_what_is_asked() -> None:
    assert SAVED_MODEL.shortfall == 0
    assert round(INT8.shortfall, 6) == 0.017
    assert missed(INT8) == (
        "it names the same class for 96.30 % of 1,000 images, 1.7 percentage points under the 98 % that are asked for."
    )


def test_files_and_times(make_view: MakeView) -> None:
    text = text_of(make_view(search_events()), EXPORTED)
    assert "| `saved_model` | `saved_model` | 123 kB | TensorFlow | 2.4e-07 | 100.00 % | 81.00 % |" in text
    assert "`litert-int8`: it names the same class for 96.30 %" in text
    assert "`saved_model`: it names" not in text
    assert "| `saved_model` | processor | 128 | 40 | 80 | 3,200 | 50 |" in text
    assert "| `saved_model` | `<b>H200` | 1 | 0.5 | 1 | 2,000 | 50 |" in text
    assert "after warming up" in text
    assert "the share that is right." in text
    text = text_of(make_view(search_events()), replace(EXPORTED, trained_on=True))
    assert "the share that is right, on which this network was trained: it says nothing of new images." in text


def test_an_ensemble_stands_beside_the_best_of_it(make_view: MakeView) -> None:
    view = make_view(search_events())
    members = [view.trials["0004"], view.trials["0005"]]
    together = Ensemble(
        members=("0004", "0005"),
        params=sum(member.params for member in members),
        macs=sum(member.macs for member in members),
        alone=(latency(0.75), latency(20.0, 128)),
    )
    text = text_of(view, replace(EXPORTED, ensemble=together))
    assert "## The ensemble of 2" in text
    assert f"| Parameters, trainable | {together.params:,} | {members[0].params:,} |" in text
    assert "| Validation accuracy | 81.00 % ± 1.24 % | 80.00 % ± 1.26 % |" in text
    assert "| A call with 1 image on the processor, p50 | 1.5 ms | 0.75 ms |" in text
    assert "| A call with 128 images on the processor, p50 | 40 ms | 20 ms |" in text
    # What was exported is not the network that the next section is about.
    assert "Size of the SavedModel" not in text


def test_an_export_without_files_has_no_section(make_view: MakeView) -> None:
    assert "## The files" not in text_of(make_view(search_events()), replace(EXPORTED, files=()))
