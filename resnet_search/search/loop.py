"""The search: ask the oracle, submit to a worker, wait, tell the oracle, until every bracket is complete.

A budget can end it earlier: no more trials start, and running ones end; if the time is up, they stop after their epoch.

Each decision and each result is an event on disk before the next step, so the run can end at any moment and resume
from its folder. Observers receive the events; nothing here depends on them.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Protocol

from resnet_search.errors import RunError, TrainingError
from resnet_search.files import make_folder, set_aside, write_text
from resnet_search.networks.architecture import Architecture
from resnet_search.runs.checkpoints import drop_superseded, remove_leftovers
from resnet_search.runs.events import Event, append_event, read_events
from resnet_search.runs.trial import FAILED, RUNNING, SKIPPED, Trial
from resnet_search.runs.trials import RunView
from resnet_search.search.budget import Budget
from resnet_search.search.candidates import Candidate
from resnet_search.search.earlier import Earlier
from resnet_search.search.final import SearchTime, follows
from resnet_search.search.losses import Losses
from resnet_search.search.oracle import HyperbandOracle
from resnet_search.search.steering import Requests, answer
from resnet_search.spaces.plan import brackets_from
from resnet_search.spaces.space import SearchSpace
from resnet_search.training.job import FAILURE, Epoch, Job
from resnet_search.workers.backend import has_gpu
from resnet_search.workers.contract import Divided, Done, EpochDone, Failed, Lost, Ready, Stopped, Waiting, Workers


class Observer(Protocol):
    """Receives each event of a run, those on disk and `epoch`, `worker_ready`, `worker_lost`, `waiting`.

    `view` already includes the event.
    """

    def __call__(self, event: Event, view: RunView) -> None: ...


class SearchLoop:
    """One driver's work on a run whose lock it holds."""

    def __init__(
        self,
        view: RunView,
        oracle: HyperbandOracle,
        workers: Workers,
        *,
        data: str,
        observers: Sequence[Observer],
        budget: Budget | None = None,
        started: int = 0,
    ) -> None:
        self._view, self._oracle, self._workers, self._observers = view, oracle, workers, observers
        self._folder = view.folder
        self._data, self._budget = data, budget or Budget()
        self._search_time = SearchTime(view, self._budget)
        self._seed = int(view.content["seed"])
        self._free: list[int] = []
        self._slots = 0  # most slots so far
        self._jobs: dict[str, Job] = {}
        self._slot_of: dict[str, int] = {}
        self._parked: set[str] = set()  # of these, trials whose last epoch in this session is done
        self.started = started  # trials that this command has started, in earlier stages too
        events = read_events(self._folder.events)
        self._losses = Losses(self._folder, events)
        self._earlier = Earlier(view)
        self._requests = Requests(self._folder, events)
        oracle.restore(events)
        self._projected = len(oracle.end_order)  # trials ended when Keras Tuner's files were last written
        # Trials that ran when the last driver ended come first, unless they may have ended it.
        running = [trial for trial in view.trials.values() if trial.status == RUNNING]
        self._pending = [trial for trial in running if not self._losses.suspects(trial)]
        self._suspects = [trial for trial in running if self._losses.suspects(trial)]

    def run(self) -> None:
        """Search to the end of the plan, the budget or a stage; `TrainingError` if too many trials in a row fail.

        The view's state is "running" afterwards if another stage of the final training follows.
        """
        self._tidy()
        try:
            self._steer()
            self._fill()
            while self._jobs.keys() - self._parked:
                self._hear()
                self._steer()
                self._fill()
        finally:
            self._oracle.release()
        # Before the end: a finished run is not checked again.
        self._tidy()
        self._oracle.project(self._folder)
        reason = self._budget.spent(self.started)
        to_come, finished = follows(self._view), self._oracle.finished
        if reason and (to_come or not finished):
            self._note("stopped", reason=reason)
        elif not to_come:
            self._note("finished")

    def _tidy(self) -> None:
        """Remove leftovers of killed processes; nothing is being written now."""
        remove_leftovers(self._folder)
        drop_superseded(self._view)

    def _fill(self) -> None:
        """Start every trial that can start now. If there are fewer slots by now, running ones stay."""
        slots = self._workers.slots
        self._free.extend(range(self._slots, slots))
        self._slots = max(self._slots, slots)
        while self._free and len(self._jobs) < slots and not self._is_over:
            trial = self._pending.pop(0) if self._pending else self._create()
            if trial is None and self._suspects:
                trial = self._suspects.pop(0)
            if trial is None:
                return
            self._begin(trial)

    @property
    def _is_over(self) -> bool:
        """Whether no further trial may start, although the oracle has more."""
        return bool(self._budget.spent(self.started)) or self._search_time.is_up

    def _create(self) -> Trial | None:
        """Create the oracle's next trial; None if it waits or has finished."""
        created = self._oracle.create_trial(f"slot{self._free[0]}")
        if created.status != "RUNNING":
            return None
        folder = self._folder.trial(created.trial_id)
        if os.path.lexists(folder):
            # The events do not know this trial: an old copy of events.jsonl may have been restored.
            set_aside(folder, "unknown")
        self._note("created", **self._oracle.created)
        return self._view.trials[created.trial_id]

    def _begin(self, trial: Trial) -> None:
        if trial.reused:
            history = self._reused_history(trial)
            if history:
                self._complete(trial, history, setup_seconds=0.0, train_seconds=0.0)
                return
            self._note("retrained", trial=trial.trial)
        known = self._known_failure(trial)
        if known is not None:
            reason = f"as in trial {known.trial}: {known.reason}"
            self._fail(trial, reason, reason)
            return
        taken = self._earlier.take(trial)
        if taken is not None:
            self._complete(trial, taken[0], setup_seconds=0.0, train_seconds=0.0, taken=taken[1])
            return
        job = self._job(trial)
        self._jobs[trial.trial] = job
        self.started += 1
        self._slot_of[trial.trial] = slot = self._free.pop(0)
        self._workers.submit(slot, job)

    def _known_failure(self, trial: Trial) -> Trial | None:
        """Return a trial of the same candidate that failed before the end of this one."""
        return next(
            (
                other
                for other in self._view.of_candidate(trial.candidate)
                if other.status == FAILED and other.epochs <= trial.epochs and other.reason != SKIPPED
            ),
            None,
        )

    def _reused_history(self, trial: Trial) -> list[Epoch]:
        """Return the learning curve with a reused trial's score; empty if the file is gone or damaged."""
        try:
            history = [Epoch(**line) for line in self._view.history(trial)]
        except (RunError, TypeError):
            return []
        return history if history and history[-1].epoch == trial.epochs else []

    def _job(self, trial: Trial) -> Job:
        content = self._view.content
        architecture, recipe = Architecture.from_dict(trial.architecture), tuple(sorted(trial.recipe.items()))
        candidate = Candidate(architecture, recipe, trial.repeat)
        return Job(
            trial=trial.trial,
            folder=str(self._folder.trial(trial.trial)),
            parent=None if trial.parent is None else str(self._folder.trial(trial.parent)),
            architecture=trial.architecture,
            recipe={**content["recipe"], **trial.recipe},
            seed=candidate.seed(self._seed),
            initial_epoch=trial.initial_epoch,
            epochs=trial.epochs,
            horizon=int(content["horizon"]),
            constant_until=float(content.get("constant_until", 0)),
            data=self._data,
            parts=trial.parts,
            precision=str(content["workers"].get("precision", "float32")),
        )

    def _steer(self) -> None:
        """Carry out what was requested from another terminal."""
        for request in self._requests.new():
            said, event = answer(self._view, request)
            if event is not None and event["event"] == "extended" and self._is_over:
                said, event = "the time of the search is up, so no network can be added", None
            if event is not None and event["event"] == "extended":
                self._extend(**event)
            elif event is not None:
                self._skip(self._view.trials[event["trial"]], request["request"])
            self._note("steered", request=request["request"], said=said, done=request["done"] or event is not None)

    def _skip(self, trial: Trial, request: str) -> None:
        if self._jobs.pop(trial.trial, None) is not None:
            slot = self._slot_of[trial.trial]
            self._workers.cancel(slot)
            self._free.append(slot)
        self._pending = [other for other in self._pending if other is not trial]
        self._suspects = [other for other in self._suspects if other is not trial]
        self._fail(trial, SKIPPED, SKIPPED, request=request)

    def _extend(self, **fields: Any) -> None:
        """Extend the plan, and continue with an oracle that knows it."""
        self._oracle.release()
        self._note(**fields)
        self._view.state = "running"
        content = self._view.content
        space = SearchSpace.from_dict(content["space"])
        self._oracle = HyperbandOracle(space, self._view, brackets_from(content["plan"]), self._seed)
        self._oracle.restore(read_events(self._folder.events))

    def _hear(self) -> None:
        message = self._workers.wait(_POLL_SECONDS)
        if message is None:
            return
        if isinstance(message, Ready):
            self._check_device(message)
            self._tell({"event": "worker_ready", "slot": message.slot, "devices": message.devices})
        elif isinstance(message, EpochDone):
            self._see_retraining(message)
            self._losses.epoch(message.trial)
            line = message.epoch.to_dict()
            self._tell({"event": "epoch", "slot": message.slot, "trial": message.trial, "line": line})
            # After its last epoch the trial itself reports its end in a moment.
            if self._budget.time_is_up and message.epoch.epoch < self._jobs[message.trial].epochs:
                self._parked.add(message.trial)
        elif isinstance(message, Divided):
            self._note("divided", trial=message.trial, parts=message.parts)
            self._jobs[message.trial] = replace(self._jobs[message.trial], parts=message.parts)
        elif isinstance(message, Lost):
            self._lost(message)
        elif isinstance(message, Waiting):
            self._tell({"event": "waiting", "trial": message.trial, "reason": message.reason})
            if self._budget.time_is_up:
                self._parked.add(message.trial)
        elif isinstance(message, Stopped):
            raise TrainingError(
                f"trial {message.trial} cannot be written: {message.reason}",
                "Every finished epoch is kept. Make room or give permission, then resume the run.",
            )
        else:
            self._end(message)

    def _check_device(self, message: Ready) -> None:
        """Raise an error if a worker sees no GPU: the backend would silently train a hundred times as slowly."""
        if self._view.content["workers"].get("device") == "gpu" and not has_gpu(message.devices):
            named = " ".join(message.devices).lower()
            raise TrainingError(
                f"--device: the run trains on a GPU, but worker {message.slot} sees none: {named or 'no device'}",
                f"Its log, {self._folder.worker_log}, says why. Resume the run once nvidia-smi "
                "shows the GPU and CUDA_VISIBLE_DEVICES names it.",
            )

    def _see_retraining(self, message: EpochDone) -> None:
        """Note a trial that starts before its first epoch: the state it should continue is gone."""
        trial = self._view.trials[message.trial]
        if message.epoch.epoch <= trial.initial_epoch:
            self._note("retrained", trial=trial.trial)
            self._jobs[trial.trial] = self._job(trial)

    def _end(self, message: Done | Failed) -> None:
        trial = self._view.trials[message.trial]
        del self._jobs[message.trial]
        self._free.append(message.slot)
        if isinstance(message, Done):
            self._losses.completed()
            seconds = sum(line.train_seconds + line.validation_seconds for line in message.history)
            self._complete(trial, message.history, setup_seconds=message.setup_seconds, train_seconds=seconds)
        else:
            self._fail(trial, message.reason, message.detail)
            self._losses.failed(trial)
        self._project_now_and_then()

    def _complete(
        self, trial: Trial, history: Sequence[Epoch], *, setup_seconds: float, train_seconds: float, taken: str = ""
    ) -> None:
        score = self._oracle.complete(trial.trial, history)
        self._note(
            "completed",
            trial=trial.trial,
            score=score,
            val_loss=history[-1].val_loss,
            setup_seconds=round(setup_seconds, 3),
            train_seconds=round(train_seconds, 3),
            **({"taken": taken} if taken else {}),
        )
        drop_superseded(self._view, trial.candidate)

    def _fail(self, trial: Trial, reason: str, detail: str, **fields: Any) -> None:
        folder = self._folder.trial(trial.trial)
        make_folder(folder)
        write_text(folder / FAILURE, detail.rstrip() + "\n")
        self._oracle.fail(trial.trial, reason)
        self._note("failed", trial=trial.trial, reason=reason, **fields)

    def _project_now_and_then(self) -> None:
        """Update Keras Tuner's files, which hold all trials, each time a tenth more trials have ended."""
        ended = len(self._oracle.end_order)
        if ended >= _PROJECTED_AGAIN * self._projected:
            self._oracle.project(self._folder)
            self._projected = ended

    def _lost(self, message: Lost) -> None:
        if message.trial is None or message.trial not in self._jobs:
            self._tell({"event": "worker_lost", "slot": message.slot, "exit_code": message.exit_code})
            return
        blame = {"blameless": True} if message.blameless or message.machine else {}
        blame |= {"machine": True} if message.machine else {}
        self._note("lost", trial=message.trial, exit_code=message.exit_code, reason=message.reason, **blame)
        reason = self._losses.lost(self._view.trials[message.trial], message)
        if reason:
            self._end(Failed(message.slot, message.trial, reason, f"{reason}; see {self._folder.worker_log}"))
        elif self._budget.time_is_up:
            self._parked.add(message.trial)
        else:
            self._workers.submit(message.slot, self._jobs[message.trial])

    def _note(self, event: str, **fields: Any) -> None:
        """Write an event to disk, apply it to the view, and pass it to the observers."""
        line = append_event(self._folder.events, event, **fields)
        self._view.apply(line)
        for observer in self._observers:
            observer(line, self._view)

    def _tell(self, event: Event) -> None:
        for observer in self._observers:
            observer(event, self._view)


# Short, since Ctrl-C cannot interrupt a blocking wait on every platform.
_POLL_SECONDS = 0.5
_PROJECTED_AGAIN = 1.1
