"""Report what followed a search: its confirmation, its final network, and the reads of the test images."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from resnet_search.report.confirmed import confirmation, confirmed
from resnet_search.report.document import Code, Paragraph, Section, Table
from resnet_search.report.measured import Measured
from resnet_search.report.tested import interval, ledger, on_test_images
from resnet_search.report.units import counted, percent
from resnet_search.runs.after import CONFIRM, FINAL, following, reads_of_test_images, tested
from resnet_search.runs.trials import RunView


@dataclass(frozen=True, slots=True)
class Tested:
    """A measurement on the test images, with the trial whose network was measured; `time` in seconds since 1970."""

    trial: str
    time: float
    measured: Measured


def known_test(view: RunView) -> Tested | None:
    """Return a run's measurement on the test images; None if there is none, or the file is damaged."""
    found = tested(view)
    try:
        if found:
            return Tested(str(found["trial"]), float(found["time"]), Measured.from_dict(found["measured"]))
    except (LookupError, TypeError, ValueError, AttributeError):
        pass
    return None


def reads(view: RunView) -> Section:
    """List every read of the test images, by the run and by the runs that followed it."""
    return ledger(reads_of_test_images(view))


def followed(view: RunView) -> Iterator[Section]:
    """Yield the sections on the test images, on the confirmation and on the final network, where they exist."""
    own = known_test(view)
    if own is not None:
        yield from on_test_images(own.measured)
    again, final = following(view.folder, CONFIRM), following(view.folder, FINAL)
    if again is not None:
        yield confirmed(confirmation(view, again))
    if final is not None:
        yield _final(final)


def _final(final: RunView) -> Section:
    """Describe the network that was trained on all images, with its test accuracy."""
    chosen = final.leader
    how = f"trained from scratch on training and validation images together, for {counted(final.max_epochs, 'epoch')}"
    recipe = Code(str(final.content["recipe"]["name"]))
    told = Paragraph((f"The best candidate, {how} with recipe ", recipe, ". Its report: ", Code("final/export"), "."))
    known = known_test(final)
    if chosen is None or known is None:
        done = "Its training is not finished yet." if final.state != "finished" else "It was not measured."
        return Section("Trained in full", (told, Paragraph(done)))
    measured = known.measured
    rows = [("Top-1 accuracy on the test images", percent(measured.top1.value), interval(measured.top1))]
    if measured.top5 is not None:
        rows.append(("Top-5 accuracy", percent(measured.top5.value), interval(measured.top5)))
    error = measured.calibration.error
    rows.append(("Expected calibration error", percent(error.value), interval(error)))
    header = (Code(chosen.name), "Value", "95 % interval")
    return Section("Trained in full", (told, Table(header, tuple(rows), right=frozenset({1, 2}))))
