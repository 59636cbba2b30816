"""Runs that grow as a driver writes them, and what each tracker's store has, read back by the tool's own means."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from resnet_search.files import write_text
from resnet_search.runs.folder import RunFolder
from resnet_search.trackers.mirror import Mirror
from tests.cli.conftest import make_run

NAMES = ("optuna", "tensorboard", "mlflow", "wandb")


@dataclass
class Told:
    """What a store has of a candidate. `points`: (epoch, validation accuracy) as often as they are there."""

    name: str
    params: dict[str, Any]
    points: list[tuple[int, float]] = field(default_factory=list)
    state: str = ""


class Growing:
    """A folder that has the first events of a finished run, and the epochs that were trained by then."""

    def __init__(self, finished: RunFolder, folder: Path) -> None:
        self.finished, self.folder = finished, RunFolder(folder)
        self.lines = finished.events.read_bytes().splitlines(keepends=True)
        self.at = 0
        folder.mkdir()
        (folder / "run.json").write_bytes((finished.path / "run.json").read_bytes())

    def grow(self, events: int) -> None:
        """Go on by so many events; a trial that has not ended yet has half of its epochs."""
        new = self.lines[self.at : self.at + events]
        self.at += len(new)
        for line in new:
            event = json.loads(line)
            source = self.finished.path / f"trial_{event.get('trial')}" / "history.jsonl"
            if "trial" in event and source.is_file():
                epochs = source.read_text().splitlines(keepends=True)
                whole = event["event"] != "created"
                target = self.folder.trial(event["trial"]) / "history.jsonl"
                target.parent.mkdir(exist_ok=True)
                # Replaced, and with a line that is still being written.
                write_text(target, "".join(epochs if whole else [*epochs[: len(epochs) // 2], epochs[-1][:9]]))
        with self.folder.events.open("ab") as log:
            log.write(b"".join(new))


@pytest.fixture(autouse=True)
def no_servers(monkeypatch, tmp_path):
    """Whatever the environment of the tests names: nothing leaves this machine."""
    for name in ("MLFLOW_TRACKING_URI", "WANDB_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("WANDB_CONFIG_DIR", str(tmp_path / "config"))


@pytest.fixture
def finished(tmp_path) -> RunFolder:
    return make_run(tmp_path / "runs", "whole")


@pytest.fixture
def growing(finished, tmp_path) -> Growing:
    return Growing(finished, tmp_path / "runs" / "growing")


@pytest.fixture(params=NAMES)
def tracker(request) -> str:
    """The name of each tracker whose package is installed."""
    pytest.importorskip(request.param)
    return str(request.param)


def tell(folder: RunFolder, name: str) -> None:
    """All that there is by now, from a process that has just begun."""
    mirror = Mirror(folder, name)
    mirror.step()
    mirror.close()


def told(folder: RunFolder, name: str) -> dict[int, Told]:
    """What a store has, by candidate."""
    return _READERS[name](folder.path / name)


def _optuna(place: Path) -> dict[int, Told]:
    from resnet_search.trackers.to_optuna import storage_of

    storage = storage_of(place)
    (study,) = storage.get_all_studies()
    found = {}
    for trial in storage.get_all_trials(study._study_id):
        states = {"PRUNED": "ended", "COMPLETE": "ended", "FAIL": "failed", "RUNNING": "running"}
        found[trial.user_attrs["candidate"]] = Told(
            trial.user_attrs["architecture"],
            trial.params,
            sorted(trial.intermediate_values.items()),
            states[trial.state.name],
        )
    return found


def _tensorboard(place: Path) -> dict[int, Told]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams import api_pb2, metadata

    found = {}
    for folder in sorted(place.iterdir()):
        events = EventAccumulator(str(folder), size_guidance={"tensors": 0}).Reload()
        told_of = events.SummaryMetadata
        start = metadata.parse_session_start_info_plugin_data(
            told_of(metadata.SESSION_START_INFO_TAG).plugin_data.content
        )
        params = {name: getattr(value, value.WhichOneof("kind")) for name, value in start.hparams.items()}
        state = "running"
        if metadata.SESSION_END_INFO_TAG in events.PluginTagToContent("hparams"):
            assert len(events.Tensors(metadata.SESSION_END_INFO_TAG)) == 1
            end = metadata.parse_session_end_info_plugin_data(
                told_of(metadata.SESSION_END_INFO_TAG).plugin_data.content
            )
            state = "failed" if end.status == api_pb2.Status.Value("STATUS_FAILURE") else "ended"
        points = []
        if "val_accuracy" in events.Tags()["tensors"]:
            points = [(event.step, float(event.tensor_proto.float_val[0])) for event in events.Tensors("val_accuracy")]
        candidate = int(folder.name.removeprefix("candidate-"))
        found[candidate] = Told(start.group_name.removeprefix(f"{candidate:04d} "), params, points, state)
    return found


def _mlflow(place: Path) -> dict[int, Told]:
    from mlflow import MlflowClient

    client = MlflowClient(os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{place / 'mlflow.db'}")
    experiments = [found for found in client.search_experiments() if found.name != "Default"]
    assert len(experiments) == 1
    found = {}
    for run in client.search_runs([experiments[0].experiment_id]):
        history = client.get_metric_history(run.info.run_id, "val_accuracy")
        candidate = int(run.data.tags["resnet_search.candidate"])
        states = {"FINISHED": "ended", "FAILED": "failed", "RUNNING": "running"}
        assert candidate not in found
        found[candidate] = Told(
            run.info.run_name.removeprefix(f"{candidate:04d} "),
            run.data.params,
            sorted((metric.step, metric.value) for metric in history),
            states[run.info.status],
        )
    return found


def _wandb(place: Path) -> dict[int, Told]:
    found: dict[int, Told] = {}
    for path in sorted(place.glob("offline-run-*/*.wandb")):
        candidate = int(path.stem.rpartition("-")[2])
        assert candidate not in found
        found[candidate] = _wandb_run(path, candidate)
    return found


def _wandb_run(path: Path, candidate: int) -> Told:
    from wandb.proto import wandb_internal_pb2

    told_of, state = Told("", {}), "ended"
    for data in _leveldb(path.read_bytes()):
        record = wandb_internal_pb2.Record.FromString(data)
        kind = record.WhichOneof("record_type")
        if kind == "run":
            told_of.name = record.run.display_name.removeprefix(f"{candidate:04d} ")
        if kind in {"run", "config"}:
            config = record.run.config if kind == "run" else record.config
            told_of.params |= {item.key: json.loads(item.value_json) for item in config.update if item.key}
        elif kind == "history":
            values = {(item.key or item.nested_key[0]): json.loads(item.value_json) for item in record.history.item}
            told_of.points.append((record.history.step.num, values["val_accuracy"]))
        elif kind == "exit":
            state = "failed" if record.exit.exit_code else "ended"
    # What is written of an undecided candidate has an end as well, and says what it is in its configuration.
    told_of.state = "running" if told_of.params.get("state") == "running" else state
    return told_of


def _leveldb(content: bytes) -> Iterator[bytes]:
    """The records of a log in LevelDB's format, behind W&B's header of 7 bytes."""
    block, at, whole = 32_768, 7, b""
    while at + 7 <= len(content):
        if block - at % block < 7:
            at += block - at % block
            continue
        _, length, kind = struct.unpack_from("<IHB", content, at)
        part = content[at + 7 : at + 7 + length]
        at += 7 + length
        whole = part if kind in {1, 2} else whole + part
        if kind in {1, 4}:
            yield whole


_READERS: dict[str, Callable[[Path], dict[int, Told]]] = {
    "optuna": _optuna,
    "tensorboard": _tensorboard,
    "mlflow": _mlflow,
    "wandb": _wandb,
}
