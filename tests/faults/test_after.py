"""kill -9 of what follows a search: the same command goes on to the same result; no read of test images is hidden."""

from __future__ import annotations

import random
import shutil
from collections import Counter
from typing import Any

import pytest

from resnet_search.report.confirmed import Confirmation, confirmation
from resnet_search.report.facts import known_test
from resnet_search.runs.after import CONFIRM, FINAL, following, put_back, reads_of_test_images
from resnet_search.runs.events import read_events
from resnet_search.runs.trials import RunView

from .conftest import Search
from .injection import IMAGES
from .table import fault
from .test_kills import kills, one_of_each, states

CONFIRMING = ("confirm", "--top", "3", "--seeds", "3")
CONFIRMING_LESS = ("confirm", "--top", "2", "--seeds", "2")
TRAINING = ("train", "--epochs", "2")


@pytest.fixture
def searched(make_search: Any, whole: Any) -> Any:
    """Copy a finished search to a place, where its driver has so many slots."""

    def make(place: str, **settings: Any) -> Search:
        search: Search = make_search(place, **settings)
        search.runs_dir.mkdir()
        shutil.copytree(whole().folder.path, search.folder.path)
        return search

    return make


def call(search: Search, words: tuple[str, ...], **faults: Any) -> dict[str, Any]:
    """A command about the search; its options are for the first time only."""
    verb, *options = words
    again = (search.folder.path / {"confirm": CONFIRM, "train": FINAL}[verb]).exists() and "--discard" not in options
    given = [] if again else options
    answer: dict[str, Any] = search.drive(words=[verb, str(search.folder.path), *given, "-q"], **faults)
    return answer


def finish(search: Search, words: tuple[str, ...]) -> None:
    answer = call(search, words)
    assert answer["status"] == 0, answer


def steps_of(search: Search, words: tuple[str, ...]) -> list[str]:
    trace = search.runs_dir / "trace"
    answer = call(search, words, trace=str(trace))
    assert answer["status"] == 0, answer
    return trace.read_text().splitlines()


def confirmed(search: Search) -> tuple[RunView, Confirmation]:
    again = following(search.folder, CONFIRM)
    assert again is not None
    return again, confirmation(search.view(), again)


def check_confirmation(search: Search, whole: Search, number: int = 3) -> None:
    """Every candidate has each of its seeds once, and the table is that of a confirmation that nothing happened to."""
    again, found = confirmed(search)
    assert again.state == "finished"
    assert found == confirmed(whole)[1]
    repeats = Counter((trial.slot % number, trial.repeat) for trial in again.trials.values())
    assert repeats == Counter((candidate, seed + 1) for candidate in range(number) for seed in range(number))
    ended = Counter(
        line["trial"] for line in read_events(again.folder.events) if line["event"] in {"completed", "failed"}
    )
    assert set(ended.values()) == {1}
    assert len(ended) == number**2
    assert "Confirmed" in (search.folder.path / "report" / "report.md").read_text()


def test_a_confirmation_that_nothing_happens_to(searched: Any) -> None:
    whole = searched("whole")
    finish(whole, CONFIRMING)
    check_confirmation(whole, whole)
    _, found = confirmed(whole)
    assert 0 < found.done < found.networks == 9, "some of these networks cannot be trained"
    assert found.done + len(found.failures) == 9
    trained = whole.trained()
    assert set(trained.values()) == {1}
    finish(whole, CONFIRMING)
    assert whole.trained() == trained


@fault(
    "crash",
    "`kill -9` while the best candidates are confirmed",
    here="`confirm` continues: each candidate has each seed once, and the table is that of an uninterrupted one",
)
def test_a_confirmation_that_is_killed_at_a_write(searched: Any) -> None:
    whole = searched("whole")
    steps = steps_of(whole, CONFIRMING)
    trained = whole.trained()
    for at, moment in one_of_each(steps, states(steps))[::3]:
        search = searched(f"{at}-{moment}")
        assert call(search, CONFIRMING, at=at, moment=moment)["status"] == -9
        finish(search, CONFIRMING)
        check_confirmation(search, whole)
        assert sum((search.trained() - trained).values()) <= 1, "one epoch of the one network in flight"
        shutil.rmtree(search.runs_dir)


@pytest.mark.parametrize("times", [2, pytest.param(6, marks=pytest.mark.slow)])
def test_a_confirmation_that_is_killed_at_random_moments(times: int, searched: Any) -> None:
    """Driver, worker or both, with two workers in processes of their own, and again while it goes on."""
    settings = {"slots": 2, "forked": True}
    whole = searched("whole", **settings)
    longest = call(whole, CONFIRMING)["seconds"]
    trained, chance = whole.trained(), random.Random(3)
    killed = 0
    for number in range(times):
        search = searched(f"{number}", **settings)
        for whom in ("driver", "worker", "both"):
            answer = call(search, CONFIRMING, kill_after=chance.uniform(0.1, 0.7) * longest, whom=whom)
            assert answer["status"] in {0, -9}, answer
            killed += answer["status"] == -9
        finish(search, CONFIRMING)
        check_confirmation(search, whole)
        assert set((search.trained() - trained).values()) <= {1, 2, 3}
        shutil.rmtree(search.runs_dir)
    assert killed >= times // 2


DISCARDING = ("confirm", "--discard", "--top", "3", "--seeds", "3")


@fault(
    "crash",
    "`kill -9` while `--discard` puts a new confirmation, or network, in the place of an earlier one",
    here="the earlier one is there until the new one has started, and comes back if that never was",
)
def test_what_is_discarded_is_there_until_the_new_one_has_started(searched: Any) -> None:
    base, whole = searched("base"), searched("whole")
    finish(base, ("confirm", "--top", "2", "--seeds", "1"))
    finish(whole, CONFIRMING)
    before, after = confirmed(base)[1], confirmed(whole)[1]
    assert before != after

    def copied(place: str) -> Search:
        search: Search = searched(place)
        shutil.rmtree(search.folder.path)
        shutil.copytree(base.folder.path, search.folder.path)
        return search

    steps = steps_of(copied("steps"), DISCARDING)
    points = [(at, moment) for at, moment in states(steps) if at <= _first(steps, "history.jsonl")]
    assert {"confirm", "confirm.aside"} <= {steps[at - 1].split()[1] for at, _ in points}
    seen = set()
    for at, moment in points:
        search = copied(f"{at}-{moment}")
        assert call(search, DISCARDING, at=at, moment=moment)["status"] == -9
        # As the next command does.
        put_back(search.folder.path / CONFIRM)
        again, found = confirmed(search)
        assert found == before or any(line["event"] == "started" for line in read_events(again.folder.events))
        finish(search, CONFIRMING)
        found = confirmed(search)[1]
        assert found in (before, after)
        seen.add(found == after)
        assert not (search.folder.path / "confirm.aside").exists()
        shutil.rmtree(search.runs_dir)
    assert seen == {True, False}


def _first(steps: list[str], name: str) -> int:
    return next(at for at, step in enumerate(steps, 1) if step.endswith(f" {name}"))


def happened(search: Search) -> int:
    """How often the test images were read, as whoever reads them says."""
    path = search.runs_dir / "reads"
    return len(path.read_text().splitlines()) if path.exists() else 0


def check_tested(search: Search, whole: Search) -> None:
    """The network is trained, exported and measured, its report tells so, and every read is in the ledger."""
    final, uninterrupted = following(search.folder, FINAL), following(whole.folder, FINAL)
    assert final is not None
    assert uninterrupted is not None
    assert final.state == "finished"
    assert [trial.score for trial in final.trials.values()] == [one.score for one in uninterrupted.trials.values()]
    known, same = known_test(final), known_test(uninterrupted)
    assert known is not None
    assert same is not None
    assert known.measured == same.measured
    assert known.measured.images == IMAGES
    export = final.folder.path / "export"
    assert (export / "saved_model" / "saved_model.pb").is_file()
    times = len(reads_of_test_images(final))
    told = "once" if times == 1 else f"{times} times"
    for page in (export / "report.md", export / "README.md", search.folder.path / "report" / "report.md"):
        assert f"The test images were read {told}." in page.read_text(), page
    assert "Trained in full" in (search.folder.path / "report" / "report.md").read_text()


def test_a_final_network_reads_the_test_images_once(searched: Any) -> None:
    whole = searched("whole")
    finish(whole, TRAINING)
    check_tested(whole, whole)
    for _ in range(2):
        finish(whole, TRAINING)
    assert happened(whole) == 1
    (read,) = reads_of_test_images(whole.view())
    assert read["images"] == IMAGES


@fault(
    "crash",
    "`kill -9` before, while and after a final network is measured on the test images",
    here="the ledger has every read that happened, and one that may have; a result that is there is not measured again",
)
def test_no_read_of_test_images_is_hidden(searched: Any) -> None:
    whole = searched("whole")
    steps = steps_of(whole, TRAINING)
    about = {"test_reads.jsonl", "test.json"}
    at_the_read = [(at, moment) for at, moment in kills(steps) if steps[at - 1].split()[1] in about]
    assert {steps[at - 1].split()[1] for at, _ in at_the_read} == about
    noted, result = _first(steps, "test_reads.jsonl"), _last(steps, "test.json")
    behind = (result + 1, "after")
    points: list[dict[str, Any]] = [{"at": at, "moment": moment} for at, moment in [*at_the_read, behind]]
    counts = set()
    for number, point in enumerate([*points, {"kill_in_read": True}]):
        search = searched(f"{number}")
        assert call(search, TRAINING, **point)["status"] == -9
        before, lines = happened(search), len(reads_of_test_images(search.view()))
        assert before <= lines
        at = point.get("at", noted)
        if at < noted:
            assert (before, lines) == (0, 0)
        measured = (search.folder.path / FINAL / "test.json").exists()
        finish(search, TRAINING)
        check_tested(search, whole)
        after, reads = happened(search), len(reads_of_test_images(search.view()))
        assert after == before + (0 if measured else 1), "a result that is there is not measured again"
        assert after <= reads <= 2
        counts.add((after, reads))
        shutil.rmtree(search.runs_dir)
    # Read once; noted, but killed before it was read; and read twice.
    assert counts == {(1, 1), (1, 2), (2, 2)}


def _last(steps: list[str], name: str) -> int:
    return max(at for at, step in enumerate(steps, 1) if step.endswith(f" {name}"))


@pytest.mark.slow
@pytest.mark.parametrize("words", [CONFIRMING_LESS, TRAINING], ids=["confirm", "train"])
def test_a_kill_at_every_write_of_what_follows(words: tuple[str, ...], searched: Any) -> None:
    whole = searched("whole")
    steps = steps_of(whole, words)
    for at, moment in states(steps):
        search = searched(f"{at}-{moment}")
        assert call(search, words, at=at, moment=moment)["status"] == -9
        finish(search, words)
        if words == TRAINING:
            check_tested(search, whole)
        else:
            check_confirmation(search, whole, number=2)
        assert happened(search) <= len(reads_of_test_images(search.view()))
        shutil.rmtree(search.runs_dir)
