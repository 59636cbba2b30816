"""The ledger: epochs, hours and energy that the search spent, and saved over training every candidate in full."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from resnet_search.report.course import epochs_done, epochs_on_disk, full_seconds
from resnet_search.report.document import Block, Code, Paragraph, Section, Strong, Table, Text
from resnet_search.report.kind import is_single
from resnet_search.report.units import duration, energy
from resnet_search.runs.energy import used
from resnet_search.runs.trials import COMPLETED, FAILED, RunView
from resnet_search.training.length import in_total

# Assumed where nothing was measured: a server processor under load with memory and power supply (250 W for 32 cores is
# 8 W a core), and a training GPU's board.
WATTS_PER_THREAD, WATTS_PER_GPU = 10.0, 300.0


@dataclass(frozen=True, slots=True)
class Ledger:
    """`seconds`: training and preparing, summed over workers. `joules`: all sessions. `measured`: the counters used."""

    epochs: float
    seconds: float
    joules: float
    measured: tuple[str, ...]
    full_epochs: int
    full_seconds: float

    @property
    def full_joules(self) -> float:
        """Return the energy of full training at the power of this run."""
        return self.joules / self.seconds * self.full_seconds if self.seconds else 0.0


def ledger_of(view: RunView) -> Ledger:
    """Return what a run has spent so far, and what full training of its candidates would cost, each at its speed."""
    trials = list(view.trials.values())
    completed = [trial for trial in trials if trial.status == COMPLETED]
    lost = in_total(epochs_on_disk(view, trial) for trial in trials if trial.status == FAILED)
    seconds = sum(trial.train_seconds + trial.setup_seconds for trial in completed)
    counters = used(view.folder)
    candidates = {trial.candidate for trial in completed}
    return Ledger(
        epochs=in_total((epochs_done(view), lost)),
        seconds=seconds,
        joules=sum(counters.values()) if counters else _assumed_watts(view) * seconds,
        measured=tuple(sorted(counters)),
        full_epochs=len(candidates) * view.max_epochs,
        full_seconds=full_seconds(completed, view.max_epochs),
    )


def _assumed_watts(view: RunView) -> float:
    """Return the assumed power of one worker."""
    workers = view.content["workers"]
    if _on_gpu(view):
        return WATTS_PER_GPU
    return WATTS_PER_THREAD * int(workers.get("threads", 1))


def _on_gpu(view: RunView) -> bool:
    return "gpu" in str(view.content["workers"].get("device", "")).lower()


def ledger(view: RunView) -> tuple[Section, ...]:
    """Return the section of the ledger; nothing before the first training. A single network saves nothing."""
    found = ledger_of(view)
    if not found.seconds:
        return ()
    largest = max(found.joules, found.full_joules)
    rows: list[tuple[Text, ...]] = [
        _row("Epochs of training", found.epochs, found.full_epochs, lambda value: f"{value:,.0f}"),
        _row("Time of all workers", found.seconds, found.full_seconds, duration),
        _row("Energy", found.joules, found.full_joules, lambda joules: energy(joules, largest)),
    ]
    blocks: list[Block] = []
    if is_single(view):
        blocks.append(Table(("", ""), tuple((name, spent) for name, spent, *_ in rows)))
    else:
        header = ("Cost", "This run", "Every candidate in full", "Saved")
        blocks.append(Table(header, tuple(rows), right=frozenset({1, 2, 3})))
        blocks.append(
            Paragraph(
                '"In full" is an estimate: every candidate of this run trained for all epochs at its measured speed. '
                "Nobody would run such a search."
            )
        )
    return (Section("The ledger", (*blocks, Paragraph(_energy_words(view, found)))),)


def _row(name: str, spent: float, full: float, write: Callable[[float], str]) -> tuple[Text, ...]:
    saved = f"{write(full - spent)} ({1 - spent / full:.0%})" if full > spent else "nothing"
    return (name, write(spent), write(full), saved)


def _energy_words(view: RunView, found: Ledger) -> Text:
    if found.measured:
        return (
            Strong("Energy is measured"),
            " by the hardware's counters (",
            Code(", ".join(found.measured)),
            "). It includes other programs that ran at the same time; memory, disks and power supply come on top.",
        )
    what = (
        f"{WATTS_PER_GPU:.0f} W for each worker's GPU"
        if _on_gpu(view)
        else f"{WATTS_PER_THREAD:.0f} W for each thread of a worker"
    )
    return (
        Strong("Energy is an estimate"),
        f": {what} while it trained or prepared a trial. The hardware's counters were missing or not readable.",
    )
