"""Report exported files: how they were verified, how long they take, and the cost of an ensemble."""

from __future__ import annotations

from dataclasses import dataclass

from resnet_search.report.document import Block, Code, Paragraph, Section, Table, Text
from resnet_search.report.units import accuracy, counted, large, percent, points, size
from resnet_search.runs.latency import CPU, Latency
from resnet_search.runs.trials import RunView


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """An exported file or folder, reloaded by `runtime` alone and run on `compared` validation images.

    `difference`: the largest difference of a probability from the trained model. `agreement`: the share of images with
    the same most probable class; it should be at least `required`. `accuracy`: the share that is right. `size`: bytes.
    """

    format: str
    name: str
    runtime: str
    size: int
    compared: int
    difference: float
    agreement: float
    required: float
    accuracy: float
    latencies: tuple[Latency, ...]

    @property
    def shortfall(self) -> float:
        """Return by how much the agreement falls short of `required`; 0 if it does not."""
        return max(0.0, self.required - self.agreement)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ensemble:
    """The trials whose probabilities are averaged, the best first, with their total cost.

    `alone`: the latency of the best trial by itself.
    """

    members: tuple[str, ...]
    params: int
    macs: int
    alone: tuple[Latency, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """The verification results of an export.

    `difference`: the largest difference of a probability between the SavedModel and the trained model, over `compared`
    images. `accuracy`: the SavedModel's on all validation images. `size`: bytes of its files. `machine`: where it was
    timed. `trained_on`: whether the network was trained on these images too.
    """

    difference: float
    compared: int
    accuracy: float
    size: int
    files: tuple[File, ...] = ()
    ensemble: Ensemble | None = None
    machine: str = ""
    trained_on: bool = False


def files(exported: Exported) -> tuple[Section, ...]:
    """Make the tables of the files and of their latencies."""
    if not exported.files:
        return ()
    header = ("Format", "File", "Size", "Reloaded by", "Largest difference", "Same class", "Right")
    rows = tuple(
        (
            Code(file.format),
            Code(file.name),
            size(file.size),
            file.runtime,
            f"{file.difference:.1e}",
            percent(file.agreement),
            percent(file.accuracy),
        )
        for file in exported.files
    )
    compared = counted(exported.files[0].compared, "validation image")
    trained_on = "; the network was trained on these images, so expect less on new ones" if exported.trained_on else ""
    told = (
        f"Each file was reloaded in a process with only its runtime and run on {compared}. The table shows the largest "
        "difference of a probability from the trained model, the share of images with the same predicted class, "
        f"and the share that is right{trained_on}."
    )
    blocks: list[Block] = [Paragraph(told), Table(header, rows, right=frozenset({2, 4, 5, 6}))]
    blocks += [Paragraph((Code(file.format), f": {missed(file)}")) for file in exported.files if file.shortfall]
    return (Section("The files", (*blocks, *_times(exported))),)


def missed(file: File) -> str:
    """Return a sentence on how far a file falls short of the required agreement."""
    return (
        f"it predicts the same class for {percent(file.agreement)} of {counted(file.compared, 'image')}, "
        f"{points(file.shortfall)} below the required {percent(file.required, 0)}."
    )


def _times(exported: Exported) -> tuple[Block, ...]:
    rows = tuple(
        (
            Code(file.format),
            "processor" if one.device == CPU else Code(one.device),
            f"{one.batch}",
            f"{one.p50:.3g}",
            f"{one.p99:.3g}",
            f"{one.throughput:,.0f}",
            f"{one.calls:,}",
        )
        for file in exported.files
        for one in file.latencies
    )
    if not rows:
        return ()
    header = ("Format", "On", "Images a call", "p50 (ms)", "p99 (ms)", "Images a second", "Calls")
    return (
        Paragraph(("Latency on this machine, ", Code(exported.machine), f". {METHOD}")),
        Table(header, rows, right=frozenset(range(2, len(header)))),
    )


METHOD = (
    "Calls were timed one after another in that process, from images in memory to probabilities in memory, on all "
    "processors. Timing ran for at least 2 seconds and 10 calls, after a warm-up of at least 0.3 seconds and 3 calls. "
    "Other programs that run at the same time make the numbers larger."
)


def ensemble(view: RunView, exported: Exported) -> tuple[Section, ...]:
    """Compare an ensemble with its best member; nothing if a single network was exported."""
    together = exported.ensemble
    if together is None:
        return ()
    members = [view.trials[member] for member in together.members]
    best, images = members[0], int(view.content["data"]["validation"])
    listed: tuple[tuple[Text, ...], ...] = tuple(
        (Code(one.trial), Code(one.name), percent(one.score), f"{one.params:,}", large(one.macs)) for one in members
    )
    compared: tuple[tuple[Text, ...], ...] = (
        ("Validation accuracy", accuracy(exported.accuracy, images), accuracy(best.score or 0.0, images)),
        ("Parameters, trainable", f"{together.params:,}", f"{best.params:,}"),
        ("Multiply-adds of one image", large(together.macs), large(best.macs)),
        *_ensemble_times(exported, together),
    )
    return (
        Section(
            f"The ensemble of {len(members)}",
            (
                Paragraph(
                    "The exported model is an ensemble: it averages the probabilities of these networks, the best of "
                    "the run in validation accuracy. The validation images chose them, so expect less on new images. "
                    "The other sections describe the best member."
                ),
                Table(("Trial", "Architecture", "Validation accuracy", "Parameters", "Multiply-adds"), listed,
                      right=frozenset({2, 3, 4})),
                Table(("", "Ensemble", "Best member"), compared, right=frozenset({1, 2})),
            ),
        ),
    )  # fmt: skip


def _ensemble_times(exported: Exported, together: Ensemble) -> list[tuple[Text, ...]]:
    alone = {(one.device, one.batch): one for one in together.alone}
    pairs = [
        (one, alone[one.device, one.batch]) for one in exported.files[0].latencies if (one.device, one.batch) in alone
    ]
    return [
        (
            f"A call with {counted(both.batch, 'image')} on the {'processor' if both.device == CPU else 'GPU'}, p50",
            f"{both.p50:.3g} ms",
            f"{one.p50:.3g} ms",
        )
        for both, one in pairs
    ]
