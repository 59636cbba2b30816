"""What lies between a trial's end and the next one's first step, in epochs of that next trial.

    python benchmarks/trial_gap.py RUN... [--runs runs]

Reads finished runs; trains nothing. A gap is the time from the last result before a trial was created to its creation,
and what the worker spent on it outside its epochs: building and loading before, writing behind. Tracing and compiling
happen within the first step, so they are not in it: they are what a first epoch takes beyond its candidate's later
ones, given beside it. Of candidates that trained two epochs or more, since an epoch without tracing is known of these
alone.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from resnet_search.files import read_lines
from resnet_search.runs.events import read_events
from resnet_search.runs.trial import COMPLETED
from resnet_search.runs.trials import open_run
from resnet_search.training.job import HISTORY


@dataclass(frozen=True)
class Gap:
    """Seconds around a trial; `epoch` is one of its candidate without tracing."""

    name: str
    promotion: bool
    wait: float
    setup: float
    tracing: float
    epoch: float

    @property
    def share(self) -> float:
        """Of a trial of one epoch."""
        return (self.wait + self.setup) / self.epoch


def gaps_of(run: str, runs: Path) -> list[Gap]:
    """The gap before each trial of a run but its first ones, which nothing ended before."""
    view = open_run(run, runs)
    waits: dict[str, float] = {}
    ended = None
    for event in read_events(view.folder.events):
        if event["event"] == "completed":
            ended = event["time"]
        elif event["event"] == "created" and ended is not None:
            waits[event["trial"]] = event["time"] - ended
    trained = [trial for trial in view.trials.values() if trial.status == COMPLETED and not trial.reused]
    first: dict[str, float] = {}
    later: dict[int, list[float]] = defaultdict(list)
    for trial in trained:
        lines = read_lines(view.folder.trial(trial.trial) / HISTORY)
        first[trial.trial], *others = [line["train_seconds"] + line["validation_seconds"] for line in lines]
        later[trial.candidate] += others
    return [
        Gap(
            trial.name, trial.initial_epoch > 0, waits[trial.trial], trial.setup_seconds,
            first[trial.trial] - median(later[trial.candidate]), median(later[trial.candidate]),
        )
        for trial in trained
        if trial.trial in waits and later[trial.candidate]
    ]  # fmt: skip


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", nargs="+")
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    ARGUMENTS = parser.parse_args()
    found = [gap for run in ARGUMENTS.run for gap in gaps_of(run, ARGUMENTS.runs)]
    print(f"{'network':24} {'kind':10} {'wait':>6} {'set-up':>7} {'tracing':>8} {'epoch':>6}  share of an epoch")
    for gap in sorted(found, key=lambda gap: gap.epoch):
        kind = "promotion" if gap.promotion else "draw"
        print(
            f"{gap.name:24} {kind:10} {gap.wait:6.3f} {gap.setup:7.2f} {gap.tracing:8.2f} {gap.epoch:6.2f}  "
            f"{gap.share:.1%}"
        )
    for kind, chosen in (("draws", False), ("promotions", True)):
        shares = [gap.share for gap in found if gap.promotion is chosen]
        if shares:
            print(f"{kind}: median {median(shares):.1%}, {min(shares):.1%} to {max(shares):.1%} (n = {len(shares)})")
