"""No two statements of a run disagree: its report, its card and the screens of all kinds of runs are read together."""

from __future__ import annotations

import copy
import re
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resnet_search.cli.worth import best_lines, images_line
from resnet_search.export.card import card
from resnet_search.files import append_line, write_json
from resnet_search.report.as_json import plain, to_json
from resnet_search.report.compared import compare
from resnet_search.report.content import report_of
from resnet_search.report.document import Document
from resnet_search.report.exported import Exported, File
from resnet_search.report.facts import Duplicates, Facts, confirmed_of, facts_of
from resnet_search.report.figures.halving import TO_THE_END, brackets, outcomes
from resnet_search.report.inputs import equal_images
from resnet_search.runs.after import CONFIRM, FINAL, LEDGER, TESTED
from resnet_search.runs.folder import RunFolder
from resnet_search.runs.trials import RunView, read_run
from tests.faults.table import fault
from tests.report.conftest import Events, make_content, put, search_events
from tests.report.test_tested import make_measured

LATE = 2e9  # after every training
AGAIN = [{"iteration": 0, "bracket": 0, "candidates": [{"architecture": {}, "recipe": {}, "repeat": 1}], "presets": []}]
ONE = {"index": 0, "size": 1, "initial_epoch": 0, "epochs": 3}
MEASURED = replace(make_measured([[140, 20, 10], [30, 120, 15], [5, 10, 150]]), classes=("disc", "ring", "star"))
IMPORTED = {"project": "p", "tuner": "Hyperband", "score": "val_accuracy", "mapped": {}, "fixed": {}, "ignored": [],
            "skipped": {}}  # fmt: skip


@dataclass(frozen=True)
class Record:
    """A run to be built. `factor`: of its scores; a low one leaves them at chance. `confirmed`: how far.

    `final`: the trial of its final network. `reads`: of the test images after the search, beside that of `final`.
    """

    factor: float = 1.0
    finished: bool = True
    confirmed: str = ""
    final: str = ""
    tested: bool = False
    reads: int = 0
    early: bool = False
    extended: bool = False
    imported: bool = False
    duplicates: dict[str, Any] | None = None


RECORDS = st.builds(
    Record,
    factor=st.sampled_from([1.0, 0.38]),
    finished=st.booleans(),
    confirmed=st.sampled_from(["", "begun", "done"]),
    final=st.sampled_from(["", "0004", "0005", "0000"]),
    tested=st.booleans(),
    reads=st.integers(0, 2),
    early=st.booleans(),
    extended=st.booleans(),
    imported=st.booleans(),
    duplicates=st.sampled_from([
        None, {"train": 0, "groups": 0, "test_in_train": 0}, {"train": 40, "groups": 4, "test_in_train": 12},
        {"train": 0, "groups": 0, "test_in_train": 1}, {"unknown": 7},
    ]),
)  # fmt: skip


def build(record: Record, place: Path) -> RunView:
    """Write a run with what followed it."""
    content = make_content()
    if record.duplicates is not None:
        content["data"]["duplicates"] = record.duplicates
    if record.imported:
        content["imported"] = IMPORTED
    run, path = search_events(), place / "small-run"
    for line in run.lines:
        if "score" in line:
            line["score"] = round(line["score"] * record.factor, 3)
    if record.finished:
        run("finished")
    if record.extended:
        run("extended", **longer(content))
        run.create(7, 4, (1, 1, 0), (3, 9), parent="0005")
        run.complete(7, round(0.9 * record.factor, 3))
    put(path, content, run)
    follow(record, content, path)
    moments = [LATE] * record.reads
    if record.final and record.tested:
        moments.append(LATE + 1)
        write_json(path / FINAL / TESTED, {"trial": "0000", "time": LATE, "measured": MEASURED.to_dict()})
    if record.early:
        moments.append(1.0)
    for moment in moments:
        append_line(path / LEDGER, {"time": moment, "command": ["x"], "network": "n", "images": 500})
    return read_run(RunFolder(path))


def follow(record: Record, content: dict[str, Any], path: Path) -> None:
    """Write the confirmation and the final network of a run, from before its extension."""
    follows: dict[str, Any] = {"run": "small-run", "seeds": 2, "completed": 6}
    if record.confirmed:
        again = {**content, "known": AGAIN, "of": {**follows, "kind": CONFIRM, "trials": ["0004", "0005"]}}
        put(path / CONFIRM, again, trained([0.7, 0.78, 0.71, 0.79][: 4 if record.confirmed == "done" else 2]))
    if record.final:
        final = {**copy.deepcopy(content), "known": AGAIN, "of": {**follows, "kind": FINAL, "trials": [record.final]}}
        final["data"]["merged"], final["data"]["train"] = True, 4000
        final["space"]["method"], final["feasible"]["architectures"] = "grid", 1
        put(path / FINAL, final, trained([0.95]))


def longer(content: dict[str, Any]) -> dict[str, Any]:
    rungs = [{"index": 0, "size": 1, "initial_epoch": 3, "epochs": 9}]
    bracket = {"iteration": 1, "number": 1, "offset": 0, "rungs": rungs}
    return {"plan": [*content["plan"], bracket], "horizon": 9, "hyperband": {"max_epochs": 9}, "known": None}


def trained(scores: list[float]) -> Events:
    run = Events()
    for trial, score in enumerate(scores):
        run.create(trial, trial, (0, 0, 0), (0, 3), slot=trial, repeat=1 + trial // 2)
        run.complete(trial, score)
    run("finished")
    return run


def texts(view: RunView) -> Iterator[str]:
    """Everything that is said of a run, and of each of its trials trained in full."""
    images = int(view.content["data"]["validation"])
    file = File(format="saved_model", name="saved_model", runtime="TensorFlow", size=1000, compared=images,
                difference=1e-7, agreement=1.0, required=0.0, accuracy=0.8, latencies=())  # fmt: skip
    exported = Exported(difference=1e-7, compared=images, accuracy=0.8, size=1000, files=(file,))
    facts = facts_of(view)
    for trial in (None, *view.ranking()):
        yield flat(to_json(report_of(view, trial, exported)))
        measured = None if facts.tested is None else facts.tested.measured
        yield card(view, [trial or view.ranking()[0]], exported, measured=measured).replace("\\", "")
    yield images_line(view)
    yield "\n".join(best_lines(view))


def flat(document: Any) -> str:
    if isinstance(document, dict):
        return "\n".join(flat(value) for key, value in document.items() if key != "type")
    return "\n".join(map(flat, document)) if isinstance(document, list) else str(document)


Claim = tuple[str, Callable[[re.Match[str]], Any]]


def number(found: re.Match[str]) -> int:
    return int(found[1].replace(",", ""))


# What a sentence claims, whoever says it: the same subject must have one value in all texts of a run.
CLAIMS: dict[str, tuple[Claim, ...]] = {
    "reads": (
        (r"test images were never read|(?<!to be )\bnot read\b|no number comes from them", lambda _: 0),
        (r"(?<!be )\bread once\b", lambda _: 1),
        (r"\bread ([\d,]+) times\b", number),
    ),
    "validation images": ((r"([\d,]+) validation images", number),),
    "test images": ((r"([\d,]+) test images? of this data set", number),),
    "test images trained on": ((r"([\d,]+) test images? equals? a training image", number),
                               (r"of which ([\d,]+) equals? a training image", number)),
    "test accuracy": ((r"([\d.]+) % test accuracy", lambda found: float(found[1])),
                      (r"Top-1 accuracy on the test images\n([\d.]+) %", lambda found: float(found[1]))),
    "unbiased": ((r"accuracy is unbiased", lambda _: True), (r"accuracy is not unbiased", lambda _: False)),
    "winner": ((r"best is now trial (\d+)", lambda found: found[1]),
               (r"of its run, which is \S+ trial (\d+)", lambda found: found[1]),
               (r"best network of the search, which is \S+ trial (\d+)", lambda found: found[1]),
               (r"\bthe (?:winner|best so far) is \S+, trial (\d+)", lambda found: found[1])),
    "learnt": ((r"No network was shown to have learnt", lambda _: False),
               (r"tied with the first|tied with it|Pareto front", lambda _: True)),
    "merged": ((r"held back", lambda _: False), (r"are among the training images", lambda _: True)),
    "final": ((r"Trained in full: \S+, trial (\d+)", lambda found: found[1]),
              (r"\nTrial (\d+) of the search, ", lambda found: found[1])),
}  # fmt: skip


def claims(text: str, subject: str) -> set[Any]:
    return {value(found) for pattern, value in CLAIMS[subject] for found in re.finditer(pattern, text)}


def contradictions(said: list[str], expected: dict[str, Any]) -> list[tuple[str, set[Any]]]:
    """List the subjects with claims other than the expected one."""
    found = {subject: set().union(*(claims(text, subject) for text in said)) for subject in CLAIMS}
    return [(subject, values) for subject, values in found.items() if values - {expected[subject]}]


def expectations(view: RunView, record: Record, facts: Facts) -> dict[str, Any]:
    """What holds, from the record alone where possible."""
    read = record.reads + record.early + bool(record.final and record.tested)
    same = (record.duplicates or {}).get("test_in_train", 0)
    merged = bool(view.content["data"].get("merged"))
    winner = view.winner
    return {
        "reads": read,
        "validation images": 1000,
        "test images": 500,
        "test images trained on": same,
        "test accuracy": 100 * MEASURED.top1.value,
        "unbiased": not same and not record.early and read <= 1,
        "winner": None if winner is None else winner.trial,
        "learnt": record.factor == 1.0 or bool(record.confirmed) or bool(record.final and record.tested),
        "merged": merged,
        "final": record.final,
    }


@fault(
    "numbers",
    "Documents of a run are written before and after its test images are read, it is extended or another trial trained",
    here="report, card and screens state the facts of one record: reads, sizes, test accuracy, winner, final network",
)
@given(RECORDS)
@settings(max_examples=6)
def test_no_two_statements_of_a_run_disagree(record: Record) -> None:
    check_statements(record)


@pytest.mark.slow
@given(RECORDS)
@settings(max_examples=200)
def test_no_two_statements_of_any_run_disagree(record: Record) -> None:
    check_statements(record)


def check_statements(record: Record) -> None:
    with tempfile.TemporaryDirectory() as name:
        view = build(record, Path(name))
        facts = facts_of(view)
        expected = expectations(view, record, facts)
        said = list(texts(view))
        assert contradictions(said, expected) == []
        # A number from the test images never stands without what spoils it.
        for line in "\n".join(said).splitlines():
            if "test accuracy on" in line and expected["test images trained on"]:
                assert claims(line, "test images trained on")
        as_json, _ = compare([view, view])["runs"]
        assert as_json["learnt"] == expected["learnt"]
        assert bool((as_json["confirmed"] or {}).get("outdated")) == bool(record.confirmed and record.extended)
        accuracy = (as_json["tested"] or {}).get("accuracy")
        assert accuracy == (MEASURED.top1.value if record.final and record.tested else None)
        if record.final and record.tested:
            final = read_run(RunFolder(view.folder.path / FINAL))
            own = {**expected, "merged": True, "winner": "0000"}
            assert contradictions(list(texts(final)), own) == []


@fault(
    "numbers",
    "A search is extended after its best candidates were confirmed",
    here="the confirmation is marked as outdated wherever it stands, `train RUN` does not choose by it, and `confirm "
    "--discard` confirms the new best",
)
@given(RECORDS.filter(lambda record: bool(record.confirmed and record.extended)))
@settings(max_examples=4)
def test_a_confirmation_from_before_an_extension_is_marked_wherever_it_stands(record: Record) -> None:
    with tempfile.TemporaryDirectory() as name:
        view = build(record, Path(name))
        again = confirmed_of(view)
        assert again is not None
        assert "trial 0007" in again.outdated
        assert not again.counts
        report = report_of(view)
        opening = "\n".join(plain(block.text) for block in report.blocks if hasattr(block, "text"))
        [section] = [section for section in report.sections if section.title == "Confirmed"]
        for text in (opening, flat(to_json(report_of(view)))):
            assert again.outdated in text
        assert again.outdated in plain(section.blocks[0].text)  # type: ignore[union-attr]


def test_the_contradictions_of_an_earlier_version_are_found() -> None:
    said = [
        "The test images were never read: no number here comes from them.",
        "100 images, counted and not read",
        "Trained in full: `plain8-w6`, trial 0001, has 54.00 % test accuracy on 100 test images, read once",
        "54.00 % test accuracy. 12 test images equal a training image. Test accuracy is unbiased as long as",
    ]
    expected = dict.fromkeys(CLAIMS) | {
        "reads": 1, "test accuracy": 54.0, "final": "0001", "test images trained on": 12, "unbiased": False,
    }  # fmt: skip
    assert [subject for subject, _ in contradictions(said, expected)] == ["reads", "unbiased"]


@pytest.mark.parametrize(("grouped", "told"), [(True, "kept together"), (False, "both sides")])
def test_equal_training_images_are_counted_with_their_side_of_the_split(
    tmp_path: Path, grouped: bool, told: str
) -> None:
    found = {"train": 40, "groups": 4, "several_classes": 1, "test_in_train": 0}
    view = build(Record(duplicates=found), tmp_path)
    view.content["data"]["grouped"] = grouped
    rows = [" ".join(map(str, row)) for row in equal_images(facts_of(view))]
    assert [re.findall(r"\d+", row) for row in rows] == [["40", "4"], ["1"]]
    assert told in rows[0]


def test_a_final_network_is_called_what_it_is(tmp_path: Path) -> None:
    roles = {}
    for final in ("0004", "0005", "0000", "0006"):
        (tmp_path / final).mkdir()
        facts = facts_of(build(Record(confirmed="done", final=final), tmp_path / final))
        assert facts.full is not None
        roles[final] = facts.full.role
    # The confirmation puts trial 0005 first; trial 0000 is the first rung of the winner's candidate.
    assert roles == {"0004": "winner", "0005": "confirmed", "0000": "winner", "0006": "other"}


@pytest.mark.parametrize("found", [None, "x", {"test_in_train": "12"}, []])
def test_duplicates_that_were_not_looked_for_are_none(found: Any) -> None:
    content = make_content()["data"] | ({} if found is None else {"duplicates": found})
    from resnet_search.report.facts import duplicates_of

    assert duplicates_of(content) == Duplicates()


def test_only_trials_with_all_epochs_of_an_extended_run_are_trained_in_full(tmp_path: Path) -> None:
    view = build(Record(extended=True), tmp_path)
    full = {trial.epochs for trial, outcome in outcomes(view) if outcome == TO_THE_END}
    assert full == {view.max_epochs}


def test_an_extension_is_no_iteration(tmp_path: Path) -> None:
    view = build(Record(extended=True), tmp_path)
    view.content["known"] = [{"iteration": 1, "bracket": 1, "candidates": [], "presets": []}]
    assert not re.findall(r"all \d+ iterations", flat(to_json(Document((), (), brackets(view)))))
