"""What a report says of an export is read back from its manifest, whatever is in it."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from resnet_search.export.found import exported_of
from resnet_search.report.exported import Ensemble, Exported, File
from resnet_search.runs.latency import Latency
from resnet_search.runs.trials import RunView, read_run
from tests.cli.conftest import make_run

TIMED = Latency(device="cpu", batch=1, p50=1.5, p99=2.5, throughput=600.0, calls=100, threads=2)
FILE = File(
    format="saved_model", name="saved_model", runtime="TensorFlow", size=1000, compared=64, difference=1e-7,
    agreement=1.0, required=0.999, accuracy=0.9, latencies=(TIMED,),
)  # fmt: skip
TOGETHER = Ensemble(members=("0001", "0002"), params=10, macs=20, alone=(TIMED,))


@pytest.fixture
def view(tmp_path: Path) -> RunView:
    return read_run(make_run(tmp_path), locked=False)


def keep(view: RunView, text: str) -> None:
    (view.folder.path / "export").mkdir()
    (view.folder.path / "export" / "export.json").write_text(text)


@pytest.mark.parametrize("together", [None, TOGETHER], ids=["alone", "ensemble"])
def test_what_was_verified_is_read_back(view, together):
    found = Exported(
        difference=1e-7, compared=64, accuracy=0.9, size=1000, files=(FILE,), ensemble=together, machine="box"
    )
    keep(view, json.dumps({"trial": view.leader.trial, "verified": asdict(found)}))
    assert exported_of(view) == found


def test_an_export_of_another_trial_is_not_this_ones(view):
    keep(view, json.dumps({"trial": view.leader.trial, "verified": {}}))
    assert exported_of(view, view.find("0")) is None


def test_without_an_export_there_is_none(view):
    assert exported_of(view) is None


VERIFIED = ('{"size": 1}', "[]", '{"files": [1]}', "null")
DAMAGED = ("", "[]", "{}", '{"trial": "%s"}', *(f'{{"trial": "%s", "verified": {value}}}' for value in VERIFIED))


@pytest.mark.parametrize("text", DAMAGED)
def test_a_damaged_manifest_is_as_none(view, text):
    keep(view, text.replace("%s", view.leader.trial))
    assert exported_of(view) is None
