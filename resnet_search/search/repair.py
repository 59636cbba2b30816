"""Check Keras Tuner's files of a run against its events, and repair the folder of a run.

A repair loses nothing: damaged files with useful content stay beside their replacement, files that follow from the
events are written again, and missing weights that are needed are marked to be trained again by `resume`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from resnet_search.errors import UserError
from resnet_search.files import append_line, remove, set_aside
from resnet_search.reading import read_json
from resnet_search.runs.checkpoints import drop_superseded, remove_leftovers, superseded
from resnet_search.runs.checkup import GONE, damaged_json, h5_problem
from resnet_search.runs.doctor import OK, PROBLEM, Check
from resnet_search.runs.events import append_event, read_each, read_events
from resnet_search.runs.folder import RunFolder
from resnet_search.runs.planned import check_drivable
from resnet_search.runs.salvage import rewrite_events, salvage
from resnet_search.runs.trial import DAMAGE
from resnet_search.runs.trials import COMPLETED, FAILED, RunView, read_run
from resnet_search.spaces.plan import brackets_from
from resnet_search.spaces.space import SearchSpace
from resnet_search.training.job import HISTORY, STATE, WEIGHTS
from resnet_search.workers.quiet import quiet_stderr

# Keys that follow from the events; the others depend on when the file was written.
_OF_ORACLE = ("start_order", "hyperparameters", "max_epochs", "factor", "seed")
_OF_TRIAL = ("trial_id", "status", "score", "message", "hyperparameters")


def check_keras_tuner(view: RunView) -> Iterator[Check]:
    """Check that oracle.json, tuner0.json and each trial.json agree with the events. Imports the training backend."""
    if view.content.get("imported"):
        return
    folder, finished = view.folder, view.state == "finished"
    cure = f"Rewrite them: resnet-search doctor {folder.word} --repair"
    try:
        oracle = restored_oracle(view)
    except (UserError, *DAMAGE) as error:
        yield Check("Keras Tuner", PROBLEM, f"the search cannot be rebuilt: {error}", "Restore run.json from a copy.")
        return
    implied = {"oracle.json": {name: oracle.get_state()[name] for name in _OF_ORACLE}, "tuner0.json": {}}
    for trial in view.trials.values():
        state = oracle.trials[trial.trial].get_state()
        implied[f"trial_{trial.trial}/trial.json"] = {name: state[name] for name in _OF_TRIAL}
        implied[f"trial_{trial.trial}/build_config.json"] = oracle.build_config
    bad = []
    for name, said in implied.items():
        path = folder.path / name
        problem = damaged_json(path)
        if not problem:
            value = read_json(path)
            if any(value.get(key) != expected for key, expected in json.loads(json.dumps(said)).items()):
                problem = "does not agree with the events"
        # While a run is not finished, its files may be out of date.
        if problem and (finished or problem not in {GONE, "does not agree with the events"}):
            bad.append(f"{name} {problem}")
    if bad:
        more = f"; and {len(bad) - 1} more" if len(bad) > 1 else ""
        yield Check("Keras Tuner", PROBLEM, f"{bad[0]}{more}", cure)
    else:
        yield Check("Keras Tuner", OK, f"{len(implied)} files agree with the events")


def repair_run(folder: RunFolder) -> list[str]:
    """Repair a run's folder under its lock; return a sentence for each repair. `RunError` without a run.json."""
    with folder.lock():
        content = folder.read()
        found = salvage(folder, content)
        done = [rewrite_events(folder, found)] if found.wrong else []
        view = read_run(folder, locked=False)
        done += [f"{path.relative_to(folder.path)}: removed, left by an interrupted write"
                 for path in remove_leftovers(folder)]  # fmt: skip
        done += _drop_states(view)
        done += _mend_trials(view)
        done += _reopen(view)
        checks = list(check_keras_tuner(view))
        if any(check.status == PROBLEM for check in checks):
            restored_oracle(view).project(folder)
            done.append("oracle.json, tuner0.json and every trial.json: rewritten from the events")
        if done and view.sessions:
            append_event(folder.events, "repaired", done=done)
    return done


def restored_oracle(view: RunView) -> Any:
    """Return the oracle of a run in the state after its events."""
    check_drivable(view)
    content = view.content
    space = SearchSpace.from_dict(content["space"], where=str(view.folder.path / "run.json"))
    with quiet_stderr():
        from resnet_search.search.oracle import HyperbandOracle

        oracle = HyperbandOracle(space, view, brackets_from(content["plan"]), content["seed"])
    oracle.restore(read_events(view.folder.events))
    return oracle


def _drop_states(view: RunView) -> list[str]:
    there = [trial.trial for trial in superseded(view) if (view.folder.trial(trial.trial) / STATE).exists()]
    drop_superseded(view)
    return [f"trial_{trial}/{STATE}: removed, superseded by a later rung" for trial in there]


def _mend_trials(view: RunView) -> Iterator[str]:
    """Remove unreadable checkpoints, and keep the readable lines of damaged histories."""
    for trial in view.trials.values():
        folder = view.folder.trial(trial.trial)
        if trial.reused or trial.status == FAILED or not folder.is_dir():
            continue
        epochs = trial.epochs if trial.status == COMPLETED else None
        for name, epoch in ((STATE, epochs), (WEIGHTS, None)):
            problem = h5_problem(folder / name, epoch)
            if problem not in {"", GONE}:
                remove(folder / name)
                yield f"trial_{trial.trial}/{name}: removed, because it {problem}"
        path = folder / HISTORY
        lines = list(read_each(path)) if path.exists() else []
        good = [line for _, _, line, _ in lines if isinstance(line, dict) and "epoch" in line]
        if len(good) < len(lines):
            copy = set_aside(path, "damaged")
            for line in good:
                append_line(path, line)
            kept = f"kept {len(good)} of {len(lines)} lines"
            yield f"trial_{trial.trial}/{HISTORY}: {kept}; the damaged file is {copy.name}"


def _reopen(view: RunView) -> list[str]:
    """Mark the winner to be trained again if its weights are gone, so that it can be exported."""
    if view.winner is None:
        return []
    holder = view.holder(view.winner)
    problem = h5_problem(view.folder.trial(holder.trial) / WEIGHTS)
    if not problem or holder.cleaned:
        return []
    reason = f"{WEIGHTS} {problem}"
    view.apply(append_event(view.folder.events, "reopened", trial=holder.trial, reason=reason))
    return [f"trial {holder.trial}, the best: its {reason}; resnet-search resume {view.folder.word} trains it again"]
