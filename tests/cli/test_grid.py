"""Tables that give up columns rather than wrap."""

from __future__ import annotations

import io

from rich.console import Console

from resnet_search.cli.grid import Column, Grid, Hanging


def render(grid: Grid | Hanging, width: int) -> list[str]:
    out = Console(file=io.StringIO(), width=width, markup=False)
    out.print(grid, soft_wrap=True)
    text: io.StringIO = out.file  # type: ignore[assignment]
    return [line.rstrip() for line in text.getvalue().splitlines()]


def columns() -> list[Column]:
    return [
        Column("name", ["short", "a-longer-name"]),
        Column("first", ["1", "2"], right=True, spare=2),
        Column("second", ["3", "4"], right=True, spare=1),
        Column("score", ["0.5", ""], right=True),
    ]


def test_all_columns_where_there_is_room() -> None:
    assert render(Grid(columns(), title="Title"), 80) == [
        "Title",
        "name           first  second  score",
        "short              1       3    0.5",
        "a-longer-name      2       4",
    ]


def test_the_most_dispensable_column_goes_first_and_is_named() -> None:
    lines = render(Grid(columns(), elsewhere="--json has it"), 30)
    assert lines[0] == "name           second  score"
    assert " ".join(lines[3:]) == "Left out here: first; --json has it."
    assert max(map(len, lines)) <= 30


def test_what_stays_is_never_cut() -> None:
    lines = render(Grid(columns()), 14)
    assert lines[0].split() == ["name", "score"]
    assert lines[1].split() == ["short", "0.5"]
    assert lines[2] == "a-longer-name"


def test_a_name_folds_once_no_column_can_go() -> None:
    names = ["basic20-w16-projection-se-r8", "a"]
    grid = Grid(
        [Column("architecture", names, folds=True), Column("x", ["1", "2"], spare=1), Column("score", ["0.5"] * 2)]
    )
    assert render(grid, 40)[1:] == ["basic20-w16-projection-se-r8  1  0.5", "a                             2  0.5"]
    assert render(grid, 24) == [
        "architecture       score",
        "basic20-w16-       0.5",
        "projection-se-r8",
        "a                  0.5",
    ]
    assert "".join(line.split()[0] for line in render(grid, 10)[1:-1]) == names[0]


def test_a_column_that_says_nothing_stays_only_if_it_must() -> None:
    grid = Grid([Column("name", ["a"]), Column("model", [""], spare=1), Column("score", [""])], elsewhere="--json")
    assert render(grid, 80) == ["name  score", "a"]


def test_text_from_files_is_neither_markup_nor_obeyed() -> None:
    lines = render(Grid([Column("name", ["[red]x[/red]", "\x1b[2J"])]), 80)
    assert lines[1:] == ["[red]x[/red]", "\\x1b[2J"]


def test_a_least_width_holds() -> None:
    assert render(Grid([Column("a", ["1"], least=6), Column("b", ["2"])]), 80)[1] == "1       2"


def test_hanging_text_stays_beside_its_word() -> None:
    text = 'Excluded   24 by rule "a rule", such as: a long-winded example of it.'
    assert render(Hanging(text), 80) == [text]
    assert render(Hanging(text), 44) == [
        'Excluded   24 by rule "a rule", such as: a',
        "           long-winded example of it.",
    ]
    assert render(Hanging("Feasible   \x1b[2J [red]x"), 80) == ["Feasible   \\x1b[2J [red]x"]
