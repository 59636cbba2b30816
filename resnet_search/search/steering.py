"""Requests to a search from another terminal: skip a trial, or train a given network next.

A request is a line of a file in the run's folder. The driver reads it between two messages of its workers, carries it
out, and records a `steered` event with the answer. Without a driver, the command that makes the request does the same.
"""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any, Final

from resnet_search.errors import RunError, UserError
from resnet_search.files import append_line, read_lines
from resnet_search.networks.architecture import Architecture
from resnet_search.networks.complexity import complexity
from resnet_search.runs.events import Event, append_event, read_events
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

    `RunError` if it is refused, or if the run's driver has not answered after `patience` seconds.
    """
    request = write_request(folder, kind, **fields)
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        if not folder.is_locked():
            with folder.lock():
                view = read_run(folder, locked=False)
                check_drivable(view)
                for line in Requests(folder, read_events(folder.events)).new():
                    _carry_out(view, line)
        for event in read_events(folder.events):
            if event["event"] == "steered" and event["request"] == request["request"]:
                return _accepted(folder, event)
        time.sleep(_POLL_SECONDS)
    raise RunError(
        f"RUN: {folder.name} has not answered in {patience:.0f} s",
        "The request is kept: the run carries it out as soon as its workers are ready.",
    )


def _carry_out(view: RunView, request: dict[str, Any]) -> None:
    said, events = answer(view, request)
    for event in events:
        view.apply(append_event(view.folder.events, **event))
    append_event(view.folder.events, "steered", request=request["request"], said=said, done=bool(events))


def _accepted(folder: RunFolder, event: Event) -> str:
    if not event["done"]:
        raise RunError(f"RUN: {folder.name}: {event['said']}", f"See its trials: resnet-search trials {folder.word}")
    return str(event["said"])


class Requests:
    """The requests to a run that no event answers yet."""

    def __init__(self, folder: RunFolder, events: Iterable[Event]) -> None:
        self._path = folder.path / REQUESTS
        self._answered = {event["request"] for event in events if event["event"] == "steered"}
        self._size = 0

    def new(self) -> list[dict[str, Any]]:
        """Return the requests since the last call. Lines that are no request are passed over."""
        try:
            size = os.lstat(self._path).st_size
            if size == self._size:
                return []
            self._size = size
            lines = read_lines(self._path)
        except (OSError, ValueError):
            return []
        asked = [line for line in lines if _is_request(line) and line["request"] not in self._answered]
        self._answered |= {line["request"] for line in asked}
        return asked


def _is_request(line: Any) -> bool:
    words = {SKIP: "trial", ENQUEUE: "network"}
    return isinstance(line, dict) and all(
        isinstance(line.get(name), str) for name in ("request", words.get(str(line.get("kind")), "kind "))
    )


def answer(view: RunView, request: dict[str, Any]) -> tuple[str, list[dict[str, Any]]]:
    """Return the answer to a request, and the events that carry it out; none if it cannot be."""
    try:
        if request["kind"] == SKIP:
            return _skip(view, request["trial"])
        return _enqueue(view, request["network"], request.get("architecture"))
    except UserError as error:
        return error.message, []


def _skip(view: RunView, name: str) -> tuple[str, list[dict[str, Any]]]:
    trial = view.trials.get(name)
    if trial is None:
        return f"there is no trial {name}", []
    if trial.status != RUNNING:
        return f"trial {name} has {trial.status}; only a running trial can be skipped", []
    return f"trial {name} is skipped", [{"event": "failed", "trial": name, "reason": SKIPPED}]


def _enqueue(view: RunView, name: str, described: Any) -> tuple[str, list[dict[str, Any]]]:
    if view.content.get("stage") or view.content.get("imported") or view.content.get("of"):
        return "the search has ended, so no network can be added; train it with resnet-search train", []
    try:
        architecture = Architecture.from_dict(described)
    except (TypeError, ValueError, KeyError, AttributeError):
        return f"{name} is not a network", []
    given = [one["architecture"] for known in view.content.get("known", ()) for one in known["candidates"]]
    if architecture.to_dict() in given:
        return f"{name} is already one of the given networks", []
    for trial in view.trials.values():
        same = trial.architecture == architecture.to_dict() and trial.epochs == view.max_epochs
        if same and trial.status in {RUNNING, COMPLETED}:
            return f"trial {trial.trial} already trains {name} for {view.max_epochs} epochs", []
    space, data = SearchSpace.from_dict(view.content["space"]), view.content["data"]
    cost = complexity(architecture, tuple(data["image_shape"]), len(data["classes"]))
    brackets = brackets_from(view.content["plan"])
    iteration = max((bracket.iteration for bracket in brackets), default=0)
    number = max((one.number for one in brackets if one.iteration == iteration), default=-1) + 1
    bracket = Bracket(iteration, number, 0, (Rung(0, 1, 0, view.max_epochs),))
    exceeded = space.limits.exceeded(cost.trainable, cost.macs)
    known = known_candidates(bracket, [(architecture.to_dict(), {}, 0)], [name])
    known["ranked"] = [] if exceeded else [0]
    event = {
        "event": "extended",
        "plan": [asdict(one) for one in (bracket, *brackets)],
        "hyperband": {},
        "horizon": view.content["horizon"],
        "known": known,
    }
    wins = f"; it has {exceeded}, so it cannot win" if exceeded else ""
    return f"{name} is trained next, for {view.max_epochs} epochs{wins}", [event]
