"""What a report says of a search, section by section; how it says so is in tests/golden/report.md."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest

from resnet_search.report import course, inputs, winner
from resnet_search.report.content import Exported, report_of
from resnet_search.report.document import Section
from resnet_search.report.facts import facts_of
from resnet_search.report.markdown import to_markdown
from resnet_search.report.pareto import fronts
from resnet_search.report.tested import ledger
from resnet_search.runs.trials import RunView, Trial
from tests.report.conftest import Events, make_content, search_events
from tests.report.reading import cells, listings, prose, rows
from tests.report.test_markdown import parse

MakeView = Callable[..., RunView]
EXPORTED = Exported(difference=2.4e-07, compared=64, accuracy=0.8, size=123_456)


@pytest.fixture
def finished(make_view: MakeView) -> RunView:
    run = search_events()
    run("finished")
    return make_view(run)


def best_of(view: RunView) -> Trial:
    assert view.leader is not None
    return view.leader


def test_a_finished_run_has_every_part_in_order(finished: RunView) -> None:
    best, facts = best_of(finished), facts_of(finished)
    assert report_of(finished, None, EXPORTED).sections == (
        winner.about(finished, best, EXPORTED),
        winner.limits_of_the_number(finished, best, facts),
        winner.use(finished, best, EXPORTED),
        course.best(finished),
        *fronts(finished),
        winner.way(finished, best),
        course.brackets(finished),
        course.budget(finished),
        inputs.searched(finished),
        ledger(facts),
        inputs.images(finished, facts),
        inputs.repeat(finished),
    )


def summary(view: RunView, trial: Trial | None = None) -> str:
    """What stands before the first section."""
    document = report_of(view, trial)
    return prose(Section("", document.blocks))


def test_summary_names_the_winner_and_its_error(finished: RunView) -> None:
    for fact in ("winner", "basic8-w4", "trial 0004", "80.00 % ± 1.26 %", "1,000 images"):
        assert fact in summary(finished)
    assert "resnet-search resume" not in summary(finished)


def test_known_architectures_are_no_candidates_of_the_search(finished: RunView) -> None:
    assert "6 candidates" in summary(finished)
    best = finished.winner
    assert best is not None
    drawn = {trial.candidate for trial in finished.trials.values() if trial.bracket == best.bracket}
    other = next(trial.bracket for trial in finished.trials.values() if trial.bracket != best.bracket)
    finished.content["known"] = [{"iteration": 0, "bracket": other, "presets": ["resnet-20", "resnet-32", "resnet-44"]}]
    assert f"{len(drawn)} candidates" in summary(finished)


def test_the_table_of_the_network(finished: RunView) -> None:
    trial = finished.trials["0004"]
    values = " | ".join(row[1] for row in rows(winner.about(finished, trial, EXPORTED)))
    for value in (
        "8 layers",
        f"| {trial.params:,} |",
        # Of batch norm.
        "| 168 |",
        f"| {trial.macs:,} (",
        "3 epochs of 3",
        "80.00 % ± 1.26 %",
        "1,000 images",
        "123 kB (123,456 bytes)",
        "2.4e-07",
        "64 images",
    ):
        assert value in values


def test_what_the_accuracy_is_not(finished: RunView) -> None:
    text = prose(winner.limits_of_the_number(finished, best_of(finished), facts_of(finished)))
    # 1.265 points times sqrt(2 ln 3).
    for fact in ("500 test images", "3 candidates", "1.9 percentage points"):
        assert fact in text


def test_a_perfect_score_claims_no_error_of_zero(make_view: MakeView) -> None:
    run = Events()
    run.create(0, 0, (0, 0, 0), (0, 3))
    run.complete(0, 1.0)
    view = make_view(run)
    assert "± 0.00" not in to_markdown(report_of(view))
    # The rule of three: 3 of 1,000 images.
    assert "0.3 %" in prose(winner.limits_of_the_number(view, best_of(view), facts_of(view)))


def test_best_ten_explains_ties_and_what_cannot_be_told_apart(make_view: MakeView) -> None:
    run = search_events()
    run.create(7, 3, (0, 0, 0), (0, 3))
    run.complete(7, 0.79)
    run("finished")
    best = course.best(make_view(run))
    assert [row[1] for row in rows(best)] == ["0004", "0007", "0005", "0006"]
    assert [row[-1] for row in rows(best)] == ["80.00 %", "79.00 % (tie)", "79.00 % (tie)", "60.00 %"]
    _, tied, near = prose(best).splitlines()
    assert "tie" in tied
    # 0.80 and 0.79 of 1,000 images: z = 0.56; 0.60 is far away.
    for fact in ("2 others of the 4", "two-proportion z test at 5 %", "6 pairs", "0007, 0005"):
        assert fact in near


def test_best_ten_has_ten(make_view: MakeView) -> None:
    run = Events()
    for number in range(12):
        run.create(number, number, (0, 0, 0), (0, 3), slot=number)
        run.complete(number, 0.5 + number / 100)
    best = course.best(make_view(run))
    assert len(rows(best)) == 10
    assert "12 candidates" in prose(best)


def test_the_way_of_the_winner(finished: RunView) -> None:
    way = winner.way(finished, best_of(finished))
    assert ["0000", "0 / 1 / 0", "0 to 1", "50.00 %", "7.0 s"] in rows(way)
    assert ["0004", "0 / 1 / 1", "1 to 3", "80.00 %", "7.0 s"] in rows(way)
    assert ["3", "80.00 %", "0.5000", "80.00 %", "0.6667", "0.1"] in rows(way)
    assert prose(way).endswith(("▁▂█", "▁▁█"))


def test_batches_in_parts_are_told(make_view: MakeView) -> None:
    run = Events()
    run.create(0, 0, (0, 0, 0), (0, 3))
    run("divided", trial="0000", parts=4)
    run.complete(0, 0.5)
    view = make_view(run)
    assert "4 parts" in prose(winner.way(view, best_of(view)))


def test_brackets_as_planned_and_as_run(finished: RunView) -> None:
    table = rows(course.brackets(finished))
    assert ["0 / 1 / 0", "0 to 1", "3", "3", "0", "1", "0", "50.00 %"] in table
    assert ["0 / 1 / 1", "1 to 3", "1", "1", "0", "0", "0", "80.00 %"] in table
    assert ["0001", "basic14-w4", "the loss was nan in epoch 1", "0002"] in table


def test_many_failures_are_counted_not_listed(make_view: MakeView) -> None:
    run = Events()
    for number in range(60):
        run.create(number, number, (0, 1, 0), (0, 1), replacement=number)
        run.fail(number, "why")
    brackets = course.brackets(make_view(run))
    failed = [row for row in rows(brackets) if "why" in row]
    assert len(failed) == 50
    assert not {row[-1] for row in failed} & set("0123456789"), "none is replaced yet"
    first, rest = prose(brackets).splitlines()
    assert "60 trials" in first
    assert rest.startswith("10 ")


def test_budget_against_training_everything(finished: RunView) -> None:
    text = prose(course.budget(finished))
    for fact in (
        "11 epochs", "6 completed trials", "6 trials",
        "36 s of training", "6.0 s",
        # Six candidates, one of which failed before its first epoch was over.
        "6 candidates", "18 epochs", "1.6 times",
        # Five with a speed: 4 s an epoch, 6 and 6, 2 and 2, 3 epochs each.
        "1 min 0 s",
    ):  # fmt: skip
        assert fact in text


def test_reused_trials_cost_nothing(make_view: MakeView) -> None:
    run = search_events()
    run.create(7, 0, (0, 1, 0), (0, 1), parent="0000", reused=True)
    run.complete(7, 0.5)
    view = make_view(run)
    for fact in ("11 epochs", "7 completed trials"):
        assert fact in prose(course.budget(view))
    [row] = [row for row in rows(winner.way(view, view.trials["0007"])) if row[0] == "0007"]
    assert row[1] == "0 / 1 / 0"
    assert " to " not in row[2], "no epoch of it was trained"


def test_inputs_and_how_to_repeat(finished: RunView) -> None:
    searched = cells(inputs.searched(finished))
    assert "1, 2" in searched
    assert any(cell.startswith("100,000 ") for cell in searched)
    images = cells(inputs.images(finished, facts_of(finished)))
    assert any("1,000 images" in cell for cell in images)
    assert any("disc, ring, star" in cell for cell in images)
    repeat = inputs.repeat(finished)
    assert listings(repeat).startswith(
        "resnet-search run --space space.toml --max-epochs 3 --min-epochs 1 --factor 3 --iterations 1 --promotion sync "
        "--sampler random --promote-by loss --max-params 100000 --data shapes --validation 1000 --seed 7 --workers 2 "
        "--threads 3 --device cpu --precision float32 --no-baseline\n"
    )
    assert {"resnet-search run --space small --seed 7", "5604e3d3"} <= cells(repeat)
    for line in ("width = [4, 6, 8]", '"momentum": 0.9'):
        assert line in listings(repeat)


def test_many_classes_are_counted(make_view: MakeView) -> None:
    content = make_content()
    content["data"]["classes"] = [f"class{number}" for number in range(30)]
    view = make_view(search_events(), content)
    [shown] = [cell for cell in cells(inputs.images(view, facts_of(view))) if "class0" in cell]
    assert "class19" in shown
    assert "class20" not in shown
    assert "10 more" in shown


def test_an_unfinished_run_says_so(make_view: MakeView) -> None:
    run = Events()
    run.create(0, 0, (0, 1, 0), (0, 1))
    run.complete(0, 0.5)
    run.create(1, 1, (0, 1, 0), (0, 1), slot=1)
    view = make_view(run)
    state, length, best = summary(view).splitlines()
    for fact in ("interrupted", "1 of 6 trials", "resnet-search resume small-run"):
        assert fact in state
    assert "1 of 3 epochs" in length
    assert winner.role(view, best_of(view)) in best
    assert "basic8-w4" in best
    assert rows(course.best(view)) == []
    assert ["0 / 1 / 0", "0 to 1", "3", "1", "0", "0", "2", "50.00 %"] in rows(course.brackets(view))


def test_a_run_without_a_result(make_view: MakeView) -> None:
    view = make_view(Events())
    assert report_of(view).sections[0] == course.best(view)
    state, nothing = summary(view).splitlines()
    assert "0 of 6 trials" in state
    assert nothing


def test_another_trial_than_the_winner(finished: RunView) -> None:
    trial = finished.trials["0006"]
    assert winner.role(finished, trial) == "chosen trial"
    assert report_of(finished, trial).sections[0] == winner.about(finished, trial, None)
    this, other = summary(finished, trial).splitlines()
    assert "trial 0006" in this
    assert "basic8-w4" in other
    assert "trial 0004" in other


def test_without_an_export_it_says_how(finished: RunView) -> None:
    best, *others = finished.ranking()
    assert prose(winner.use(finished, best, None)).endswith("resnet-search export small-run")
    told = prose(winner.use(finished, others[0], None))
    assert told.endswith(f"resnet-search export small-run --trial {others[0].trial}")


def test_a_damaged_history_does_not_stop_the_report(finished: RunView) -> None:
    path = finished.folder.trial("0004") / "history.jsonl"
    for damage, cause in (('{"epoch": 2}', "val_accuracy"), ("not json", str(path))):
        path.write_text(f"{damage}\n")
        assert cause in prose(winner.way(finished, best_of(finished)))
        assert len(report_of(finished).sections) > 10


def test_hostile_files_are_shown_as_text(make_view: MakeView) -> None:
    hostile = "</td><script>x</script> ![p](https://e.org/p.png) `` | <b>"
    content = make_content()
    content["data"] |= {"classes": [hostile, "b", "c"], "notes": [hostile], "location": hostile, "source": hostile}
    content["space"] |= {"description": hostile, "text": f"# ```\n{hostile}\n````", "name": hostile}
    content["command"] = [hostile, hostile]
    content["machine"]["host"] = hostile
    content["versions"][hostile] = hostile
    content["feasible"]["excluded"] = {hostile: 3}
    content["created"] = hostile
    run = search_events()
    run.create(7, 5, (0, 0, 0), (0, 3), name=hostile)
    run.fail(7, hostile)
    view = make_view(run, content)
    for trial in (None, view.trials["0007"]):
        kinds = {token.type for token in parse(to_markdown(report_of(view, trial)))}
        assert not kinds & {"html_inline", "html_block", "image", "link_open", "s_open", "code_block"}


def test_is_written_without_numerical_libraries() -> None:
    program = (
        "import sys, resnet_search.report.content, resnet_search.report.markdown; "
        "print(sorted({'numpy', 'keras', 'tensorflow', 'h5py'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
