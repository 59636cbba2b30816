"""The single measurement on test images, of a final network's SavedModel; the ledger records it before the read."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from resnet_search.errors import RunError
from resnet_search.export.evaluate import measure, probabilities_of
from resnet_search.files import write_json
from resnet_search.report.facts import Tested, known_test
from resnet_search.runs.after import TESTED, note_read
from resnet_search.runs.trials import RunView, Trial
from resnet_search.search.images import load_again
from resnet_search.spaces.space import SearchSpace
from resnet_search.training.datasets import fingerprint
from resnet_search.workers.quiet import quiet_stderr


def measure_once(view: RunView, trial: Trial, saved_model: Path) -> Tested | None:
    """Measure a trial's SavedModel on the test images, only once: a second call returns the first result.

    None if the data set has no test images. `RunError` if the images changed since the run started.
    """
    before = known_test(view)
    if before is not None and before.trial == trial.trial:
        return before
    data = view.content["data"]
    if not data["test"]:
        return None
    note_read(view, command=sys.argv, network=trial.name, images=int(data["test"]))
    space = SearchSpace.from_dict(view.content["space"])
    with quiet_stderr():
        images = load_again(data, space)
    if fingerprint(images) != data["fingerprint"]:
        raise RunError(
            f"{view.folder.path}: the images of {data['location'] or data['source']} changed since the run started",
            "Restore the original images; nothing was measured.",
        )
    probabilities = probabilities_of(saved_model, images.x_test)
    found = Tested(trial.trial, round(time.time(), 3), measure(probabilities, images.y_test, images.classes))
    content = {"trial": found.trial, "time": found.time, "measured": found.measured.to_dict()}
    write_json(view.folder.path / TESTED, content)
    return found
