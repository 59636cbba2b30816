"""The search: ask the oracle, submit to a worker, wait, tell the oracle, until every bracket is complete.

Each decision and each result is an event on disk before the next step, so the run can end at any moment and go on
from its folder. Observers hear of the events; nothing here depends on them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from resnet_search.errors import TrainingError
from resnet_search.files import write_text
from resnet_search.networks.architecture import Architecture
from resnet_search.runs.events import Event, append_event, read_events
from resnet_search.runs.trials import RUNNING, RunView, Trial
from resnet_search.search.candidates import Candidate
from resnet_search.search.oracle import HyperbandOracle
from resnet_search.training.job import Epoch, Job
from resnet_search.workers.contract import Done, EpochDone, Failed, Lost, Ready, Stopped, Workers

# A worker that dies this often on the same trial dies of it.
LOSSES_OF_A_TRIAL = 3
# With so many failures in a row, it is not the candidates that are wrong.
FAILURES_IN_A_ROW = 10


class Observer(Protocol):
    """Hears each event of a run, those on disk and `epoch`, `worker_ready`, `worker_lost`; `view` has taken it in."""

    def __call__(self, event: Event, view: RunView) -> None: ...


class SearchLoop:
    """One driver's work on a run that it holds the lock of."""

    def __init__(
        self, view: RunView, oracle: HyperbandOracle, workers: Workers, *, data: str, observers: Sequence[Observer]
    ) -> None:
        self._view, self._oracle, self._workers, self._observers = view, oracle, workers, observers
        self._folder = view.folder
        self._data = data
        self._seed = int(view.content["seed"])
        self._free = list(range(workers.slots))
        self._jobs: dict[str, Job] = {}
        self._failures = 0
        oracle.restore(read_events(self._folder.events))
        # What ran when the last driver ended goes on first.
        self._pending = [trial for trial in view.trials.values() if trial.status == RUNNING]

    def run(self) -> None:
        """Search to the end; `TrainingError` if trial after trial fails."""
        done = False
        while not done or self._jobs:
            while self._free and not done:
                trial = self._pending.pop(0) if self._pending else self._create()
                if trial is None:
                    done = not self._jobs
                    break
                self._begin(trial)
            if self._jobs:
                self._hear()
        self._note("finished")
        self._oracle.project(self._folder)

    def _create(self) -> Trial | None:
        """The next trial that the oracle wants, None if it waits or has finished."""
        created = self._oracle.create_trial(f"slot{self._free[0]}")
        if created.status != "RUNNING":
            return None
        self._note("created", **self._oracle.created)
        return self._view.trials[created.trial_id]

    def _begin(self, trial: Trial) -> None:
        if trial.reused:
            history = [Epoch(**line) for line in self._view.history(trial)]
            self._complete(trial, history, setup_seconds=0.0, train_seconds=0.0)
            return
        job = self._job(trial)
        self._jobs[trial.trial] = job
        self._workers.submit(self._free.pop(0), job)

    def _job(self, trial: Trial) -> Job:
        content = self._view.content
        candidate = Candidate(Architecture.from_dict(trial.architecture), tuple(sorted(trial.recipe.items())))
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
            data=self._data,
        )

    def _hear(self) -> None:
        message = self._workers.wait(_POLL_SECONDS)
        if message is None:
            return
        if isinstance(message, Ready):
            self._tell({"event": "worker_ready", "slot": message.slot, "devices": message.devices})
        elif isinstance(message, EpochDone):
            line = message.epoch.to_dict()
            self._tell({"event": "epoch", "slot": message.slot, "trial": message.trial, "line": line})
        elif isinstance(message, Lost):
            self._lost(message)
        elif isinstance(message, Stopped):
            raise TrainingError(
                f"trial {message.trial} cannot be written: {message.reason}",
                "Every finished epoch is kept. Make room or give permission, then resume the run.",
            )
        else:
            self._end(message)

    def _end(self, message: Done | Failed) -> None:
        trial = self._view.trials[message.trial]
        del self._jobs[message.trial]
        self._free.append(message.slot)
        if isinstance(message, Done):
            self._failures = 0
            seconds = sum(line.train_seconds + line.validation_seconds for line in message.history)
            self._complete(trial, message.history, setup_seconds=message.setup_seconds, train_seconds=seconds)
        else:
            self._fail(trial, message.reason, message.detail)
        # Keras Tuner's files are behind by no more than what is running.
        self._oracle.project(self._folder)

    def _complete(self, trial: Trial, history: Sequence[Epoch], *, setup_seconds: float, train_seconds: float) -> None:
        score = self._oracle.complete(trial.trial, history)
        self._note(
            "completed",
            trial=trial.trial,
            score=score,
            setup_seconds=round(setup_seconds, 3),
            train_seconds=round(train_seconds, 3),
        )

    def _fail(self, trial: Trial, reason: str, detail: str) -> None:
        folder = self._folder.trial(trial.trial)
        folder.mkdir(exist_ok=True)
        write_text(folder / "failure.txt", detail.rstrip() + "\n")
        self._oracle.fail(trial.trial, reason)
        self._note("failed", trial=trial.trial, reason=reason)
        self._failures += 1
        if self._failures == FAILURES_IN_A_ROW:
            raise TrainingError(
                f"{self._failures} trials failed in a row, the last one, {trial.trial}, with: {reason}",
                f"See {folder / 'failure.txt'}, mend it, and resume the run: it goes on with other candidates.",
            )

    def _lost(self, message: Lost) -> None:
        if message.trial is None or message.trial not in self._jobs:
            self._tell({"event": "worker_lost", "slot": message.slot, "exit_code": message.exit_code})
            return
        self._note("lost", trial=message.trial, exit_code=message.exit_code)
        trial = self._view.trials[message.trial]
        if trial.losses < LOSSES_OF_A_TRIAL:
            self._workers.submit(message.slot, self._jobs[message.trial])
            return
        reason = f"its worker process died {trial.losses} times, the last with exit status {message.exit_code}"
        self._end(Failed(message.slot, message.trial, reason, f"{reason}; see {self._folder.worker_log}"))

    def _note(self, event: str, **fields: Any) -> None:
        """Put an event on disk, take it in, and tell the observers."""
        line = append_event(self._folder.events, event, **fields)
        self._view.apply(line)
        for observer in self._observers:
            observer(line, self._view)

    def _tell(self, event: Event) -> None:
        for observer in self._observers:
            observer(event, self._view)


# Short enough that Ctrl-C is heard at once where a blocking wait would not be interrupted.
_POLL_SECONDS = 0.5
