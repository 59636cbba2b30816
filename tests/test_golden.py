"""The words: one report and one model card as wholes. `pytest --update-golden` writes them again, to be read as a diff.

Every other test of these documents asserts what they say, not how.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from resnet_search.export.card import card
from resnet_search.files import append_line, write_json
from resnet_search.networks.presets import preset
from resnet_search.report.exported import Exported, File
from resnet_search.report.illustrated import illustrated
from resnet_search.report.markdown import to_markdown
from resnet_search.runs.after import CONFIRM, FINAL, LEDGER, TESTED
from resnet_search.runs.energy import ENERGY
from resnet_search.runs.latency import Latency, keep_latency
from resnet_search.runs.trials import RunView
from tests.report.conftest import Events, make_content, make_view, put, search_events
from tests.report.test_tested import make_measured

__all__ = ["make_view"]
SAVED_MODEL = File(
    format="saved_model", name="saved_model", runtime="TensorFlow", size=123_456, compared=1000, difference=2.4e-7,
    agreement=1.0, required=0.0, accuracy=0.8,
    latencies=(Latency(device="cpu", batch=1, p50=1.25, p99=2.5, throughput=800.0, calls=1600, threads=2),),
)  # fmt: skip
INT8 = replace(
    SAVED_MODEL, format="litert-int8", name="model_int8.tflite", runtime="LiteRT", size=40_000, difference=0.02,
    agreement=0.963, required=0.98, accuracy=0.79, latencies=(),
)  # fmt: skip
EXPORTED = Exported(
    difference=2.4e-7, compared=1000, accuracy=0.8, size=123_456, files=(SAVED_MODEL, INT8), machine="2 of a chip"
)
KNOWN = 2  # The bracket of the known network.
# That a follow-up names its candidates; which, its trials say.
AGAIN = [{"iteration": 0, "bracket": 0, "candidates": [{"architecture": {}, "recipe": {}, "repeat": 1}], "presets": []}]
MEASURED = replace(make_measured([[140, 20, 10], [30, 120, 15], [5, 10, 150]]), classes=("disc", "ring", "star"))


def named(name: str) -> dict[str, Any]:
    """What a trial of a known network is created with."""
    a = preset(name).architecture
    return {"name": a.name, "depth": a.depth, "architecture": a.to_dict()}


def searched() -> Events:
    """A search with a failure, a tie, a batch in parts, a plain network beside its residual one, and a known one."""
    run = search_events()
    run("divided", trial="0004", parts=2)
    for trial, (name, slot, score) in enumerate((("plain-20", 2, 0.6), ("resnet-20", 3, 0.79)), 7):
        run.create(trial, trial, (0, 0, 0), (0, 3), slot=slot, **named(name))
        run.complete(trial, score)
    run.create(9, 9, (0, KNOWN, 0), (0, 3), **named("resnet-32"))
    run.complete(9, 0.7)
    run("finished")
    return run


def again(scores: list[list[float]], names: list[str]) -> Events:
    """A follow-up that trains some networks with one seed after the other."""
    run = Events()
    trial = 0
    for repeat, of_seed in enumerate(scores, 1):
        for name, score in zip(names, of_seed, strict=True):
            run.create(trial, trial, (0, 0, 0), (0, 3), slot=trial, repeat=repeat, name=name)
            run.complete(trial, score)
            trial += 1
    run("finished")
    return run


@pytest.fixture
def view(make_view: Callable[..., RunView]) -> RunView:
    """A run with all that a report can have of a search."""
    content = make_content()
    content["data"] |= {"source": "cifar10", "notes": ["2 images are in it twice"]}
    content["known"] = [{"iteration": 0, "bracket": KNOWN, "presets": ["resnet-32"]}]
    in_full = {"index": 0, "size": 1, "initial_epoch": 0, "epochs": 3}
    content["plan"][-1]["rungs"] = [{**in_full, "size": 4}]
    content["plan"].append({"iteration": 0, "number": KNOWN, "offset": 9, "rungs": [in_full]})
    view = make_view(searched(), content)
    folder = view.folder.path
    append_line(folder / ENERGY, {"session": 1.0, "time": 3.0, "joules": {"GPU 0": 36_000.0}})
    keep_latency(view.folder, "0004", SAVED_MODEL.latencies)
    keep_latency(view.folder, "0008", [replace(SAVED_MODEL.latencies[0], p50=0.75)])
    best = view.ranking()[:2]
    of = {"run": "small-run", "kind": CONFIRM, "trials": [trial.trial for trial in best], "seeds": 3}
    scores = [[0.78, 0.77], [0.79, 0.78], [0.77, 0.76]]
    put(folder / CONFIRM, {**content, "known": AGAIN, "of": of}, again(scores, [trial.name for trial in best]))
    final = {**content, "known": AGAIN, "data": {**content["data"], "merged": True}, "of": {**of, "kind": FINAL}}
    put(folder / FINAL, final, again([[0.95]], [best[0].name]))
    write_json(folder / FINAL / TESTED, {"trial": "0000", "time": 1_767_400_000.0, "measured": MEASURED.to_dict()})
    read = ["resnet-search", "train", "small-run", "--test"]
    append_line(folder / LEDGER, {"time": 1_767_400_000.0, "command": read, "network": "basic8-w4", "images": 500})
    return view


def test_the_report_of_a_search(view: RunView, check_golden: Callable[[str, str], None]) -> None:
    check_golden("report.md", to_markdown(illustrated(view, None, EXPORTED)))


def test_the_card_of_its_winner(view: RunView, check_golden: Callable[[str, str], None]) -> None:
    text = card(view, [view.trials["0004"]], EXPORTED, license_id="Apache-2.0", measured=MEASURED, written=2e9)
    check_golden("card.md", text)
