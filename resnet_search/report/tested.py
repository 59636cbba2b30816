"""Report a network's accuracy on the test images, and how often the test images were read."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from resnet_search.report.document import Block, Bullets, Code, Paragraph, Section, Strong, Table, Text
from resnet_search.report.facts import Duplicates, Facts
from resnet_search.report.learning import measured_at_chance
from resnet_search.report.measured import Calibration, Estimate, Measured
from resnet_search.report.units import counted, moment, percent, spread

_MATRIX = 20  # classes up to which a confusion matrix can be read
_ROWS = 20  # most confused pairs, and least accurate classes if there are more than _MATRIX


def on_test_images(measured: Measured, duplicates: Duplicates) -> tuple[Section, ...]:
    """Return the sections on the measurements. `duplicates`: equal images in the source."""
    of = counted(measured.images, "test image")
    rows = [("Top-1 accuracy", *_cells(measured.top1))]
    if measured.top5 is not None:
        rows.append(("Top-5 accuracy", *_cells(measured.top5)))
    rows.append(("Expected calibration error", *_cells(measured.calibration.error)))
    told = (
        f"Measured on {of}. The intervals cover the choice of these images (shares: Wilson; calibration: bootstrap), "
        "but not another seed of the training."
    )
    return (
        Section(
            "Accuracy on the test images",
            (
                Paragraph(told),
                Table(("", "Value", "95 % interval"), tuple(rows), right=frozenset({1, 2})),
                *map(Paragraph, filter(None, (also_trained_on(duplicates), measured_at_chance(measured)))),
            ),
        ),
        Section("Accuracy by class", tuple(_by_class(measured))),
        Section("Confusions", tuple(_confusion(measured))),
        Section("Calibration", tuple(_calibration(measured.calibration))),
    )


def also_trained_on(duplicates: Duplicates) -> str:
    """Say how many test images equal a training image, and what that does to a test accuracy; empty if none do."""
    same = duplicates.test_in_train
    if not same:
        return ""
    return (
        f"{counted(same, 'test image')} {'equals' if same == 1 else 'equal'} a training image, so the test accuracy "
        "is too high for new images."
    )


def seen_in_training(duplicates: Duplicates) -> str:
    """Say the same within a sentence about test images."""
    same = duplicates.test_in_train
    return f", of which {same:,} {'equals' if same == 1 else 'equal'} a training image," if same else ""


def interval(estimate: Estimate) -> str:
    """Return both ends, in percent."""
    return spread(estimate.low, estimate.high)


def _cells(estimate: Estimate) -> tuple[str, str]:
    return percent(estimate.value), interval(estimate)


def _by_class(measured: Measured) -> Iterator[Block]:
    """List the classes, the least accurate first."""
    known = [(at, estimate) for at, estimate in enumerate(measured.per_class) if estimate is not None]
    known.sort(key=lambda pair: pair[1].value)
    shown = known if len(known) <= _MATRIX else known[:_ROWS]
    of = "" if len(shown) == len(known) else f"These are the {len(shown)} least accurate of {len(known):,} classes. "
    rows = []
    for at, estimate in shown:
        row = measured.confusion[at]
        rows.append((Code(measured.classes[at]), f"{sum(row):,}", *_cells(estimate), _mostly(measured, at)))
    yield Paragraph(
        f"{of}Each interval covers one class: about one in twenty misses the true value, so the order of classes with "
        "overlapping intervals means little."
    )
    header = ("Class", "Images", "Right", "95 % interval", "Most often confused with")
    yield Table(header, tuple(rows), right=frozenset({1, 2, 3}))
    absent = [Code(measured.classes[at]) for at, estimate in enumerate(measured.per_class) if estimate is None]
    if absent:
        yield Paragraph("There was no image of these classes:")
        yield Bullets(tuple(absent[:_ROWS]))


def _mostly(measured: Measured, at: int) -> Text:
    """Return the class that a class is most often confused with."""
    wrong = [(images, -other) for other, images in enumerate(measured.confusion[at]) if other != at and images]
    if not wrong:
        return ""
    images, other = max(wrong)
    return Code(measured.classes[-other]), f" ({images:,})"


def _confusion(measured: Measured) -> Iterator[Block]:
    if len(measured.classes) <= _MATRIX:
        names = tuple(map(Code, measured.classes))
        rows = tuple(
            (name, *(Strong(f"{images:,}") if at == other else f"{images:,}" for other, images in enumerate(row)))
            for at, (name, row) in enumerate(zip(names, measured.confusion, strict=True))
        )
        yield Paragraph("Each row is the true class, each column the predicted class.")
        yield Table(("", *names), rows, right=frozenset(range(1, len(names) + 1)))
        return
    pairs = [
        (images, at, other)
        for at, row in enumerate(measured.confusion)
        for other, images in enumerate(row)
        if images and at != other
    ]
    pairs.sort(key=lambda pair: (-pair[0], pair[1:]))
    if not pairs:
        yield Paragraph("Every image was classified correctly.")
        return
    yield Paragraph(f"The most frequent of {counted(len(pairs), 'confusion')}.")
    shown = tuple(
        (Code(measured.classes[at]), Code(measured.classes[other]), f"{images:,}", f"{sum(measured.confusion[at]):,}")
        for images, at, other in pairs[:_ROWS]
    )
    yield Table(("True class", "Predicted", "Images", "Images of the class"), shown, right=frozenset({2, 3}))


def _calibration(found: Calibration) -> Iterator[Block]:
    error, held = percent(found.error.value), sum(part.images for part in found.bins)
    more = sum(part.images * (part.confidence - part.accuracy.value) for part in found.bins) / held
    leaning = "overconfident" if more > 0 else "underconfident"
    verdict = (
        "no more than a perfectly calibrated network would show by chance"
        if found.error.value <= found.chance
        else f"more than chance; overall the network is {leaning} by {abs(more) * 100:.2f} percentage points"
    )
    yield Paragraph(
        f"Of the images with 80 % confidence, 80 % should be right. The expected calibration error (Guo et al. 2017, "
        f"15 bins) is {error}, 95 % interval {interval(found.error)}. A perfectly calibrated network would stay below "
        f"{percent(found.chance)} in 95 of 100 such samples: this error is {verdict}."
    )
    rows = tuple(
        (
            f"{part.low * 100:.0f} to {part.high * 100:.0f} %",
            f"{part.images:,}",
            percent(part.confidence),
            *_cells(part.accuracy),
        )
        for part in found.bins
    )
    yield Table(("Confidence", "Images", "Mean confidence", "Right", "95 % interval"), rows, right=frozenset(range(5)))


def ledger(facts: Facts) -> Section:
    """List every read of the test images: its time, command and network."""
    title, reads = "Reads of the test images", facts.reads
    if not reads:
        return Section(title, (Paragraph("The test images were never read: no number here comes from them."),))
    rows = tuple(
        (
            moment(float(read["time"])),
            Code(shlex.join(map(str, read["command"]))),
            Code(str(read["network"])),
            f"{int(read['images']):,}",
        )
        for read in reads
    )
    told = f"The test images were {facts.times}. {unbiased(facts)}"
    return Section(title, (Paragraph(told), Table(("When", "By", "Network", "Images"), rows, right=frozenset({3}))))


def unbiased(facts: Facts) -> str:
    """Say whether test accuracy is unbiased, and why if it is not."""
    reasons = []
    if facts.early:
        when = "this" if len(facts.reads) == 1 else f"{facts.early:,} of these reads"
        reasons.append(f"{when} happened before the search ended, so later choices may depend on the test images")
    elif len(facts.reads) > 1:
        reasons.append("they were read several times, and the best of several results is optimistic")
    if facts.duplicates.test_in_train:
        reasons.append(also_trained_on(facts.duplicates).removesuffix("."))
    if reasons:
        return f"Test accuracy is not unbiased here: {'; '.join(reasons)}."
    return (
        "Test accuracy is unbiased as long as you choose nothing by it. If you continue the search after seeing it, "
        "the test images become validation images."
    )
