"""What is left of a damaged events.jsonl: the lines that say something, and that follow from those before them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from resnet_search.files import set_aside_copy, write_bytes
from resnet_search.lines import encode_line
from resnet_search.reading import LOG, read_bytes
from resnet_search.runs.events import Event, read_each
from resnet_search.runs.folder import RunFolder
from resnet_search.runs.trial import DAMAGE
from resnet_search.runs.trials import RunView, view_of

_TOLD = 100  # characters of a damaged line
_MOST_MISSING = 10_000  # trials: a file that has lost more is no file of this program


@dataclass(frozen=True, slots=True)
class Salvage:
    """`kept` lines of the file, the `view` that they make, and what is `wrong` with the file, a few words each."""

    kept: tuple[bytes, ...]
    view: RunView
    wrong: tuple[str, ...]
    torn: bool


def salvage(folder: RunFolder, content: dict[str, Any]) -> Salvage:
    """Read a run's events as far as they can be read; `OSError` if the file cannot be, `RunError` for run.json."""
    view = view_of(folder, content, (), locked=False)
    kept: list[bytes] = []
    wrong: list[str] = []
    for number, line, event, problem in read_each(folder.events):
        try:
            for missing in _missing_before(event, view):
                view.apply(missing)
                kept.append(encode_line(missing).rstrip())
                wrong.append(
                    f"before line {number} one is missing: {missing['event']} {missing.get('trial', '')}".rstrip()
                )
            if wrong and event["event"] == "finished":
                raise ValueError("something before it is missing")
            view.apply(event)
            kept.append(line)
        except DAMAGE as error:
            why = problem or f"does not follow from those before it ({error!r:.{_TOLD}})"
            wrong.append(f"line {number} {why}: {line[:_TOLD].decode(errors='replace')}")
    return Salvage(tuple(kept), view, tuple(wrong), torn=_torn(folder))


def _missing_before(event: Any, view: RunView) -> Iterator[Event]:
    """Events that stand in for lines which were there before `event` and cannot be read."""
    if not view.sessions and event["event"] not in {"started", "resumed"}:
        yield {"event": "started", "time": event["time"], "process": 0, "host": ""}
    if event["event"] == "created" and event["trial"] not in view.trials:
        # Ids count up and are never reused, because their files exist.
        known, given = len(view.trials) + len(view.dropped), int(event["trial"])
        if given > known + _MOST_MISSING:
            raise ValueError(f"trial {given} comes after {known}")
        for number in range(known, given):
            yield {"event": "dropped", "time": event["time"], "trial": f"{number:04d}"}


def rewrite_events(folder: RunFolder, found: Salvage) -> str:
    """Replace a damaged events.jsonl by its readable part; return a sentence. The damaged file stays beside it."""
    copy = set_aside_copy(folder.events, "damaged")
    write_bytes(folder.events, b"".join(line + b"\n" for line in found.kept))
    return f"events.jsonl: kept what can be read; {'; '.join(found.wrong)}; the damaged file is {copy.name}"


def _torn(folder: RunFolder) -> bool:
    return folder.events.exists() and read_bytes(folder.events, LOG)[-1:] not in {b"", b"\n"}
