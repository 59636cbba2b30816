"""resnet-search predict"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from resnet_search.cli.options import AnyPath, Whole, complete_run, json_option, runs_dir_option
from resnet_search.cli.text import cut, cut_lines, safe
from resnet_search.cli.value_range import ValueRange

if TYPE_CHECKING:
    from rich.console import RenderableType

    from resnet_search.export.predict import Classified, Export, Unread
    from resnet_search.report.measured import Estimate
    from resnet_search.training.datasets.image_files import LeftOut

_TOLD = 20  # unreadable files that are named after a table
_CLASSES = 3  # classes shown for each image
_PATH = 36  # characters of a path if there is no room for more


@click.command("predict")
@click.argument("export", metavar="EXPORT", shell_complete=complete_run)
@click.argument("images", metavar="IMAGE...", nargs=-1, required=True, type=AnyPath())
@runs_dir_option
@click.option("--top", type=Whole(1, 1000), metavar="N", help=f"Show the N most probable classes of each image.  "
              f"[default: {_CLASSES}, or as many as fit the terminal]")  # fmt: skip
@click.option("--value-range", type=ValueRange(), metavar="LOW,HIGH", help="Values of black and white in the images.  "
              "[default: as the network's own images]")  # fmt: skip
@json_option
def command(
    *, export: str, images: tuple[Path, ...], runs_dir: Path, top: int | None,
    value_range: tuple[float, float] | None, as_json: bool,
) -> int:  # fmt: skip
    """Classify images with an exported network.

    EXPORT is a folder written by `export`, or a RUN with its default export. IMAGE is a file, or a folder with all
    images below it. If images lie in folders named after the classes, their accuracy is shown too.

    Files that cannot be read are listed and skipped; the exit status is then 1.
    """
    from resnet_search.export.predict import Unread, classify, find_export
    from resnet_search.training.datasets.image_files import LeftOut
    from resnet_search.training.datasets.values import Values

    found = find_export(export, runs_dir)
    if value_range is not None:
        found = replace(found, values=Values(*value_range, "files"))
    left_out = LeftOut()
    classified: list[Classified] = []
    unread: list[Unread] = []
    for one in _counted(classify(found, images, min(top or _CLASSES, len(found.classes)), left_out), quiet=as_json):
        if isinstance(one, Unread):
            unread.append(one)
        else:
            classified.append(one)
    accuracy, known = _accuracy(classified)
    if as_json:
        _print_json(found, classified, unread, left_out, accuracy=accuracy, known=known)
    else:
        _print_table(found, classified, accuracy, known, whole=top is not None)
        _tell(unread, left_out)
    return 1 if unread else 0


def _counted(found: Iterable[Any], *, quiet: bool) -> Iterator[Any]:
    """Yield the results and show their number on the terminal meanwhile."""
    from resnet_search.cli.screen import console, is_terminal

    with console().status("Classifying ...") if is_terminal() and not quiet else nullcontext() as status:
        for number, one in enumerate(found, 1):
            if status is not None and number % 100 == 0:
                status.update(f"Classifying ... {number:,} images")
            yield one


def _accuracy(classified: list[Classified]) -> tuple[Estimate | None, int]:
    """Return the accuracy on images in class folders, and the number of these images."""
    from resnet_search.report.statistics import share

    right = [one.truth == one.top[0][0] for one in classified if one.truth is not None]
    return (share(sum(right), len(right)) if right else None), len(right)


def _print_json(
    export: Export,
    classified: list[Classified],
    unread: list[Unread],
    left_out: LeftOut,
    *,
    accuracy: Estimate | None,
    known: int,
) -> None:
    from dataclasses import asdict

    from resnet_search.cli.screen import show_json

    images = [
        {
            "file": str(one.file),
            "class": one.top[0][0],
            "probability": one.top[0][1],
            "top": [{"class": name, "probability": share} for name, share in one.top],
            "folder": one.truth,
        }
        for one in classified
    ]
    show_json(
        "predict/1",
        {
            "network": {
                "folder": str(export.saved_model.parent),
                "run": export.network.run or None,
                "trials": list(export.network.members),
                "name": export.network.name or None,
            },
            "images": images,
            "unreadable": [{"file": str(one.file), "reason": one.reason} for one in unread],
            "left_out": left_out.counts(),
            "accuracy": None if accuracy is None else {**asdict(accuracy), "images": known},
        },
    )


def _print_table(
    export: Export, classified: list[Classified], accuracy: Estimate | None, known: int, *, whole: bool
) -> None:
    from resnet_search.cli.grid import Hanging
    from resnet_search.cli.screen import show
    from resnet_search.report.tested import interval
    from resnet_search.report.units import percent

    if classified:
        network = safe(f"{export.network}: {export.saved_model.parent}")
        show([_table(classified, whole=whole), "", Hanging(f"Network     {network}")])
    if accuracy is not None:
        of = "" if known == len(classified) else f", of {len(classified):,} in total"
        click.echo(
            f"Accuracy    {percent(accuracy.value)}, 95 % interval {interval(accuracy)}\n"
            f"            by the class folders of {known:,} images{of}"
        )


def _table(classified: list[Classified], *, whole: bool) -> RenderableType:
    """Show as many runners-up as fit, or all if `whole`; shorten paths if that is not enough."""
    from resnet_search.cli.grid import Column, Grid
    from resnet_search.cli.screen import console, has_width

    def grid(paths: list[str], told: int) -> Grid:
        return Grid(
            [
                Column("file", paths, folds=True, least=16),
                Column("class", [one.top[0][0] for one in classified], folds=True, least=8),
                Column("probability", [f"{one.top[0][1]:.4f}" for one in classified], right=True),
                Column("folder", [one.truth or "" for one in classified], spare=1),
                Column("runners-up", [_runners_up(one, told) for one in classified], folds=True, least=16, narrow=1),
            ],
            elsewhere="--json has everything",
        )

    paths, most = [safe(one.file) for one in classified], len(classified[0].top) - 1
    fewest = most if whole else min(1, most)
    grids = [grid(paths, told) for told in range(most, fewest - 1, -1)]
    if not has_width():
        return grids[0]
    grids.append(grid([cut(path, _PATH) for path in paths], fewest))
    return next((each for each in grids if each.width <= console().width), grids[-1])


def _runners_up(one: Classified, most: int) -> str:
    return ", ".join(f"{name} {probability:.4f}" for name, probability in one.top[1 : most + 1])


def _tell(unread: list[Unread], left_out: LeftOut) -> None:
    """List the files that could not be read, and count what was left out of folders, on standard error."""
    if words := left_out.words():
        click.echo(f"Left out: {cut_lines(safe(words))}", err=True)
    if not unread:
        return
    click.echo(f"Not read: {len(unread):,}", err=True)
    for one in unread[:_TOLD]:
        click.echo(f"  {cut_lines(safe(one.file))}: {cut_lines(safe(one.reason))}", err=True)
    if len(unread) > _TOLD:
        click.echo(f"  and {len(unread) - _TOLD:,} more; --json names all", err=True)
