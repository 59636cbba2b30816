"""Report a run that was imported from Keras Tuner: where its numbers come from, and how to continue here."""

from __future__ import annotations

from resnet_search.report.document import Block, Bullets, Code, Fence, Paragraph, Section, Strong, Table, Text
from resnet_search.runs.trials import RunView


def opening(view: RunView) -> list[Block]:
    """Say that a run was imported; nothing for a run of this program."""
    found = view.content.get("imported")
    if not found:
        return []
    told = (
        Strong("Imported from Keras Tuner."),
        " Scores, epochs and failures come from the project ",
        Code(str(found["project"])),
        (
            f" ({found['tuner']}), which used its own networks, training and images. Parameters and multiply-adds "
            "are those of the networks that resnet-search builds for the same axes. Times come from the project's "
            "files."
        ),
    )
    return [Paragraph(told)]


def origin(view: RunView) -> Section:
    """Describe the imported project, the mapping of its hyperparameters, and the command for the same search here."""
    found, name = view.content["imported"], view.folder.name
    rows: list[tuple[Text, Text]] = [
        ("Project", Code(str(found["project"]))),
        ("Tuner", str(found["tuner"])),
        ("Score", Code(str(found["score"]))),
        *((("Hyperparameter ", Code(str(theirs))), Code(str(ours))) for theirs, ours in found["mapped"].items()),
        *((("Not varied: ", Code(str(key))), Code(str(value))) for key, value in found["fixed"].items()),
        *((("Left out: ", Code(str(one))), "not part of a network or recipe here") for one in found["ignored"]),
        *(
            (f"Trials left out: {count:,}", ("cannot be built here: ", Code(str(why))))
            for why, count in found["skipped"].items()
        ),
    ]
    caveats: tuple[Text, ...] = (
        (
            "Keras Tuner scores a trial by its best epoch; resnet-search scores it after the last epoch, which gives "
            "slightly lower scores."
        ),
        (
            "Weights are not imported: they belong to models that the project built, and Keras Tuner does not save "
            "what exact continuation of the training needs."
        ),
        "The images below were named at the import; the project does not record which images it used.",
    )
    return Section(
        "Imported from Keras Tuner",
        (
            Table(("", ""), tuple(rows)),
            Bullets(caveats),
            Paragraph("To search the same space with resnet-search:"),
            Fence("sh", f"resnet-search run --space {view.folder.path / name}.toml"),
            Fence("toml", str(view.content["space"]["text"]).rstrip()),
        ),
    )
