"""Tables that give up columns rather than wrap."""

from __future__ import annotations

import io

from rich.console import Console

from resnet_search.cli.grid import Column, Grid, Hanging


def render(grid: Grid | Hanging, width: int, *, whole: bool = False) -> list[str]:
    out = Console(file=io.StringIO(), width=width, markup=False)
    out.print(grid, soft_wrap=whole or isinstance(grid, Grid))
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
    assert " ".join(lines[3:]) == "Not shown: first; --json has it."
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
    text = "Excluded   seventeen-eighteen, twenty: twenty-one twenty-two"
    assert render(Hanging(text), 80) == [text]
    assert render(Hanging(text), 44) == [
        "Excluded   seventeen-eighteen, twenty:",
        "           twenty-one twenty-two",
    ]
    assert render(Hanging(text), 44, whole=True) == [text], "a file keeps its lines"
    assert render(Hanging("Note: one two three four five six seven eight", 6), 40) == [
        "Note: one two three four five six seven",
        "      eight",
    ]
    assert render(Hanging("Feasible   \x1b[2J [red]x"), 80) == ["Feasible   \\x1b[2J [red]x"]


def test_what_is_to_be_typed_stays_in_a_line() -> None:
    text = "warning  interrupted-so-far: continue-with: resnet-search resume live, not-at-all"
    assert render(Hanging(text, 9), 60) == [
        "warning  interrupted-so-far: continue-with:",
        "         resnet-search resume live, not-at-all",
    ]
    long = "warning  " + "resnet-search resume " + "x" * 60
    assert max(map(len, render(Hanging(long, 9), 60))) <= 60


def test_a_word_and_its_text_have_styles_of_their_own() -> None:
    console = Console(file=io.StringIO(), width=40)
    first, second = console.render_lines(Hanging("ok       " + "word " * 10, 9, "dim", "green"), pad=False)
    assert [str(part.style) for part in first] == ["dim green", "dim"]
    assert "".join(part.text for part in second) == "         word word word word"
    assert [str(part.style) for part in second] == ["dim"]


def test_what_folds_between_words_gives_before_a_path_is_broken() -> None:
    path = "/tmp/photos/circle.png"  # noqa: S108 - a text
    grid = Grid([Column("file", [path], folds=True), Column("runners-up", ["square 0.1, triangle 0.2"], folds=True)])
    assert grid.width == len(path) + 2 + 24
    assert render(grid, 40) == [
        "file                    runners-up",
        f"{path}  square 0.1,",
        "                        triangle 0.2",
    ]
    # Where there is no room for that, both give.
    assert max(map(len, render(grid, 24))) <= 24
