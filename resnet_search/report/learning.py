"""Whether a run has learnt anything: its best score against the score of guessing."""

from __future__ import annotations

from dataclasses import dataclass

from resnet_search.report.kind import is_final, is_single
from resnet_search.report.measured import Measured
from resnet_search.report.significance import LEVEL, above
from resnet_search.report.units import counted, percent
from resnet_search.runs.after import CONFIRM, FINAL, following, tested
from resnet_search.runs.trials import COMPLETED, RunView, Trial

CURES = (
    "Check that the images show what their classes say and that their values are read in the right range; then train "
    "longer (--max-epochs), in smaller batches, or with another learning rate."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Learning:
    """The best score of `networks` trained networks on `images` images, and the score of guessing, `chance`.

    `chance` is 1 / classes, or the share of the most frequent class if that is larger. `p`: that of the exact binomial
    test that the best is right more often than `chance`, corrected for the number of networks (Bonferroni); None if
    there is no score on images that the networks were not trained on. `later`: whether a confirmation or the test
    images have shown since that a network of the run is better than chance.
    """

    chance: float
    classes: int
    images: int
    networks: int
    best: float | None
    p: float | None
    later: bool = False

    @property
    def nothing(self) -> bool:
        """Return whether there is a score and no network was shown to be better than chance."""
        return self.p is not None and self.p > LEVEL and not self.later

    @property
    def of_chance(self) -> str:
        """Say what chance is: "chance, 10.00 % with 10 classes"."""
        why = f"with {counted(self.classes, 'class')}" if self.classes == 1 else f"with {self.classes:,} classes"
        if self.chance > 1 / max(1, self.classes):
            why = "the share of the most frequent class"
        return f"chance, {percent(self.chance)} ({why})"

    @property
    def words(self) -> str:
        """State that no network was shown to have learnt anything, and name the test."""
        what = "the network is right" if self.networks == 1 else f"the best of {self.networks:,} networks is right"
        corrected = "" if self.networks == 1 else f", corrected for {self.networks:,} networks"
        return (
            f"No network was shown to have learnt anything: {what} on {percent(self.best)} of "
            f"{counted(self.images, 'validation image')}, not significantly more than {self.of_chance}, by the exact "
            f"binomial test at 5 %{corrected}."
        )


def learning(view: RunView) -> Learning:
    """Compare the best completed trial of a run, after any number of epochs, with chance."""
    completed = [trial for trial in view.trials.values() if trial.status == COMPLETED]
    best = max((trial.score for trial in completed if trial.score is not None), default=None)
    networks = 1 if is_single(view) else max(1, sum(not trial.reused for trial in completed))
    p = None if best is None else _p(view, best)
    return Learning(
        chance=chance_of(view),
        classes=len(view.content["data"]["classes"]),
        images=0 if p is None else int(view.content["data"]["validation"]),
        networks=networks,
        best=best,
        p=None if p is None else min(1.0, networks * p),
        later=_shown_later(view),
    )


def _shown_later(view: RunView) -> bool:
    """Return whether the confirmation of a run, or its final network on the test images, is better than chance."""
    again, final = following(view.folder, CONFIRM), following(view.folder, FINAL)
    if again is not None:
        found = learning(again)
        if found.p is not None and not found.nothing:
            return True
    measured = None if final is None else tested(final)
    try:
        return measured is not None and not measured_at_chance(Measured.from_dict(measured["measured"]))
    except (LookupError, TypeError, ValueError, AttributeError):
        return False  # The file is damaged.


def chance_of(view: RunView) -> float:
    """Return the validation accuracy of guessing: that of the most frequent class, where a run recorded it."""
    data = view.content["data"]
    largest = data.get("largest_class")
    return max(1 / max(1, len(data["classes"])), largest if isinstance(largest, float) and largest <= 1 else 0.0)


def at_chance(view: RunView, trial: Trial) -> bool:
    """Return whether a trial's own score is not significantly above chance; never for a final network."""
    p = None if trial.score is None else _p(view, trial.score)
    return p is not None and p > LEVEL


def _p(view: RunView, score: float) -> float | None:
    """Return the p value of a score against chance; None for a final network, and for values that no run has."""
    images = view.content["data"]["validation"]
    if is_final(view) or not isinstance(images, int) or images < 1 or not 0 <= score <= 1:
        return None
    return above(round(score * images), images, chance_of(view))


def measured_at_chance(measured: Measured) -> str:
    """Say that a test accuracy is not significantly above chance; empty if it is."""
    largest = max(map(sum, measured.confusion), default=0) / max(1, measured.images)
    chance = max(1 / max(1, len(measured.classes)), largest)
    if above(round(measured.top1.value * measured.images), measured.images, chance) <= LEVEL:
        return ""
    return (
        f"This is not significantly more than chance, {percent(chance)}, by the exact binomial test at 5 %: these "
        f"images do not show that the network has learnt anything. {CURES}"
    )
