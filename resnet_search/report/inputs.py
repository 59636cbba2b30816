"""Report a run's inputs: the search space, the images, and everything needed to repeat the run."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from typing import Any

from resnet_search.networks.precision import FLOAT32, MIXED, WIDE
from resnet_search.report.document import Block, Bullets, Code, Fence, Paragraph, Section, Table, Text
from resnet_search.report.facts import Facts
from resnet_search.report.kind import is_grid
from resnet_search.report.units import about, between, counted
from resnet_search.runs.trials import RunView, Trial
from resnet_search.training.length import in_epochs
from resnet_search.training.recipe import for_images
from resnet_search.workers.cluster import Cluster

_MOST_CLASSES = 20
SPACE_FILE = "space.toml"


def searched(view: RunView) -> Section:
    """Describe the search space, its limits and the plan."""
    content = view.content
    space, feasible = content["space"], content["feasible"]
    rows: list[tuple[Text, Text]] = [("Space", Code(space["name"]))]
    rows += [(f"Axis: {axis}", Code(_value(values))) for axis, values in space["axes"].items()]
    limits = {key: value for key, value in space["limits"].items() if value is not None}
    rows += [(f"Limit: {key}", f"{value:,} {_LIMIT_UNITS.get(key, '')}".rstrip()) for key, value in limits.items()]
    if not limits:
        rows.append(("Limits", "none"))
    exact, epochs = feasible.get("exact", True), in_epochs(view.planned_epochs - view.saved_epochs)
    rows += [
        ("Feasible", feasible_words(feasible)),
        *((f"Excluded: {reason}", about(count, exact=exact)) for reason, count in feasible["excluded"].items()),
        _method(view),
        ("Planned", f"{counted(view.planned_trials, 'trial')}, {counted(epochs, 'epoch')} of training"),
        ("Recipe that varies", _varying(space["recipe"])),
        ("Seed", f"{content['seed']}"),
    ]
    blocks: list[Block] = [Table(("", ""), tuple(rows))]
    if space.get("description"):
        blocks.insert(0, Paragraph(space["description"]))
    return Section("What was trained" if is_grid(view) else "What was searched", tuple(blocks))


def feasible_words(feasible: dict[str, Any]) -> str:
    """Return the number of architectures of a space, with its interval if it was estimated."""
    number = feasible["architectures"]
    if feasible.get("exact", True):
        return counted(number, "feasible architecture")
    return f"{about(number)} feasible architectures (95 % interval {between(*feasible['interval'])})"


def _method(view: RunView) -> tuple[Text, Text]:
    hyperband = view.as_started["space"]["hyperband"]
    epochs, iterations = counted(hyperband["max_epochs"], "epoch"), counted(hyperband["iterations"], "iteration")
    if is_grid(view):
        return "Method", f"trains every network once, for all {epochs}"
    so_far = " of the results so far (async)" if hyperband.get("promotion") == "async" else ""
    least = hyperband.get("min_epochs", 1)
    span = f"at most {epochs}" if least == 1 else f"{least} to {epochs}"
    by = "loss" if view.promotes_by_loss else "accuracy"
    kept = f"keeps one in {hyperband['factor']}{so_far} by validation {by}"
    after = f"; then a final training to epoch {view.max_epochs}" if view.content.get("stage") else ""
    drawn = "; candidates drawn by a model of the results" if hyperband.get("sampler") == "model" else ""
    return "Hyperband", f"{span} per trial, {kept}, {iterations}{drawn}{after}"


def images(view: RunView, facts: Facts) -> Section:
    """Describe the data set and its split, with the notes made while reading it."""
    data = view.content["data"]
    classes = data["classes"]
    shown = ", ".join(map(str, classes[:_MOST_CLASSES]))
    more = f" and {len(classes) - _MOST_CLASSES:,} more" if len(classes) > _MOST_CLASSES else ""
    height, width, channels = data["image_shape"]
    subset = data.get("train_examples")
    rows: tuple[tuple[Text, Text], ...] = (
        ("Source", Code(str(data["source"]))),
        ("Read from", Code(str(data["location"] or data["source"]))),
        ("Images", f"{height} x {width} pixels, {channels} colours, 8 bits each"),
        ("Trained on", counted(facts.train, "image") + (" (a subset: --train-examples)" if subset else "")),
        ("Validated on", validated_on(facts)),
        ("Test", f"{counted(facts.test, 'image')}, {facts.times}"),
        *equal_images(facts),
        ("Classes", (f"{len(classes):,}: ", Code(shown), more)),
        ("Mean of each colour (0 to 255)", ", ".join(f"{value:.2f}" for value in data["mean"])),
        ("Standard deviation of each colour (0 to 255)", ", ".join(f"{value:.2f}" for value in data["std"])),
        ("Fingerprint of all images", Code(str(data["fingerprint"]))),
    )
    blocks: list[Block] = [Table(("", ""), rows)]
    if data["notes"]:
        blocks += [Paragraph("Notes on these images:"), Bullets(tuple(Code(str(note)) for note in data["notes"]))]
    return Section("Images", tuple(blocks))


def validated_on(facts: Facts) -> str:
    """Say which images validated the networks, or that they were trained on."""
    validation = counted(facts.validation, "image")
    if facts.merged:
        return f"nothing: the {validation} for validation are among the training images"
    return f"{validation}, a seeded, stratified part of the training images, held back"


def equal_images(facts: Facts) -> Iterator[tuple[Text, Text]]:
    """Yield rows on images of the source with the same pixels."""
    found = facts.duplicates
    if found.train:
        side = "kept together in the split" if found.grouped else "the split may have put them on both sides"
        yield "Equal training images", f"{found.train:,} in {counted(found.groups, 'group')}, {side}"
    if found.several_classes:
        yield "Equal images with different classes", f"{counted(found.several_classes, 'group')}: check their classes"
    if found.test_in_train:
        yield "Test images that equal a training image", f"{found.test_in_train:,} of {facts.test:,}"


def trained_recipe(view: RunView, trial: Trial | None = None) -> dict[str, Any]:
    """Return the recipe that a run, or one of its trials, trained with: also the batch size and rate of `auto`."""
    values = view.content["recipe"] if trial is None else {**view.content["recipe"], **trial.recipe}
    return for_images(values, int(view.content["data"]["train"]))


def repeat(view: RunView) -> Section:
    """List command, space, recipe, versions and machine."""
    content = view.content
    workers, machine = content["workers"], content["machine"]
    rows: list[tuple[Text, Text]] = [
        ("Started", f"{content['created']}"),
        ("By the command", Code(shlex.join(map(str, content["command"])))),
        ("Seed", f"{content['seed']}"),
        ("Workers", _workers(workers)),
        ("Device", Code(str(workers["device"]))),
        ("Precision", Code(str(workers["precision"]))),
        ("Compiled with XLA", "yes" if workers["jit"] else "no"),
        ("Machine", Code(f"{machine['host']}: {machine['system']}")),
        ("Processors", f"{machine['processors']}"),
        ("Keras backend", Code(str(content.get("backend", "not recorded")))),
        *((f"Version: {name}", Code(str(version))) for name, version in content["versions"].items()),
        ("Fingerprint of all images", Code(str(content["data"]["fingerprint"]))),
    ]
    return Section(
        "How to repeat this run",
        (
            Paragraph(("Save the search space below as ", Code(SPACE_FILE), " and run this command in that folder:")),
            Fence("sh", shlex.join(_command(view.as_started))),
            Paragraph(_how_equal(workers, "the scores" if is_grid(view) else _PROMOTED)),
            Table(("", ""), tuple(rows)),
            Paragraph("The search space; options of the command above override its values:"),
            Fence("toml", content["space"]["text"].rstrip()),
            Paragraph(f"All values of the recipe; its learning-rate schedule is {content['horizon']} epochs long:"),
            Fence("json", json.dumps(trained_recipe(view), indent=1)),
        ),
    )


def _how_equal(workers: dict[str, Any], what: str) -> str:
    """Return what a repetition has in common with the run, and `what` can differ."""
    if workers["device"] == "gpu":
        deterministic = " This run used XLA's deterministic operations, which are meant to prevent that."
        return (
            "With the same seed you get the same draws, initial weights and order of images. On a GPU, sums differ by "
            f"chance from one process to the next, which can change {what}."
            f"{deterministic if workers.get('deterministic') else ''}"
        )
    return (
        "With the same versions, device and number of threads, you get the same trials and the same "
        "scores. Another number of threads or another processor changes the last bits of every sum, which "
        f"can change {what}."
    )


def _workers(workers: dict[str, Any]) -> Text:
    each = f"{workers['slots']}, with {counted(workers['threads'], 'thread')} each"
    return (f"{each}, on ", Code(Cluster.from_dict(workers["cluster"]).word)) if workers.get("cluster") else each


def _command(content: dict[str, Any]) -> list[str]:
    """Return the command that starts the same search, whatever the defaults of another machine."""
    space, data, workers = content["space"], content["data"], content["workers"]
    halving = {} if space.get("method") == "grid" else space["hyperband"]
    options: dict[str, Any] = {
        **halving,
        "max_epochs": space["hyperband"]["max_epochs"],
        **{key: value for key, value in space["limits"].items() if value is not None},
        "data": space["data"]["source"],
        "data_dir": data["data_dir"],
        "validation": space["data"]["validation"],
        "train_examples": data["train_examples"],
        "seed": content["seed"],
        **_where(workers),
        "threads": workers["threads"],
        "device": workers["device"],
        "precision": _ASKED_FOR.get(workers.get("precision", "")),
    }
    words = ["resnet-search", "run", "--space", SPACE_FILE]
    for name, value in options.items():
        if value is not None:
            words += [f"--{name.replace('_', '-')}", str(value)]
    known = [one for one in content.get("known", ()) if one["presets"]]
    words += [word for one in known for name in one["presets"] for word in ("--baseline", name)]
    limited = any(value is not None for value in space["limits"].values())
    if limited and not any(one.get("ranked") for one in known):
        words.append("--no-baseline")
    return words + ["--deterministic"] * bool(workers.get("deterministic"))


def _where(workers: dict[str, Any]) -> dict[str, Any]:
    if not workers.get("cluster"):
        return {"workers": workers["slots"]}
    cluster = Cluster.from_dict(workers["cluster"])
    return {"workers": cluster.word, "cpus_per_trial": cluster.cpus, "gpus_per_trial": cluster.gpus}


def _varying(recipe: dict[str, Any]) -> Text:
    varying = {key: value for key, value in recipe.items() if isinstance(value, dict | list)}
    return Code(", ".join(f"{key}: {_value(value)}" for key, value in varying.items())) if varying else "nothing"


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return f"{value['min']:g} to {value['max']:g}{' (logarithmic)' * bool(value.get('log'))}"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return str(value)


_PROMOTED = "which of two close candidates is promoted"
# Values of --precision that give the same results on every machine.
_ASKED_FOR = {FLOAT32: "float32", MIXED: "bfloat16", WIDE: "bfloat16"}
_LIMIT_UNITS = {
    "max_params": "trainable parameters",
    "min_params": "trainable parameters",
    "max_macs": "multiply-adds of one image",
}
