"""Report the chosen network: its cost, its score, how it was trained, how to use it."""

from __future__ import annotations

import math
from typing import Any

from resnet_search.errors import RunError
from resnet_search.networks.architecture import Architecture
from resnet_search.networks.complexity import complexity
from resnet_search.networks.imagenet import STAGES, source_of
from resnet_search.report.document import Block, Bullets, Code, Fence, Paragraph, Section, Table, Text
from resnet_search.report.exported import Exported
from resnet_search.report.facts import Facts
from resnet_search.report.kind import accuracy_name, is_grid, is_single
from resnet_search.report.units import (
    accuracy_on,
    counted,
    duration,
    large,
    percent,
    size,
    sparkline,
    standard_error,
    thinned,
)
from resnet_search.runs.trials import RunView, Trial

_CURVE_ROWS = 10


def role(view: RunView, trial: Trial) -> str:
    """Return the role of a trial in its run."""
    winner = view.winner
    if is_single(view):
        return "trained network"
    if winner is not None and trial.candidate == winner.candidate and trial.epochs == winner.epochs:
        return ("best" if is_grid(view) else "winner") if view.state == "finished" else "best so far"
    return "best so far" if trial is view.leader else "chosen trial"


def about(view: RunView, trial: Trial, exported: Exported | None) -> Section:
    """Return the table of the network."""
    data = view.content["data"]
    cost = complexity(Architecture.from_dict(trial.architecture), tuple(data["image_shape"]), len(data["classes"]))
    images = int(data["validation"])
    score = trial.score or 0.0
    rows: list[tuple[Text, Text]] = [
        ("Trial", Code(trial.trial)),
        ("Architecture", Code(trial.name)),
        *((f"Axis: {axis}", Code(_value(value))) for axis, value in trial.architecture.items()),
        ("Depth", counted(trial.depth, "layer")),
        ("Parameters, trainable", f"{cost.trainable:,}"),
        ("Parameters, not trainable (batch-norm statistics)", f"{cost.nontrainable:,}"),
        ("Multiply-adds of one image", f"{cost.macs:,} ({large(cost.macs)})"),
        ("Trained for", f"{counted(trial.epochs, 'epoch')} of {view.max_epochs}"),
        ("Recipe", Code(str(view.content["recipe"]["name"]))),
        (
            accuracy_name(view),
            accuracy_on(score, images),
        ),
    ]
    if exported is not None and exported.ensemble is None:
        rows += [
            ("Size of the SavedModel on disk", f"{size(exported.size)} ({exported.size:,} bytes)"),
            ("Accuracy of the reloaded SavedModel on the same images", percent(exported.accuracy)),
            (
                "Largest difference from the trained model",
                f"{exported.difference:.1e} in a probability, over {counted(exported.compared, 'image')}",
            ),
        ]
    rows += _first_weights(view, trial)
    rows += [(f"Recipe of this trial: {key}", Code(_value(value))) for key, value in trial.recipe.items()]
    title = "The network" if is_single(view) else f"The network: {role(view, trial)}"
    return Section(title, (Table(("", ""), tuple(rows)),))


def _first_weights(view: RunView, trial: Trial) -> list[tuple[Text, Text]]:
    """Describe the first weights, if they are not random."""
    recipe = {**view.content["recipe"], **trial.recipe}
    source = source_of(Architecture.from_dict(trial.architecture))
    if recipe.get("init") != "imagenet" or source is None:
        return []
    mean, std = source.normalisation
    frozen = int(recipe["frozen_stages"])
    of = f"the stem and {counted(frozen, 'stage')} of {STAGES}: weights and batch-norm statistics"
    return [
        ("First weights", ("ImageNet weights from keras.applications, ", Code(source.file), "; the head is new")),
        ("Frozen", of if frozen else "nothing"),
        ("Normalised as these weights expect", f"(x - mean) / std, mean {_value(mean)}, std {_value(std)}"),
    ]


def limits_of_the_number(view: RunView, trial: Trial, facts: Facts) -> Section:
    """Describe the limits of the validation accuracy."""
    if facts.merged:
        told = (
            "The network was trained on the validation images, so its accuracy on them says nothing about new images; "
            "its accuracy on the test images does."
        )
        return Section("Limits of this accuracy", (Paragraph(told),))
    images, score = facts.validation, trial.score or 0.0
    items = (
        f"It is not a test accuracy. {_test_images(facts)}",
        _choice(view, trial, score, images),
        _error(score, images),
    )
    return Section("Limits of this accuracy", (Bullets(items),))


def _test_images(facts: Facts) -> str:
    """Say what the test images were used for besides this accuracy."""
    of = counted(facts.test, "test image")
    if not facts.reads:
        return f"The {of} of this data set were only counted and fingerprinted at loading; no number comes from them."
    return f"The {of} of this data set were {facts.times}, for other numbers than this one; each read is listed below."


def _choice(view: RunView, trial: Trial, score: float, images: int) -> str:
    shown = counted(images, "validation image")
    if view.content.get("imported"):
        return (
            f"It is the best score that Keras Tuner recorded for this trial. If the project validated on other images "
            f"than the {shown} that were named at the import, its standard error is another one."
        )
    if is_single(view):
        return (
            f"It was measured after the last epoch on {shown} that played no part in training or in any choice. If you "
            "choose between several runs by it, the best number is optimistic."
        )
    compared = max(1, len(view.ranking()))
    among = (
        f"{counted(compared, 'network')} trained in the same way"
        if is_grid(view)
        else f"{counted(compared, 'candidate')} trained for all epochs and others stopped early"
    )
    if view.content.get("stage"):
        among = f"{counted(len(view.standings()), 'candidate')}, most of which were stopped early"
    if trial is not view.leader:
        return (
            f"It was measured on {shown} that no network was trained on. This network is not the best by it among "
            f"{among}."
        )
    return (
        f"It was measured on {shown} that no network was trained on, but that chose this network among {among}. The "
        f"best of several is optimistic: expect less on new images{_optimism(score, images, compared)}."
    )


def _optimism(score: float, images: int, compared: int) -> str:
    if compared == 1 or not 0 < score < 1:
        return ""
    # Expected largest of N normal deviations is at most sqrt(2 ln N) standard errors.
    bound = standard_error(score, images) * math.sqrt(2 * math.log(compared))
    return f" (the choice among {compared} alone adds up to {bound * 100:.1f} percentage points on average)"


def _error(score: float, images: int) -> str:
    if not 0 < score < 1:
        return (
            f"It has no standard error because all or none of {counted(images, 'image')} are right; on other images it "
            f"could differ by about {min(1.0, 3 / max(images, 1)) * 100:.1f} % (95 % confidence)."
        )
    return (
        f"Its standard error of {standard_error(score, images) * 100:.2f} percentage points covers only the choice of "
        "validation images (binomial). Another seed, with other first weights and another split, adds to it."
    )


def use(view: RunView, trial: Trial, exported: Exported | None) -> Section:
    """Five lines of Python."""
    if exported is None:
        named = "" if trial is view.leader else f" --trial {trial.trial}"
        text = ("This network is not exported yet: ", Code(f"resnet-search export {view.folder.word}{named}"))
        return Section("How to use it", (Paragraph(text),))
    height, width, channels = view.content["data"]["image_shape"]
    lines = (
        "import json, tensorflow as tf",
        'model = tf.saved_model.load("saved_model")',
        f'image = tf.io.decode_image(tf.io.read_file("picture.png"), channels={channels}, expand_animations=False)',
        f"batch = tf.cast(tf.round(tf.image.resize(image[None], ({height}, {width}), antialias=True)), tf.uint8)",
        'print(max(zip(model.serve(batch)["probabilities"][0].numpy().tolist(), json.load(open("classes.json")))))',
    )
    return Section(
        "How to use it",
        (
            Paragraph("Classify a picture with TensorFlow alone; run this in the folder that holds the SavedModel:"),
            Fence("python", "\n".join(lines)),
            Paragraph(
                (
                    "In: ",
                    Code("images"),
                    f", uint8 (batch, {height}, {width}, {channels}), colours 0 to 255, not normalised. ",
                    "Out: ",
                    Code("probabilities"),
                    f", float32 (batch, {len(view.content['data']['classes'])}), in the order of ",
                    Code("classes.json"),
                    ". The signature is ",
                    Code("serving_default"),
                    ".",
                )
            ),
        ),
    )


def way(view: RunView, trial: Trial) -> Section:
    """Show the chain of promotions and the learning curve."""
    rows = tuple(
        (
            Code(link.trial),
            f"{link.iteration} / {link.bracket} / {link.rung}",
            f"{link.initial_epoch} to {link.epochs}" if link.was_trained else f"none: {link.taken or 'reused'}",
            percent(link.score),
            duration(link.train_seconds + link.setup_seconds),
        )
        for link in view.chain(trial)
    )
    header = ("Trial", "Iteration / bracket / rung", "Epochs", accuracy_name(view), "Time")
    if is_grid(view) and trial.parent is None:
        told = f"In one go for all {counted(trial.epochs, 'epoch')}, in {duration(trial.train_seconds)} of training."
        return Section("How it was trained", (Paragraph(told), *_divided(trial), *_curve(view, trial)))
    return Section(
        "How it was trained",
        (
            Paragraph("Each trial continues from the weights, optimizer state and schedule of the one before:"),
            Table(header, rows, right=frozenset({3, 4})),
            *_divided(trial),
            *_curve(view, trial),
        ),
    )


def _divided(trial: Trial) -> tuple[Block, ...]:
    if trial.parts == 1:
        return ()
    told = f"To save memory, each batch was trained in {trial.parts} parts: batch norm saw one part at a time."
    return (Paragraph(told),)


def _curve(view: RunView, trial: Trial) -> tuple[Block, ...]:
    try:
        lines = [{key: float(line[key]) for key in _CURVE} for line in view.history(trial)]
    except (RunError, ValueError, KeyError, TypeError) as error:
        return (Paragraph(("The learning curve cannot be read: ", Code(str(error)[:300]))),)
    if not lines:
        return (Paragraph("There is no learning curve: the history files are missing."),)
    scores = [line["val_accuracy"] for line in lines]
    rows = tuple(
        (
            f"{lines[at]['epoch']:.0f}",
            percent(lines[at]["val_accuracy"]),
            f"{lines[at]['val_loss']:.4f}",
            percent(lines[at]["accuracy"]),
            f"{lines[at]['loss']:.4f}",
            f"{lines[at]['learning_rate']:.3g}",
        )
        for at in thinned(len(lines), _CURVE_ROWS)
    )
    header = (
        "Epoch",
        accuracy_name(view),
        "Validation loss (nats)",
        "Training accuracy",
        "Training loss (nats)",
        "Learning rate (per step)",
    )
    return (
        Paragraph(
            (
                f"{accuracy_name(view)}, from {percent(min(scores))} to {percent(max(scores))}, one bar per epoch: ",
                Code(sparkline(scores)),
            )
        ),
        Table(header, rows, right=frozenset(range(len(header)))),
    )


_CURVE = ("epoch", "val_accuracy", "val_loss", "accuracy", "loss", "learning_rate")


def _value(value: Any) -> str:
    if value is None:
        return "not set"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return f"{value:.6g}" if isinstance(value, float) else str(value)
