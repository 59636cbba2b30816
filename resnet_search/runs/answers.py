"""Which validation images a trial's scored weights classify correctly: one bit an image, in the trial's folder."""

from __future__ import annotations

from resnet_search.runs.trials import RunView, Trial
from resnet_search.training.job import ANSWERS


def answers_of(view: RunView, trial: Trial) -> int | None:
    """Return the bits as a number, image i being bit i; None if they are missing or do not give the trial's score."""
    images = int(view.content["data"]["validation"])
    path = view.folder.trial(view.holder(trial).trial) / ANSWERS
    try:
        # A trial that reuses a longer training has the score of an earlier epoch.
        if view.holder(trial).epochs != trial.epochs or path.stat().st_size != (images + 7) // 8:
            return None
        bits = int.from_bytes(path.read_bytes(), "little")
    except OSError:
        return None
    score = trial.score
    return bits if score is not None and 0 <= score <= 1 and bits.bit_count() == round(score * images) else None
