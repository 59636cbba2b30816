from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest

from resnet_search.report.content import Exported, report_of
from resnet_search.report.document import Document
from resnet_search.report.markdown import to_markdown
from resnet_search.runs.trials import RunView
from tests.report.conftest import Events, make_content, search_events
from tests.report.test_markdown import parse

MakeView = Callable[..., RunView]
EXPORTED = Exported(difference=2.4e-07, compared=64, accuracy=0.8, size=123_456)


def section(document: Document, title: str) -> str:
    """A section of the report, in Markdown without its escapes."""
    found = [part for part in document.sections if str(part.title).startswith(title)]
    assert len(found) == 1, [part.title for part in document.sections]
    return to_markdown(Document("", (), tuple(found))).replace("\\", "")


@pytest.fixture
def finished(make_view: MakeView) -> RunView:
    run = search_events()
    run("finished")
    return make_view(run)


def test_a_finished_run_has_every_part_in_order(finished: RunView) -> None:
    titles = [str(part.title) for part in report_of(finished, None, EXPORTED).sections]
    assert titles == [
        "The network: winner",
        "What this accuracy is not",
        "How to use it",
        "The best ten",
        "Accuracy against cost",
        "How it was trained",
        "Brackets, as planned and as run",
        "What it cost",
        "What was searched",
        "Reads of the test images",
        "Images",
        "To repeat this run",
    ]


def test_summary_names_the_winner_and_its_error(finished: RunView) -> None:
    text = to_markdown(report_of(finished, None, EXPORTED))
    assert "the winner is `basic8-w4`, trial 0004: 80.00 % ± 1.26 % validation accuracy on 1,000 images" in text
    assert "not finished" not in text


def test_known_architectures_are_no_candidates_of_the_search(finished: RunView) -> None:
    assert "Of 6 candidates out of" in to_markdown(report_of(finished))
    winner = finished.winner
    assert winner is not None
    drawn = {trial.candidate for trial in finished.trials.values() if trial.bracket == winner.bracket}
    other = next(trial.bracket for trial in finished.trials.values() if trial.bracket != winner.bracket)
    finished.content["known"] = [{"iteration": 0, "bracket": other, "presets": ["resnet-20", "resnet-32", "resnet-44"]}]
    assert f"Of {len(drawn)} candidates out of" in to_markdown(report_of(finished))


def test_the_table_of_the_network(finished: RunView) -> None:
    text = section(report_of(finished, None, EXPORTED), "The network")
    trial = finished.trials["0004"]
    for row in (
        "| Depth | 8 layers |",
        f"| Parameters, trainable | {trial.params:,} |",
        "| Parameters, not trainable (batch-norm statistics) | 168 |",
        f"| Multiply-adds of one image | {trial.macs:,} (",
        "| Trained for | 3 epochs of 3 |",
        "| Validation accuracy | 80.00 % ± 1.26 % (standard error) on 1,000 images |",
        "| Size of the SavedModel on disk | 123 kB (123,456 bytes) |",
        "| Largest difference from the trained model | 2.4e-07 in a probability, over 64 images |",
    ):
        assert row in text


def test_what_the_accuracy_is_not(finished: RunView) -> None:
    text = section(report_of(finished), "What this accuracy is not")
    assert "The 500 test images" in text
    assert "no choice, no number here is of them" in text
    assert "among 3 candidates trained for all epochs" in text
    # 1.265 points times sqrt(2 ln 3).
    assert "by up to 1.9 percentage points" in text


def test_a_perfect_score_claims_no_error_of_zero(make_view: MakeView) -> None:
    run = Events()
    run.create(0, 0, (0, 0, 0), (0, 3))
    run.complete(0, 1.0)
    text = to_markdown(report_of(make_view(run)))
    assert "±  0.00" not in text
    assert "has no standard error; other images could show about 0.3 % otherwise" in text


def test_best_ten_explains_ties_and_what_cannot_be_told_apart(make_view: MakeView) -> None:
    run = search_events()
    run.create(7, 3, (0, 0, 0), (0, 3))
    run.complete(7, 0.79)
    run("finished")
    text = section(report_of(make_view(run)), "The best ten")
    places = [line.split("|")[2].strip(" `") for line in text.splitlines() if line.startswith("|")][2:]
    assert places == ["0004", "0007", "0005", "0006"]
    assert text.count("79.00 % (tie)") == 2
    assert "in the order in which the search drew the candidates" in text
    assert "2 of these are within one standard error of a difference (1.79 percentage points)" in text


def test_best_ten_has_ten(make_view: MakeView) -> None:
    run = Events()
    for number in range(12):
        run.create(number, number, (0, 0, 0), (0, 3), slot=number)
        run.complete(number, 0.5 + number / 100)
    text = section(report_of(make_view(run)), "The best ten")
    assert sum(line.startswith("|") for line in text.splitlines()) == 2 + 10
    assert "Of 12 candidates" in text


def test_the_way_of_the_winner(finished: RunView) -> None:
    text = section(report_of(finished), "How it was trained")
    assert "| `0000` | 0 / 1 / 0 | 0 to 1 | 50.00 % | 7.0 s |" in text
    assert "| `0004` | 0 / 1 / 1 | 1 to 3 | 80.00 % | 7.0 s |" in text
    assert "`▁▂█`" in text or "`▁▁█`" in text
    assert "| 3 | 80.00 % | 0.5000 | 80.00 % | 0.6667 | 0.1 |" in text


def test_batches_in_parts_are_told(make_view: MakeView) -> None:
    run = Events()
    run.create(0, 0, (0, 0, 0), (0, 3))
    run("divided", trial="0000", parts=4)
    run.complete(0, 0.5)
    text = section(report_of(make_view(run)), "How it was trained")
    assert "each batch was trained in 4 parts" in text


def test_brackets_as_planned_and_as_run(finished: RunView) -> None:
    text = section(report_of(finished), "Brackets")
    assert "| 0 / 1 / 0 | 0 to 1 | 3 | 3 | 0 | 1 | 0 | 50.00 % |" in text
    assert "| 0 / 1 / 1 | 1 to 3 | 1 | 1 | 0 | 0 | 0 | 80.00 % |" in text
    assert "| `0001` | `basic14-w4` | `the loss was nan in epoch 1` | `0002` |" in text


def test_many_failures_are_counted_not_listed(make_view: MakeView) -> None:
    run = Events()
    for number in range(60):
        run.create(number, number, (0, 1, 0), (0, 1), replacement=number)
        run.fail(number, "why")
    text = section(report_of(make_view(run)), "Brackets")
    assert text.count("`why`") == 50
    assert "10 more are in events.jsonl" in text
    assert "not yet" in text


def test_budget_against_training_everything(finished: RunView) -> None:
    text = section(report_of(finished), "What it cost")
    assert "11 epochs of training in 6 completed trials, of 11 epochs in 6 trials planned." in text
    assert "36 s of training and 6.0 s of preparing trials" in text
    # Six candidates, one of which failed before its first epoch was over.
    assert "Training all 6 candidates to the end is 18 epochs, 1.6 times as many" in text
    # Five with a speed: 4 s an epoch, 6 and 6, 2 and 2, 3 epochs each.
    assert "1 min 0 s of training (an estimate)" in text


def test_reused_trials_cost_nothing(make_view: MakeView) -> None:
    run = search_events()
    run.create(7, 0, (0, 1, 0), (0, 1), parent="0000", reused=True)
    run.complete(7, 0.5)
    view = make_view(run)
    assert "11 epochs of training in 7 completed trials" in section(report_of(view), "What it cost")
    assert "| `0007` | 0 / 1 / 0 | none: trained before |" in section(
        report_of(view, view.trials["0007"]), "How it was trained"
    )


def test_inputs_and_how_to_repeat(finished: RunView) -> None:
    document = report_of(finished)
    searched = section(document, "What was searched")
    assert "| Axis: n | `1, 2` |" in searched
    assert "| Limit: max_params | 100,000 trainable parameters |" in searched
    images = section(document, "Images")
    assert "| Validated on | 1,000 images, held back from the training images |" in images
    assert "`disc, ring, star`" in images
    repeat = section(document, "To repeat")
    assert (
        "resnet-search run --space space.toml --max-epochs 3 --factor 3 --iterations 1 --promotion sync "
        "--max-params 100000 --data shapes --validation 1000 --seed 7 --workers 2 --threads 3 --device cpu "
        "--precision float32\n"
    ) in repeat
    for part in ("`resnet-search run --space small --seed 7`", "width = [4, 6, 8]", "`5604e3d3`", '"momentum": 0.9'):
        assert part in repeat


def test_many_classes_are_counted(make_view: MakeView) -> None:
    content = make_content()
    content["data"]["classes"] = [f"class{number}" for number in range(30)]
    text = section(report_of(make_view(search_events(), content)), "Images")
    assert "class19` and 10 more" in text


def test_an_unfinished_run_says_so(make_view: MakeView) -> None:
    run = Events()
    run.create(0, 0, (0, 1, 0), (0, 1))
    run.complete(0, 0.5)
    run.create(1, 1, (0, 1, 0), (0, 1), slot=1)
    document = report_of(make_view(run))
    text = to_markdown(document)
    assert "**The search is not finished (interrupted): 1 of 6 trials.**" in text
    assert "`resnet-search resume small-run`" in text
    assert "**This network was trained for 1 of 3 epochs: it is not trained to the end.**" in text
    assert "the best so far is `basic8-w4`" in text
    assert "No trial has been trained for the full budget yet" in text
    assert "| 0 / 1 / 0 | 0 to 1 | 3 | 1 | 0 | 0 | 2 | 50.00 % |" in section(document, "Brackets")


def test_a_run_without_a_result(make_view: MakeView) -> None:
    document = report_of(make_view(Events()))
    assert "No trial has completed yet" in to_markdown(document)
    assert next(str(part.title) for part in document.sections) == "The best ten"


def test_another_trial_than_the_winner(finished: RunView) -> None:
    text = to_markdown(report_of(finished, finished.trials["0006"]))
    assert "The network: chosen trial" in text
    assert "The best of the search is another one: `basic8-w4`, trial 0004." in text


def test_without_an_export_it_says_how(finished: RunView) -> None:
    assert "`resnet-search export small-run`" in section(report_of(finished), "How to use it")


def test_a_damaged_history_does_not_stop_the_report(finished: RunView) -> None:
    path = finished.folder.trial("0004") / "history.jsonl"
    path.write_text('{"epoch": 2}\n')
    assert "The learning curve cannot be read" in to_markdown(report_of(finished))
    path.write_text("not json\n")
    assert "The learning curve cannot be read" in to_markdown(report_of(finished))


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
    run.create(7, 5, (0, 0, 0), (0, 3), name=hostile, recipe={hostile: hostile})
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
