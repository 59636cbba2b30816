"""What a report says of a run that was imported from Keras Tuner: what its numbers are of, and how to go on."""

from __future__ import annotations

from resnet_search.report.document import Block, Bullets, Code, Fence, Paragraph, Section, Strong, Table, Text
from resnet_search.runs.trials import RunView


def opening(view: RunView) -> list[Block]:
    """That it was not searched here; nothing for a run that was."""
    found = view.content.get("imported")
    if not found:
        return []
    told = (
        Strong("Imported from Keras Tuner."),
        " Scores, epochs and failures are of the project ",
        Code(str(found["project"])),
        (
            f" ({found['tuner']}): of its own networks, its own training and its own images. Parameters and "
            "multiply-adds are of the networks that the same axes make here, and times are of the project's files."
        ),
    )
    return [Paragraph(told)]


def origin(view: RunView) -> Section:
    """Where such a run came from, what its hyperparameters became, and the command that searches the same here."""
    found, name = view.content["imported"], view.folder.name
    rows: list[tuple[Text, Text]] = [
        ("Project", Code(str(found["project"]))),
        ("Tuner", str(found["tuner"])),
        ("Score", Code(str(found["score"]))),
        *((("Hyperparameter ", Code(str(theirs))), Code(str(ours))) for theirs, ours in found["mapped"].items()),
        *((("Not varied: ", Code(str(key))), Code(str(value))) for key, value in found["fixed"].items()),
        *((("Left out: ", Code(str(one))), "no part of a network or recipe here") for one in found["ignored"]),
        *(
            (f"Trials left out: {count:,}", ("no networks here: ", Code(str(why))))
            for why, count in found["skipped"].items()
        ),
    ]
    caveats: tuple[Text, ...] = (
        (
            "Keras Tuner keeps the best epoch of each trial, which makes a score the best of as many as it trained; "
            "this program scores after the last epoch, which gives a little less."
        ),
        (
            "No weights are taken over: they are of a model that the project built, and Keras Tuner keeps nothing that "
            "training could go on from exactly."
        ),
        "The images below are those that were named when it was imported; the project does not say which it used.",
    )
    return Section(
        "Imported from Keras Tuner",
        (
            Table(("", ""), tuple(rows)),
            Bullets(caveats),
            Paragraph("The same choices as a search of this program:"),
            Fence("sh", f"resnet-search run --space {view.folder.path / name}.toml"),
            Fence("toml", str(view.content["space"]["text"]).rstrip()),
        ),
    )
