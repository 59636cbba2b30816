"""What a network did on images whose classes are known, and how often the test images have been read."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from resnet_search.report.document import Block, Bullets, Code, Paragraph, Section, Strong, Table, Text
from resnet_search.report.measured import Calibration, Estimate, Measured
from resnet_search.report.units import counted, moment, percent

_MATRIX = 20  # classes up to which a confusion matrix can be read
_ROWS = 20  # of the most confused pairs, and of the least accurate classes where there are more than _MATRIX


def on_test_images(measured: Measured) -> tuple[Section, ...]:
    """The sections about what was measured on them."""
    of = counted(measured.images, "test image")
    rows = [("Top-1 accuracy", *_cells(measured.top1))]
    if measured.top5 is not None:
        rows.append(("Top-5 accuracy", *_cells(measured.top5)))
    rows.append(("Expected calibration error", *_cells(measured.calibration.error)))
    told = (
        f"On {of}. The intervals hold for the choice of these images (shares: Wilson; calibration: bootstrap), not for "
        "another seed of the training."
    )
    return (
        Section(
            "Accuracy on the test images",
            (Paragraph(told), Table(("", "Value", "95 % interval"), tuple(rows), right=frozenset({1, 2}))),
        ),
        Section("Accuracy by class", tuple(_by_class(measured))),
        Section("What is taken for what", tuple(_confusion(measured))),
        Section("Calibration", tuple(_calibration(measured.calibration))),
    )


def interval(estimate: Estimate) -> str:
    """The ends, in percent."""
    return f"{estimate.low * 100:.2f} to {estimate.high * 100:.2f} %"


def _cells(estimate: Estimate) -> tuple[str, str]:
    return percent(estimate.value), interval(estimate)


def _by_class(measured: Measured) -> Iterator[Block]:
    """The classes, the least accurate first."""
    known = [(at, estimate) for at, estimate in enumerate(measured.per_class) if estimate is not None]
    known.sort(key=lambda pair: pair[1].value)
    shown = known if len(known) <= _MATRIX else known[:_ROWS]
    of = "" if len(shown) == len(known) else f"The {len(shown)} least accurate of {len(known):,} classes. "
    rows = []
    for at, estimate in shown:
        row = measured.confusion[at]
        rows.append((Code(measured.classes[at]), f"{sum(row):,}", *_cells(estimate), _mostly(measured, at)))
    yield Paragraph(
        f"{of}Each interval is of its class alone: of twenty, one is expected to miss, so the order of classes whose "
        "intervals overlap says little."
    )
    header = ("Class", "Images", "Right", "95 % interval", "Else mostly taken for")
    yield Table(header, tuple(rows), right=frozenset({1, 2, 3}))
    absent = [Code(measured.classes[at]) for at, estimate in enumerate(measured.per_class) if estimate is None]
    if absent:
        yield Paragraph("Of these classes there was no image:")
        yield Bullets(tuple(absent[:_ROWS]))


def _mostly(measured: Measured, at: int) -> Text:
    """The class that most of the wrong images of a class are taken for."""
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
        yield Paragraph("Each row is a class, each column what its images were taken for.")
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
        yield Paragraph("No image was taken for one of another class.")
        return
    yield Paragraph(f"The most frequent of {counted(len(pairs), 'confusion')}.")
    shown = tuple(
        (Code(measured.classes[at]), Code(measured.classes[other]), f"{images:,}", f"{sum(measured.confusion[at]):,}")
        for images, at, other in pairs[:_ROWS]
    )
    yield Table(("Class", "Taken for", "Images", "Of"), shown, right=frozenset({2, 3}))


def _calibration(found: Calibration) -> Iterator[Block]:
    error, held = percent(found.error.value), sum(part.images for part in found.bins)
    more = sum(part.images * (part.confidence - part.accuracy.value) for part in found.bins) / held
    leaning = "more sure than right" if more > 0 else "more right than sure"
    verdict = (
        "no more than a perfectly calibrated network would show by chance"
        if found.error.value <= found.chance
        else f"more than chance; on the whole it is {leaning}, by {abs(more) * 100:.2f} percentage points"
    )
    yield Paragraph(
        f"Where the network is 80 % sure, 80 % should be right. The expected calibration error (Guo et al. 2017, 15 "
        f"bins) is {error}, 95 % interval {interval(found.error)}. A perfectly calibrated one would stay below "
        f"{percent(found.chance)} in 95 of 100 such samples: this is {verdict}."
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


def ledger(reads: Sequence[Mapping[str, Any]]) -> Section:
    """Every read of the test images: `time` in seconds since 1970, `command` in words, `network`, `images`."""
    title = "Reads of the test images"
    if not reads:
        return Section(title, (Paragraph("The test images were read 0 times: no number here is of them."),))
    times = "once" if len(reads) == 1 else f"{len(reads):,} times"
    told = (
        f"The test images were read {times}. A number of theirs is unbiased as long as nothing is chosen by it; "
        "whoever goes on searching after having seen one makes validation images of them."
    )
    rows = tuple(
        (
            moment(float(read["time"])),
            Code(shlex.join(map(str, read["command"]))),
            Code(str(read["network"])),
            f"{int(read['images']):,}",
        )
        for read in reads
    )
    return Section(title, (Paragraph(told), Table(("When", "By", "Network", "Images"), rows, right=frozenset({3}))))
