"""What follows a search: its best trained again with several seeds, and its winner on all images."""

from __future__ import annotations

import errno
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from resnet_search.errors import RunError, TrainingError, UsageError, UserError
from resnet_search.networks.architecture import Architecture
from resnet_search.report.confirmed import confirmation
from resnet_search.runs.after import CONFIRM, FINAL, TESTED, following, note_read, put_back, reads_of_test_images
from resnet_search.runs.folder import RunFolder
from resnet_search.runs.trials import COMPLETED, RunView, open_run
from resnet_search.search import after, start
from resnet_search.search.after import AgainSettings, confirm_run, final_run, go_on
from resnet_search.search.candidates import Candidate
from resnet_search.search.start import SearchSettings, run_search
from resnet_search.training.arrays import read_arrays
from resnet_search.training.datasets import shapes
from resnet_search.workers.local import WorkerSettings

from .conftest import KnownWorkers, make_space

RECIPE = "[recipe]\nlearning_rate = { min = 0.01, max = 0.1, log = true }\n"


TRAIN = 500  # images of the source; a tenth of them is validated on


@pytest.fixture(scope="module", autouse=True)
def small() -> Iterator[None]:
    """A small data set, and searches on two workers that know every score."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shapes, "TRAIN", TRAIN)
        patch.setattr(shapes, "TEST", 50)
        patch.setattr(start, "LocalWorkers", lambda slots, *_: KnownWorkers(slots))
        for module in (start, after):
            patch.setattr(module, "choose_workers", lambda *_, **__: (2, WorkerSettings(threads=1)))
            patch.setattr(module, "keras_backend", lambda: "tensorflow")
        yield


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[KnownWorkers]]:
    """Give the workers of later searches some options; those that were made so far."""
    made: list[KnownWorkers] = []

    def choose(**options: Any) -> list[KnownWorkers]:
        def workers(slots: int, settings: WorkerSettings, log: Path) -> KnownWorkers:
            del settings, log
            made.append(KnownWorkers(slots, **options))
            return made[-1]

        monkeypatch.setattr(start, "LocalWorkers", workers)
        return made

    return choose


@pytest.fixture(scope="module")
def searched(small: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of runs with a finished search in it, on 200 of the images."""
    del small
    runs = tmp_path_factory.mktemp("searched")
    run_search(
        make_space(9, RECIPE), SearchSettings(runs_dir=runs, name="s", train_examples=200, seed=5, deterministic=True)
    )
    return runs


@pytest.fixture
def view(searched: Path, tmp_path: Path) -> RunView:
    """That search, for one test."""
    shutil.copytree(searched, tmp_path, dirs_exist_ok=True)
    return open_run("s", tmp_path)


def table(view: RunView) -> list[tuple[Any, ...]]:
    return sorted((trial.name, trial.repeat, trial.slot, trial.status, trial.score) for trial in view.trials.values())


def test_the_best_are_trained_again_with_seeds_of_their_own(view: RunView, use: Callable[..., Any]) -> None:
    made = use()
    again = confirm_run(view, 3, 4, AgainSettings())
    best = view.ranking()[:3]
    assert again.state == "finished"
    assert [trial.architecture for trial in again.trials.values()] == [trial.architecture for trial in best] * 4
    assert [trial.recipe for trial in again.trials.values()] == [trial.recipe for trial in best] * 4
    assert [trial.repeat for trial in again.trials.values()] == [1] * 3 + [2] * 3 + [3] * 3 + [4] * 3
    seeds = [job.seed for job in made[-1].submitted]
    before = [Candidate(Architecture.from_dict(t.architecture), tuple(sorted(t.recipe.items()))).seed(5) for t in best]
    assert len(set(seeds + before)) == 15
    assert {(job.initial_epoch, job.epochs, job.horizon, job.parent) for job in made[-1].submitted} == {(0, 9, 9, None)}
    assert {job.data for job in made[-1].submitted} == {str(view.folder.arrays(view.content))}


def test_a_confirmation_goes_on_where_it_was_stopped(view: RunView, use: Callable[..., Any], tmp_path: Path) -> None:
    shutil.copytree(view.folder.path, tmp_path / "t")
    whole = table(confirm_run(view, 2, 3, AgainSettings()))
    other = open_run("t", tmp_path)
    use(stop_after=17)
    with pytest.raises(KeyboardInterrupt):
        confirm_run(other, 2, 3, AgainSettings())
    part = following(other.folder, CONFIRM)
    assert part is not None
    assert 0 < part.completed < 6
    use()
    assert table(go_on(part.folder, AgainSettings())) == whole


def test_another_recipe_replaces_the_values_that_varied(view: RunView, use: Callable[..., Any]) -> None:
    made = use()
    again = confirm_run(view, 1, 1, AgainSettings(recipe="he"))
    (job,) = made[-1].submitted
    assert (job.recipe["name"], job.recipe["learning_rate"], job.epochs) == ("he", 0.1, 164)
    assert not confirmation(view, again).alike
    assert confirmation(view, again).epochs == 164


@pytest.mark.parametrize("kind", [CONFIRM, FINAL])
def test_after_a_run_with_older_defaults_everything_trains_as_that_did(
    view: RunView, use: Callable[..., Any], kind: str
) -> None:
    older = {"optimizer": "sgd", "batch_size": 128, "crop_padding": 4}
    view.content["recipe"] |= older
    made, settings = use(), AgainSettings(epochs=1)
    if kind == CONFIRM:
        confirm_run(view, 1, 1, settings)
    else:
        final_run(view, view.ranking()[0], settings)
    (job,) = made[-1].submitted
    assert {key: job.recipe[key] for key in older} == older


def test_the_recipe_of_the_run_is_the_default(view: RunView) -> None:
    found = confirmation(view, confirm_run(view, 2, 2, AgainSettings()))
    assert found.alike
    assert [one.trial for one in found.candidates] != []
    for one in found.candidates:
        source = view.trials[one.trial]
        assert one.search_score == source.score
        assert one.accuracy.mean == pytest.approx(np.mean(list(one.scores.values())))
        assert one.overestimate.mean == pytest.approx(one.search_score - one.accuracy.mean)


def test_more_candidates_than_were_trained_in_full(view: RunView) -> None:
    there = len(view.ranking())
    with pytest.raises(UsageError, match=f"--top: got {there + 1}; allowed: 1 to {there}"):
        confirm_run(view, there + 1, 1, AgainSettings())
    assert following(view.folder, CONFIRM) is None


def test_a_network_that_fails_is_told_and_not_replaced(view: RunView, use: Callable[..., Any]) -> None:
    use(outcome=lambda job, _: "failed" if job.trial == "0001" else "done")
    found = confirmation(view, confirm_run(view, 2, 2, AgainSettings()))
    second = view.ranking()[1]
    assert [(what, reason) for what, reason in found.failures] == [(f"{second.name}, seed 1", "the loss was nan")]
    assert sum(len(one.scores) for one in found.candidates) == found.done == 3


def test_the_final_network_sees_the_validation_images(view: RunView, use: Callable[..., Any]) -> None:
    made = use()
    chosen = view.ranking()[1]
    done = final_run(view, chosen, AgainSettings(epochs=4))
    (job,) = made[-1].submitted
    before, arrays = read_arrays(view.folder.arrays(view.content)), read_arrays(done.folder.arrays(done.content))
    assert job.data == str(done.folder.arrays(done.content)) != str(view.folder.arrays(view.content))
    assert (job.architecture, job.epochs) == (chosen.architecture, 4)
    assert np.array_equal(arrays.x_train, np.concatenate([before.x_train, before.x_validation]))
    assert np.array_equal(arrays.y_train, np.concatenate([before.y_train, before.y_validation]))
    assert np.array_equal(arrays.x_validation, before.x_validation)
    assert done.content["data"]["train"] == len(arrays.x_train) == 200 + TRAIN // 10
    assert following(view.folder, FINAL) is not None


def test_what_follows_a_deterministic_run_is_deterministic(view: RunView) -> None:
    assert view.content["workers"]["deterministic"] is True
    done = final_run(view, view.ranking()[0], AgainSettings(epochs=1))
    assert done.content["workers"]["deterministic"] is True


def test_all_images_of_the_source(view: RunView) -> None:
    done = final_run(view, view.ranking()[0], AgainSettings(epochs=1), all_images=True)
    assert len(read_arrays(done.folder.arrays(done.content)).x_train) == TRAIN
    assert done.content["data"]["train_examples"] is None


def test_other_images_are_refused(view: RunView) -> None:
    view.content["data"]["fingerprint"] = "0" * 64
    with pytest.raises(RunError, match=r"images.*have changed"):
        final_run(view, view.ranking()[0], AgainSettings(epochs=1))
    assert following(view.folder, FINAL) is None


def test_what_follows_is_no_run_of_its_own(view: RunView, tmp_path: Path) -> None:
    confirm_run(view, 1, 1, AgainSettings())
    assert open_run("latest", tmp_path).folder.name == "s"
    assert {trial.status for trial in open_run(tmp_path / "s" / CONFIRM).trials.values()} == {COMPLETED}


def test_the_ledger_is_that_of_the_search(view: RunView) -> None:
    done = final_run(view, view.ranking()[0], AgainSettings(epochs=1))
    assert reads_of_test_images(view) == []
    note_read(done, command=["resnet-search", "train", "s"], network="basic8-w4", images=10)
    assert [(read["network"], read["images"]) for read in reads_of_test_images(view)] == [("basic8-w4", 10)]
    assert reads_of_test_images(done) == reads_of_test_images(view)
    (RunFolder(view.folder.path).path / "test_reads.jsonl").write_text("{}\n")
    with pytest.raises(RunError, match=r"test_reads.jsonl: is damaged"):
        reads_of_test_images(view)


def confirmed_before(view: RunView) -> tuple[Path, list[tuple[Any, ...]]]:
    """A confirmation that is to be discarded, and what it found."""
    return view.folder.path / CONFIRM, table(confirm_run(view, 2, 2, AgainSettings()))


def test_a_new_confirmation_takes_the_place_of_the_old_one(view: RunView) -> None:
    confirmed_before(view)
    with pytest.raises(RunError, match="exists in"):
        confirm_run(view, 3, 1, AgainSettings())
    again = confirm_run(view, 3, 1, AgainSettings(), discard=True)
    assert (again.state, again.completed) == ("finished", 3)
    assert sorted(path.name for path in view.folder.path.iterdir() if CONFIRM in path.name) == [CONFIRM]


def no_images(view: RunView) -> None:
    shutil.rmtree(view.folder.arrays(view.content))
    view.content["data"]["location"] = "/nowhere"
    view.content["space"]["data"]["source"] = "/nowhere"


def full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(start, "append_line", fail)


FAULTS: dict[str, Callable[[RunView, pytest.MonkeyPatch], dict[str, Any]]] = {
    "too many candidates": lambda *_: {"top": 99},
    "a bad recipe": lambda *_: {"settings": AgainSettings(recipe="none")},
    "no such device": lambda _, patch: {"device": patch.setattr(after, "choose_workers", refuse)},
    "images gone": lambda view, _: {"gone": no_images(view)},
    "a full disk at the first event": lambda _, patch: {"disk": full_disk(patch)},
    "ended before the first event": lambda _, patch: {"end": patch.setattr(start, "check_backend", interrupt)},
}


def refuse(*_: Any, **__: Any) -> None:
    raise TrainingError("--device: got 'gpu', but there is none")


def interrupt(*_: Any) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("fault", FAULTS)
def test_what_was_confirmed_is_kept_until_the_new_one_has_started(
    fault: str, view: RunView, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, before = confirmed_before(view)
    options = FAULTS[fault](view, monkeypatch)
    with pytest.raises((UserError, OSError, LookupError, KeyboardInterrupt)):
        confirm_run(view, options.get("top", 1), 1, options.get("settings", AgainSettings()), discard=True)
    assert table(open_run(path)) == before
    assert sorted(one.name for one in view.folder.path.iterdir() if CONFIRM in one.name) == [CONFIRM]


def test_so_is_a_network_that_was_trained_in_full(view: RunView) -> None:
    best, second = view.ranking()[:2]
    final_run(view, best, AgainSettings(epochs=1))
    (view.folder.path / FINAL / TESTED).write_text("{}")
    content = json.loads(json.dumps(view.content))
    view.content["data"]["fingerprint"] = "0" * 64
    with pytest.raises(RunError, match=r"images.*have changed"):
        final_run(view, second, AgainSettings(epochs=1), discard=True)
    there = following(view.folder, FINAL)
    assert there is not None
    assert there.trials["0000"].architecture == best.architecture
    assert (there.folder.path / TESTED).exists()
    view.content.update(content)
    final_run(view, second, AgainSettings(epochs=1), discard=True)
    assert open_run(view.folder.path / FINAL).trials["0000"].architecture == second.architecture
    assert not (view.folder.path / FINAL / TESTED).exists()


def test_one_that_is_driven_is_not_discarded(view: RunView) -> None:
    path, _ = confirmed_before(view)
    with RunFolder(path).lock(), pytest.raises(RunError, match="is in use by"):
        confirm_run(view, 1, 1, AgainSettings(), discard=True)


def test_what_a_killed_process_left_aside_comes_back(view: RunView, tmp_path: Path) -> None:
    path, before = confirmed_before(view)
    path.rename(path.with_name("confirm.aside"))
    put_back(path)
    assert table(open_run(path)) == before
    # A new one was made, and its process died before the first event.
    path.rename(path.with_name("confirm.aside"))
    shutil.copytree(tmp_path / "s" / "confirm.aside", path, ignore=lambda *_: ["events.jsonl"])
    put_back(path)
    assert table(open_run(path)) == before


@pytest.mark.parametrize(
    "again",
    [
        lambda view: confirm_run(view, 2, 1, AgainSettings()),
        lambda view: final_run(view, view.ranking()[0], AgainSettings()),
    ],
    ids=["confirm", "final"],
)
def test_weights_are_seen_to_before_anything_is_made(
    view: RunView, monkeypatch: pytest.MonkeyPatch, again: Callable[[RunView], RunView]
) -> None:
    """As where a run was copied to another machine: no network of a confirmation is to fail over a missing file."""
    monkeypatch.setattr(after, "sources_of_known", lambda content: [len(content["known"][0]["candidates"])])
    provided = []

    def provide(sources: list[int]) -> None:
        provided.extend(sources)
        raise TrainingError("the file is not there")

    monkeypatch.setattr(after, "provide", provide)
    with pytest.raises(TrainingError, match="is not there"):
        again(view)
    assert provided in ([2], [1])
    assert following(view.folder, CONFIRM) is following(view.folder, FINAL) is None
