"""TensorBoard: a folder of scalars and hyperparameters per candidate, in TensorBoard's own event files.

`tensorboard` writes them without importing TensorFlow.
"""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

from resnet_search.files import append_bytes, make_folder, remove
from resnet_search.spaces.space import SearchSpace
from resnet_search.trackers.contract import COMPLETE, FAILED, PRUNED, RUNNING, Point, Record, Search, Stored

_FOLDER = re.compile(r"candidate-(\d+)")
_STATES = {RUNNING: "STATUS_RUNNING", COMPLETE: "STATUS_SUCCESS", PRUNED: "STATUS_SUCCESS", FAILED: "STATUS_FAILURE"}


def open_store(search: Search, place: Path, space: SearchSpace | None) -> TensorBoard:
    """Open the tracker's folder of a run."""
    # With this module, TensorBoard reads and writes without TensorFlow.
    sys.modules.setdefault("tensorboard.compat.notf", ModuleType("tensorboard.compat.notf"))
    del space  # TensorBoard collects the values itself.
    return TensorBoard(search, place)


class TensorBoard:
    """`trackers.contract.Tracker`: one event file per candidate, appended to; a torn file is written again."""

    def __init__(self, search: Search, place: Path) -> None:
        self._search, self._place = search, place
        make_folder(place)

    def _file(self, folder: Path) -> Path:
        return folder / f"events.out.tfevents.{self._search.started:.0f}.{self._search.key}"

    def _folder(self, candidate: int) -> Path:
        return self._place / f"candidate-{candidate:04d}"

    def stored(self) -> dict[int, Stored]:
        found = {}
        for folder in sorted(self._place.iterdir()):
            match = _FOLDER.fullmatch(folder.name)
            if match and self._file(folder).exists():
                had = _read(self._file(folder))
                if had is None:
                    remove(self._file(folder))
                else:
                    found[int(match[1])] = had
        return found

    def write(self, record: Record, before: Stored | None) -> None:
        folder = self._folder(record.candidate)
        values: list[tuple[float, int, Any]] = []
        if before is None:
            make_folder(folder)
            values.append((record.started, 0, _start(record)))
        news = (point for point in record.curve if before is None or point.step > before.step)
        values += [(point.time, point.step, _scalars(point)) for point in news]
        if record.state != RUNNING and (before is None or before.state == RUNNING):  # Only once.
            values.append((record.ended, 0, _end(record)))
        head = record.started if before is None else None
        append_bytes(self._file(folder), _records(values, head))

    def close(self) -> None:
        """Do nothing: every write is complete."""


def _records(values: Iterable[tuple[float, int, Any]], head: float | None) -> bytes:
    """Return summaries with time and step as the bytes of an event file; `head`: the time at the start of a file."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.summary.writer.record_writer import RecordWriter

    buffer = io.BytesIO()
    writer = RecordWriter(buffer)
    if head is not None:
        writer.write(Event(wall_time=head, file_version="brain.Event:2").SerializeToString())
    for time, step, summary in values:
        writer.write(Event(wall_time=time, step=step, summary=summary).SerializeToString())
    return buffer.getvalue()


def _scalars(point: Point) -> Any:
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.plugins.scalar.metadata import create_summary_metadata
    from tensorboard.util.tensor_util import make_tensor_proto

    return Summary(
        value=[
            Summary.Value(
                tag=name,
                metadata=create_summary_metadata(name, ""),
                tensor=make_tensor_proto(value, dtype="float32", shape=()),
            )
            for name, value in point.metrics.items()
        ]
    )


def _start(record: Record) -> Any:
    from tensorboard.plugins.hparams.summary_v2 import hparams_pb

    return hparams_pb(record.config, trial_id=record.label, start_time_secs=record.started)


def _end(record: Record) -> Any:
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.plugins.hparams import api_pb2, metadata
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData, SessionEndInfo

    status = api_pb2.Status.Value(_STATES[record.state])
    info = HParamsPluginData(session_end_info=SessionEndInfo(status=status, end_time_secs=record.ended))
    value = Summary.Value(
        tag=metadata.SESSION_END_INFO_TAG,
        metadata=metadata.create_summary_metadata(info),
        tensor=metadata.NULL_TENSOR,
    )
    return Summary(value=[value])


def _read(path: Path) -> Stored | None:
    """Return what an event file has of its candidate; None if its end is torn or it is not an event file."""
    from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.plugins.hparams import api_pb2, metadata

    size, epoch, state = 0, 0, RUNNING
    for raw in RawEventFileLoader(str(path)).Load():
        size += len(raw) + _FRAME
        event = Event.FromString(raw)
        epoch = max(epoch, event.step)
        for value in event.summary.value:
            if value.tag == metadata.SESSION_END_INFO_TAG:
                end = metadata.parse_session_end_info_plugin_data(value.metadata.plugin_data.content)
                state = FAILED if end.status == api_pb2.Status.Value("STATUS_FAILURE") else COMPLETE
    return Stored(epoch, state) if size and size == path.stat().st_size else None


_FRAME = 16  # bytes around a record: its length and two checksums
