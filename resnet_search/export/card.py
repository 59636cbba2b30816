"""The model card: README.md beside the model."""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Sequence

from resnet_search.export.interface import INPUT, OUTPUT
from resnet_search.export.metadata import UNKNOWN, metadata, metrics_of, source_name, to_yaml
from resnet_search.report.document import Block, Bullets, Code, Document, Fence, Paragraph, Section, Table, Text
from resnet_search.report.exported import Exported, ensemble, files
from resnet_search.report.facts import Facts, facts_of
from resnet_search.report.inputs import equal_images, trained_recipe, validated_on
from resnet_search.report.kind import is_single, origin
from resnet_search.report.learning import at_chance
from resnet_search.report.markdown import to_markdown
from resnet_search.report.measured import Estimate, Measured
from resnet_search.report.statistics import share
from resnet_search.report.tested import also_trained_on, interval, ledger, on_test_images
from resnet_search.report.units import counted, large, moment, percent
from resnet_search.runs.trials import RunView, Trial

# Three lines for each format. NAME is its file.
_USES = {
    "saved_model": f"""import tensorflow as tf
model = tf.saved_model.load("NAME")
probabilities = model.serve(images)["{OUTPUT}"]""",
    "keras": """import keras
model = keras.saving.load_model("NAME")
probabilities = model.predict(images)""",
    "onnx": f"""import onnxruntime
session = onnxruntime.InferenceSession("NAME")
probabilities = session.run(["{OUTPUT}"], {{"{INPUT}": images}})[0]""",
    "litert": f"""from ai_edge_litert.interpreter import Interpreter
runner = Interpreter("NAME").get_signature_runner("serving_default")
probabilities = runner({INPUT}=images)["{OUTPUT}"]""",
}
_USES["litert-int8"] = _USES["litert"]


def card(
    view: RunView,
    members: Sequence[Trial],
    exported: Exported,
    *,
    license_id: str = UNKNOWN,
    measured: Measured | None = None,
    written: float | None = None,
) -> str:
    """Return the text of an export's card; `members`: its trials, the best first, several for an ensemble.

    license_id: from `checked_license`. measured: the measurements of this network on the test images, if they were
    read for it. written: seconds since 1970, by default now; later reads of the test images are not in the card.
    """
    facts = facts_of(view)
    validation = _validation(facts, exported)
    sections = (
        _results(facts, validation, measured),
        _intended(view),
        _limits(view, members, measured, facts),
        _use(view, exported),
        _data(view, facts),
        _training(view, members),
        *ensemble(view, exported),
        *files(exported),
        *(() if measured is None else on_test_images(measured, facts.duplicates)),
        _ledger(facts, time.time() if written is None else written),
        _repeat(view, members),
        _license(license_id),
    )
    name = _name(members)
    block = metadata(
        view,
        name,
        formats=[file.format for file in exported.files],
        license_id=license_id,
        validation=validation,
        measured=measured,
    )
    document = Document(Code(name), (Paragraph(_summary(view, members)),), sections)
    return f"---\n{to_yaml(block)}---\n\n{to_markdown(document)}"


def _name(members: Sequence[Trial]) -> str:
    return members[0].name if len(members) == 1 else f"ensemble of {len(members)} with {members[0].name}"


def _validation(facts: Facts, exported: Exported) -> Estimate | None:
    """Return the validation accuracy; None if the network was trained on the validation images too."""
    if facts.merged or not facts.validation:
        return None
    return share(round(exported.accuracy * facts.validation), facts.validation)


def _summary(view: RunView, members: Sequence[Trial]) -> Text:
    data = view.content["data"]
    height, width, _ = data["image_shape"]
    params, macs = sum(member.params for member in members), sum(member.macs for member in members)
    what = (
        "A residual network"
        if len(members) == 1
        else f"{len(members)} residual networks, whose probabilities are averaged"
    )
    told = (
        f"{what}{_found_by(view)}, for RGB images of {height} x {width} "
        f"pixels in {len(data['classes']):,} classes: {params:,} trainable parameters, {large(macs)} multiply-adds an "
        "image. Made with resnet-search; "
    )
    return told, Code("report.md"), " in this folder describes how."


def _found_by(view: RunView) -> str:
    if origin(view):
        return f", found by architecture search ({origin(view)}) and trained in full"
    return "" if is_single(view) else ", found by architecture search"


def _results(facts: Facts, validation: Estimate | None, measured: Measured | None) -> Section:
    counts = {"test": 0 if measured is None else measured.images, "validation": facts.validation}
    rows = tuple(
        (name, counted(counts[split], f"{split} image"), percent(estimate.value), interval(estimate))
        for split, found in metrics_of(validation, measured)
        for _, estimate, name in found
    )
    blocks: list[Block] = []
    if rows:
        blocks.append(Table(("", "Measured on", "Value", "95 % interval"), rows, right=frozenset({2, 3})))
    if measured is None:
        others = " The reads below measured other networks." if facts.reads else ""
        blocks.append(Paragraph(f"The test accuracy of this network was not measured.{others}"))
    elif facts.duplicates.test_in_train:
        blocks.append(Paragraph(also_trained_on(facts.duplicates)))
    return Section("Results", tuple(blocks))


def _intended(view: RunView) -> Section:
    classes = view.content["data"]["classes"]
    shown = ", ".join(map(str, classes[:_NAMED]))
    more = f" and {len(classes) - _NAMED:,} more" if len(classes) > _NAMED else ""
    return Section(
        "Intended use",
        (
            Paragraph(("Classify images like the training images into these classes: ", Code(shown), f"{more}.")),
            Paragraph(
                "Do not use it for other images or classes, or where an error harms someone, unless you have tested it "
                "for that use on images from that use."
            ),
        ),
    )


_NAMED = 20


def _limits(view: RunView, members: Sequence[Trial], measured: Measured | None, facts: Facts) -> Section:
    data = view.content["data"]
    height, width, _ = data["image_shape"]
    items = [
        "It knows only its own classes: every image gets one, even an image of something else.",
        f"It reads {height} x {width} pixels. Images of another size or shape are stretched to that.",
    ]
    items.append(
        f"It was trained on {counted(int(data['train']), 'image')} from one source. Its accuracy on other images was "
        "not measured, nor was its accuracy on groups of images other than the classes."
    )
    if measured is None:
        items.append("The calibration of its probabilities was not measured.")
    if facts.learning.nothing:
        items.insert(0, facts.learning.words)
    elif any(at_chance(view, member) for member in members):
        items.insert(0, f"Its score is not significantly better than {facts.learning.of_chance}.")
    leader = view.leader
    if not is_single(view) and not facts.merged and leader is not None:
        compared = counted(len(view.ranking()) or 1, "candidate")
        if members[0].trial == leader.trial:
            items.append(
                f"Its validation accuracy is optimistic, because it chose this network among {compared} trained for "
                "all epochs."
            )
        else:
            items.append(f"It is not the best network of its run, which is {leader.name}, trial {leader.trial}.")
    if members[0].epochs < view.max_epochs:
        items.append(f"Its training stopped after {members[0].epochs} of {counted(view.max_epochs, 'epoch')}.")
    return Section("Limits", (Bullets(tuple(items)),))


def _use(view: RunView, exported: Exported) -> Section:
    height, width, colours = view.content["data"]["image_shape"]
    told: Text = (
        "Run this in the folder of this file. ",
        Code(INPUT),
        f" is an array of uint8, (batch, {height}, {width}, {colours}), colours 0 to 255, not normalised. ",
        Code("classes.json"),
        " lists the classes in the order of ",
        Code(OUTPUT),
        ". To classify image files of any size: ",
        Code("resnet-search predict . picture.jpg"),
    )
    blocks: list[Block] = [Paragraph(told)]
    for file in exported.files:
        blocks += [
            Paragraph(("With ", file.runtime, ", ", Code(file.name), ":")),
            Fence("python", _USES[file.format].replace("NAME", file.name)),
        ]
    return Section("How to use it", tuple(blocks))


def _data(view: RunView, facts: Facts) -> Section:
    data = view.content["data"]
    rows: tuple[tuple[Text, Text], ...] = (
        ("Data set", Code(source_name(view))),
        ("Trained on", counted(facts.train, "image")),
        ("Validated on", validated_on(facts)),
        ("Test", f"{counted(facts.test, 'image')}, the test split of the source, {facts.times}"),
        *equal_images(facts),
        ("Seed of the split", f"{view.content['seed']}"),
        ("Fingerprint of all images (SHA-256)", Code(str(data["fingerprint"]))),
    )
    return Section("Data", (Table(("", ""), rows),))


def _training(view: RunView, members: Sequence[Trial]) -> Section:
    blocks: list[Block] = []
    for member in members:
        recipe = trained_recipe(view, member)
        length = f", {counted(member.epochs, 'epoch')} of a schedule of {view.content['horizon']}; all values:"
        blocks += [
            Paragraph((Code(member.name), ", recipe ", Code(str(recipe["name"])), length)),
            Fence("json", json.dumps(recipe, indent=1)),
            Paragraph("Its architecture:"),
            Fence("json", json.dumps(member.architecture, indent=1)),
        ]
    return Section("Training", tuple(blocks))


def _ledger(facts: Facts, written: float) -> Section:
    section = ledger(facts)
    return Section(section.title, (Paragraph(f"As of {moment(written)}, when this card was written:"), *section.blocks))


def _repeat(view: RunView, members: Sequence[Trial]) -> Section:
    chosen = ("--trial", members[0].trial) if len(members) == 1 else ("--ensemble", len(members))
    commands = (
        # Without the program's path on this machine.
        ("resnet-search", *view.content["command"][1:]),
        ("resnet-search", "export", view.folder.name, *chosen),
    )
    versions = ", ".join(f"{name} {version}" for name, version in view.content["versions"].items())
    return Section(
        "How to repeat it",
        (
            Fence("sh", "\n".join(shlex.join(map(str, words)) for words in commands)),
            Paragraph(("Versions: ", Code(versions), ". Space, limits and machine are in ", Code("report.md"), ".")),
        ),
    )


def _license(license_id: str) -> Section:
    if license_id == UNKNOWN:
        told: Text = ("Not stated. ", Code("resnet-search export --license"), " adds it here and to the metadata.")
    else:
        told = (Code(license_id), ", as stated at the export.")
    return Section("License", (Paragraph(told),))
