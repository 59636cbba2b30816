"""The facts of a run that documents and screens state: sizes, reads of the test images, what followed the search.

One typed record, read once for a document, so that no two sentences of it can disagree.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from resnet_search.report.confirmed import Confirmation, confirmation
from resnet_search.report.kind import is_final
from resnet_search.report.learning import Learning, learning
from resnet_search.report.measured import Measured
from resnet_search.report.units import counted
from resnet_search.runs.after import CONFIRM, FINAL, following, reads_of_test_images, root, tested
from resnet_search.runs.trials import COMPLETED, RunView, Trial, read_run

CONFIRMED, WINNER, OTHER = "confirmed", "winner", "other"


@dataclass(frozen=True, slots=True)
class Tested:
    """A measurement on the test images, with the trial whose network was measured; `time` in seconds since 1970."""

    trial: str
    time: float
    measured: Measured


@dataclass(frozen=True, slots=True, kw_only=True)
class Duplicates:
    """Images of a source with the same pixels: test images that equal a training image, and training images that
    equal another one, in `groups` groups; `several_classes` of these have images of different classes.

    `grouped`: whether the split kept equal images together.
    """

    test_in_train: int = 0
    train: int = 0
    groups: int = 0
    several_classes: int = 0
    grouped: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Again:
    """A confirmation of a search. `outdated`: why it is not one of the search as it is now; empty if it is."""

    found: Confirmation
    outdated: str

    @property
    def counts(self) -> bool:
        """Return whether its best candidate is that of the search."""
        return self.found.finished and not self.outdated and self.found.best is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Full:
    """A network trained on training and validation images together. `source`: its trial in the search.

    `role`: whether that is the best of the confirmation, the winner of the search, or another trial, as of now.
    `outdated`: as in `Again`.
    """

    run: RunView
    source: Trial
    role: str
    outdated: str
    tested: Tested | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """`reads`: of the test images, by the run and the runs that followed it. `early`: those before the run's last
    training ended, so that a choice may have followed them. `tested`: of the run's own network.
    """

    merged: bool
    train: int
    validation: int
    test: int
    reads: tuple[Mapping[str, Any], ...]
    early: int
    tested: Tested | None
    duplicates: Duplicates
    confirmed: Again | None
    full: Full | None
    learning: Learning

    @property
    def times(self) -> str:
        """Say how often the test images were read: "not read", "read once", "read 3 times"."""
        return times_read(len(self.reads))

    @property
    def best(self) -> str | None:
        """Return the trial that the confirmation finds the best; None without a confirmation that counts."""
        again = self.confirmed
        return again.found.best.trial if again is not None and again.counts and again.found.best is not None else None


def times_read(reads: int) -> str:
    """Return "not read", "read once" or "read 3 times"."""
    return "not read" if reads == 0 else "read once" if reads == 1 else f"read {reads:,} times"


def facts_of(view: RunView) -> Facts:
    """Read the facts of a run, finished or not."""
    data = view.content["data"]
    reads = reads_of_test_images(view)
    again, final = following(view.folder, CONFIRM), following(view.folder, FINAL)
    confirmed = None if again is None else _again(view, again)
    return Facts(
        merged=is_final(view),
        train=int(data["train"]),
        validation=int(data["validation"]),
        test=int(data["test"]),
        reads=tuple(reads),
        early=sum(float(read["time"]) < _search_end(view) for read in reads),
        tested=known_test(view),
        duplicates=duplicates_of(data),
        confirmed=confirmed,
        full=None if final is None else _full(view, final, confirmed),
        learning=learning(view),
    )


def known_test(view: RunView) -> Tested | None:
    """Return a run's measurement on the test images; None if there is none, or the file is damaged."""
    found = tested(view)
    try:
        if found:
            return Tested(str(found["trial"]), float(found["time"]), Measured.from_dict(found["measured"]))
    except (LookupError, TypeError, ValueError, AttributeError):
        pass
    return None


def duplicates_of(data: Mapping[str, Any]) -> Duplicates:
    """Return the equal images of a data set; zeros for a run that did not look for them."""
    found = data.get("duplicates")
    values = found if isinstance(found, Mapping) else {}
    numbers = {name: values.get(name) for name in ("test_in_train", "train", "groups", "several_classes")}
    known = {name: number for name, number in numbers.items() if isinstance(number, int)}
    return Duplicates(**known, grouped=bool(data.get("grouped")))


def confirmed_of(view: RunView) -> Again | None:
    """Return the confirmation of a run; None if there is none."""
    again = following(view.folder, CONFIRM)
    return None if again is None else _again(view, again)


def _search_end(view: RunView) -> float:
    """Return when the last trial of the search ended, also for a run that follows from it; seconds since 1970."""
    if view.content.get("of"):
        view = read_run(root(view))
    return max((trial.ended or 0.0 for trial in view.trials.values() if trial.status == COMPLETED), default=0.0)


def _again(view: RunView, again: RunView) -> Again:
    chosen = [view.trials[trial] for trial in again.content["of"]["trials"]]
    return Again(found=confirmation(view, again), outdated=_outdated(view, again, chosen))


def _outdated(view: RunView, after: RunView, chosen: Sequence[Trial]) -> str:
    """Say that a search has trained more since its trials were chosen, and has other best candidates now."""
    if view.winner is None or view.completed <= after.content["of"].get("completed", view.completed):
        return ""
    now = view.ranking()[: len(chosen)]
    same = {trial.candidate for trial in chosen} == {trial.candidate for trial in now}
    longest = max(trial.epochs for trial in chosen)
    if same and longest == view.max_epochs:
        return ""
    longer = f" to {counted(view.max_epochs, 'epoch')}" if longest < view.max_epochs else ""
    return f"The search was extended{longer} after this; its best is now trial {view.winner.trial}, {view.winner.name}."


def _full(view: RunView, final: RunView, confirmed: Again | None) -> Full:
    source = view.trials[final.content["of"]["trials"][0]]
    best = confirmed.found.best if confirmed is not None and confirmed.counts else None
    role = OTHER
    if view.leader is not None and source.candidate == view.leader.candidate:
        role = WINNER
    if best is not None and view.trials[best.trial].candidate == source.candidate:
        role = CONFIRMED
    return Full(
        run=final,
        source=source,
        role=role,
        outdated=_outdated(view, final, [source]),
        tested=known_test(final),
    )
