"""Weights & Biases: a run per candidate, grouped by search; offline unless WANDB_MODE sets another mode.

An offline run cannot be extended, so it is written when its candidate is decided or the tracker is closed; undecided
candidates are written again later. An online run continues from the state on the server.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from resnet_search.files import append_line, make_folder, read_lines, remove
from resnet_search.spaces.space import SearchSpace
from resnet_search.trackers.contract import FAILED, RUNNING, Record, Search, Stored

MODE, OFFLINE = "WANDB_MODE", "offline"
PROJECT = "resnet-search"
# The candidates that are written, one per line, because W&B's offline files are not made to be read.
LEDGER = "written.jsonl"


def open_store(search: Search, place: Path, space: SearchSpace | None) -> Wandb:
    """Return the folder of a run; W&B chooses this name and takes the parent folder."""
    del space
    make_folder(place)
    return Wandb(search, place, os.environ.get(MODE) or OFFLINE)


class Wandb:
    """`trackers.contract.Tracker`."""

    def __init__(self, search: Search, place: Path, mode: str) -> None:
        self._search, self._place, self._mode = search, place, mode
        self._open: dict[int, Any] = {}
        self._undecided: dict[int, Record] = {}

    def stored(self) -> dict[int, Stored]:
        lines = read_lines(self._place / LEDGER)
        return {
            line["candidate"]: Stored(line["epoch"], line["state"]) for line in lines if line["run"] == self._search.key
        }

    def write(self, record: Record, before: Stored | None) -> None:
        ended = record.state != RUNNING
        if self._mode == OFFLINE:
            self._undecided[record.candidate] = record
            if ended:
                self._write_whole(record)
                del self._undecided[record.candidate]
        else:
            if record.candidate not in self._open:
                self._open[record.candidate] = self._begin(record)
            run = self._open[record.candidate]
            self._log(run, record, before.step if before else 0)
            if ended:
                self._end(run, record)
                del self._open[record.candidate]
        if ended:
            last = record.curve[-1].step if record.curve else 0
            line = {"run": self._search.key, "candidate": record.candidate, "epoch": last, "state": record.state}
            append_line(self._place / LEDGER, line)

    def _write_whole(self, record: Record) -> None:
        for old in self._place.glob(f"offline-run-*-{self._id(record)}"):
            remove(old)
        run = self._begin(record)
        self._log(run, record, 0)
        self._end(run, record)

    def _id(self, record: Record) -> str:
        return f"{self._search.key}-{record.candidate:04d}"

    def _begin(self, record: Record) -> Any:
        import wandb

        return wandb.init(
            project=os.environ.get("WANDB_PROJECT", PROJECT),
            dir=str(self._place.parent),
            id=self._id(record),
            name=record.label,
            group=self._search.name,
            config={**record.config, **{f"search_{key}": value for key, value in self._search.tags.items()}},
            mode=self._mode,  # type: ignore[arg-type, unused-ignore]
            resume=None if self._mode == OFFLINE else "allow",
            reinit="create_new",
            settings=wandb.Settings(
                console="off",
                silent=True,
                disable_git=True,
                disable_code=True,
                x_disable_stats=True,
                x_save_requirements=False,
            ),
        )

    def _log(self, run: Any, record: Record, after: int) -> None:
        first = max(after + 1, int(run.step))
        for point in record.curve:
            if point.step >= first:
                run.log(point.metrics, step=point.step)

    def _end(self, run: Any, record: Record) -> None:
        run.config.update({**record.tags, "state": record.state}, allow_val_change=True)
        run.finish(exit_code=1 if record.state == FAILED else 0)

    def close(self) -> None:
        for record in self._undecided.values():
            self._write_whole(record)
        for run in self._open.values():
            run.finish()
        wandb = sys.modules.get("wandb")
        if wandb is not None:
            wandb.teardown()  # W&B's own process writes some files after a run has finished.
