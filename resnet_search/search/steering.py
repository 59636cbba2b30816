"""Requests to a search from another terminal: skip a trial, or train a given network next.

A request is a line of a file in the run's folder. The driver reads it between two messages of its workers, carries it
out, and records a `steered` event with the answer. Without a driver, the command that makes the request does the same.
"""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict
from typing import Any, Final

from resnet_search.errors import RunError, UserError
from resnet_search.files import append_line
from resnet_search.networks.architecture import Architecture
from resnet_search.networks.complexity import complexity
from resnet_search.runs.events import Event, append_event, make_event, read_each, read_events
from resnet_search.runs.folder import RunFolder
from resnet_search.runs.planned import check_drivable
from resnet_search.runs.trial import COMPLETED, RUNNING, SKIPPED
from resnet_search.runs.trials import RunView, read_run
from resnet_search.search.known import known_candidates
from resnet_search.spaces.brackets import Bracket, Rung
from resnet_search.spaces.plan import brackets_from
from resnet_search.spaces.space import SearchSpace

REQUESTS: Final = "requests.jsonl"
SKIP: Final = "skip"
ENQUEUE: Final = "enqueue"
PATIENCE: Final = 30.0  # seconds; a driver looks twice a second, once its workers are there
_POLL_SECONDS: Final = 0.2


def write_request(folder: RunFolder, kind: str, **fields: Any) -> dict[str, Any]:
    """Write a request to a run, and return it."""
    request = {"request": uuid.uuid4().hex, "kind": kind, **fields}
    append_line(folder.path / REQUESTS, request)
    return request


def ask(folder: RunFolder, kind: str, *, patience: float = PATIENCE, **fields: Any) -> str:
    """Make a request to a run, and return the answer.

    `RunError` if it is refused, or if the run's driver does not answer within `patience` seconds.
    """
    request = write_request(folder, kind, **fields)["request"]
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        if not folder.is_locked():
            with suppress(_TakenError), _held(folder):
                answer_requests(read_run(folder, locked=False))
        for event in read_events(folder.events):
            if event["event"] == "steered" and event["request"] == request:
                return _accepted(folder, event)
        time.sleep(_POLL_SECONDS)
    raise RunError(
        f"RUN: {folder.name} did not answer within {patience:.0f} s",
        "The request is kept: the run carries it out as soon as its workers are ready.",
    )


class _TakenError(Exception):
    """Another process has taken the run's lock."""


@contextmanager
def _held(folder: RunFolder) -> Iterator[None]:
    with ExitStack() as stack:
        try:
            stack.enter_context(folder.lock())
        except RunError as error:
            if folder.is_locked():
                raise _TakenError from error
            raise
        yield


def answer_requests(view: RunView) -> None:
    """Carry out the requests to a run that no process works on; its lock is held."""
    events = read_events(view.folder.events)
    if not view.sessions:
        raise RunError(
            f"RUN: {view.folder.name} is not started yet",
            f"Start it: resnet-search resume {view.folder.word}. The request is kept until then.",
        )
    check_drivable(view)
    for request in Requests(view.folder, events).new():
        said, event = answer(view, request)
        if event is not None:
            line = make_event(**event, aside=True)
            view.apply(line)
            append_line(view.folder.events, line)
        asked = request["request"]
        append_event(
            view.folder.events,
            "steered",
            request=asked,
            said=said,
            done=request["done"] or event is not None,
            aside=True,
        )


def _accepted(folder: RunFolder, event: Event) -> str:
    if not event["done"]:
        raise RunError(f"RUN: {folder.name}: {event['said']}", f"See its trials: resnet-search trials {folder.word}")
    return str(event["said"])


class Requests:
    """The requests to a run that no event answers yet."""

    def __init__(self, folder: RunFolder, events: Iterable[Event]) -> None:
        self._path = folder.path / REQUESTS
        self._answered = {event["request"] for event in events if event["event"] == "steered"}
        self._carried_out = {event["request"] for event in events if "request" in event} - self._answered
        self._size = 0

    def new(self) -> list[dict[str, Any]]:
        """Return the requests since the last call. Lines that are no request are passed over.

        One that was carried out by a driver that died before its answer is marked as `done`.
        """
        try:
            size = os.lstat(self._path).st_size
            if size == self._size:
                return []
            self._size = size
            lines = [line for _, _, line, problem in read_each(self._path) if not problem]
        except (OSError, ValueError):
            return []
        asked = [line for line in lines if _is_request(line) and line["request"] not in self._answered]
        self._answered |= {line["request"] for line in asked}
        return [{**line, "done": line["request"] in self._carried_out} for line in asked]


def _is_request(line: Any) -> bool:
    words = {SKIP: "trial", ENQUEUE: "network"}
    return isinstance(line, dict) and all(
        isinstance(line.get(name), str) for name in ("request", words.get(str(line.get("kind")), "kind "))
    )


def answer(view: RunView, request: dict[str, Any]) -> tuple[str, dict[str, Any] | None]:
    """Return the answer to a request, and the event that carries it out; None if it cannot be carried out."""
    if request["done"]:
        return "it was carried out before the run was resumed", None
    try:
        if request["kind"] == SKIP:
            said, event = _skip(view, request["trial"])
        else:
            said, event = _enqueue(view, request["network"], request.get("architecture"))
    except UserError as error:
        return error.message, None
    return said, event and {**event, "request": request["request"]}


def _skip(view: RunView, name: str) -> tuple[str, dict[str, Any] | None]:
    trial = view.trials.get(name)
    if trial is None:
        return f"there is no trial {name}", None
    if trial.status != RUNNING:
        return f"trial {name} has {trial.status}; only a running trial can be skipped", None
    return f"trial {name} is skipped", {"event": "failed", "trial": name, "reason": SKIPPED}


def _enqueue(view: RunView, name: str, described: Any) -> tuple[str, dict[str, Any] | None]:
    content = view.content
    if content.get("stage") or content.get("imported") or content.get("of"):
        return "the search has ended, so no network can be added; train it with resnet-search train", None
    space, data = SearchSpace.from_dict(content["space"]), content["data"]
    if "imagenet" in str(space.recipe.get("init", "")):
        return "its networks start from ImageNet weights, so no other network can be added", None
    try:
        architecture = Architecture.from_dict(described)
    except (TypeError, ValueError, KeyError, AttributeError):
        return f"{name} is not a network", None
    given = [
        one["architecture"] for known in content.get("known", ()) if known["presets"] for one in known["candidates"]
    ]
    for trial in view.trials.values():
        same = trial.architecture == architecture.to_dict() and trial.epochs == view.max_epochs and not trial.recipe
        if same and trial.status in {RUNNING, COMPLETED}:
            return f"trial {trial.trial} already trains {name} for {view.max_epochs} epochs", None
    waiting = len(given) > sum(view.is_baseline(trial) for trial in view.trials.values())
    if architecture.to_dict() in given and waiting:
        return f"{name} is already one of the given networks", None
    cost = complexity(architecture, tuple(data["image_shape"]), len(data["classes"]))
    brackets = brackets_from(content["plan"])
    iteration = max((bracket.iteration for bracket in brackets), default=0)
    number = max((one.number for one in brackets if one.iteration == iteration), default=-1) + 1
    bracket = Bracket(iteration, number, 0, (Rung(0, 1, 0, view.max_epochs),))
    exceeded = space.limits.exceeded(cost.trainable, cost.macs)
    known = known_candidates(bracket, [(architecture.to_dict(), {}, 0)], [name])
    known["ranked"] = [] if exceeded else [0]
    wins = f"; it has {exceeded}, so it cannot win" if exceeded else ""
    return f"{name} is trained next, for {view.max_epochs} epochs{wins}", {
        "event": "extended",
        "plan": [asdict(one) for one in (bracket, *brackets)],
        "hyperband": {},
        "horizon": content["horizon"],
        "known": known,
    }
