"""MLflow: an experiment per search, a run per candidate, in a database in the run's folder or on a server."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

from resnet_search.files import make_folder
from resnet_search.spaces.space import SearchSpace
from resnet_search.trackers.contract import FAILED, RUNNING, Point, Record, Search, Stored

SERVER = "MLFLOW_TRACKING_URI"
_KEY, _CANDIDATE, _STATE = "resnet_search.run", "resnet_search.candidate", "resnet_search.state"
# The last metric of an epoch to be written: if it is there, the others are, too.
_EPOCH = "epoch"
_PER_CALL = 100  # epochs; a call takes 1,000 metrics


def open_store(search: Search, place: Path, space: SearchSpace | None) -> Mlflow:
    """Open the experiment of a run, on the server that the environment names, or else in a database in `place`."""
    del space
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "ERROR")
    logging.getLogger("alembic").setLevel(logging.ERROR)
    return Mlflow(search, place)


class Mlflow:
    """`trackers.contract.Tracker`."""

    def __init__(self, search: Search, place: Path) -> None:
        from mlflow import MlflowClient

        server = os.environ.get(SERVER)
        if not server:
            make_folder(place)
        self._client = MlflowClient(server or f"sqlite:///{(place / 'mlflow.db').resolve()}")
        # Nothing is stored there, but by default MLflow would make a folder in the working directory.
        artifacts = None if server else (place / "artifacts").resolve().as_uri()
        self._experiment = self._open(search, artifacts)
        self._runs: dict[int, str] = {}

    def _open(self, search: Search, artifacts: str | None) -> str:
        name = search.name
        found = self._client.get_experiment_by_name(name)
        if found is not None and found.tags.get(_KEY) != search.key:
            name = f"{search.name} {search.key}"
            found = self._client.get_experiment_by_name(name)
        if found is not None:
            return str(found.experiment_id)
        tags = {**{key: str(value) for key, value in search.tags.items()}, _KEY: search.key}
        return str(self._client.create_experiment(name, artifact_location=artifacts, tags=tags))

    def stored(self) -> dict[int, Stored]:
        found: dict[int, Stored] = {}
        token = None
        while True:
            page = self._client.search_runs([self._experiment], page_token=token)
            for run in page:
                candidate = int(run.data.tags[_CANDIDATE])
                self._runs[candidate] = run.info.run_id
                found[candidate] = Stored(int(run.data.metrics.get(_EPOCH, 0)), run.data.tags[_STATE])
            token = page.token
            if not token:
                return found

    def write(self, record: Record, before: Stored | None) -> None:
        from mlflow.entities import Param, RunTag

        run = self._runs.get(record.candidate) or self._create(record)
        if before is None or not before.step:
            self._client.log_batch(run, params=[Param(name, str(value)) for name, value in record.config.items()])
        news = [point for point in record.curve if before is None or point.step > before.step]
        for first in range(0, len(news), _PER_CALL):
            metrics = [metric for point in news[first : first + _PER_CALL] for metric in _metrics(point)]
            self._client.log_batch(run, metrics=metrics)
        if before is None or record.state != before.state:
            tags = {**record.tags, _STATE: record.state}
            if record.state == RUNNING:
                self._client.update_run(run, status="RUNNING")
            else:
                status = "FAILED" if record.state == FAILED else "FINISHED"
                self._client.set_terminated(run, status, end_time=round(1000 * record.ended))
            # Last, because it marks the rest as complete.
            self._client.log_batch(run, tags=[RunTag(name, str(value)) for name, value in tags.items()])

    def _create(self, record: Record) -> str:
        tags = {_CANDIDATE: str(record.candidate), _STATE: RUNNING}
        run = self._client.create_run(
            self._experiment, start_time=round(1000 * record.started), tags=tags, run_name=record.label
        )
        self._runs[record.candidate] = run.info.run_id
        return str(run.info.run_id)

    def close(self) -> None:
        """Do nothing: every call is complete when it returns."""


def _metrics(point: Point) -> list[Any]:
    from mlflow.entities import Metric

    values = {**point.metrics, _EPOCH: point.step}
    return [Metric(name, value, round(1000 * point.time), point.step) for name, value in values.items()]
