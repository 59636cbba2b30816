"""What goes with a job to a node of a Ray cluster: the files that it starts from, and what many jobs share."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from resnet_search.networks.architecture import Architecture
from resnet_search.networks.imagenet import Source, sources_of
from resnet_search.reading import BINARY, read_bytes
from resnet_search.training.arrays import Arrays, read_arrays
from resnet_search.training.job import ANSWERS, HISTORY, STATE, WEIGHTS, Job

# The driver writes them in this order: a state is useless without the lines that lead to it.
FILES: Final = (HISTORY, ANSWERS, WEIGHTS, STATE)


@dataclass(frozen=True, slots=True)
class Files:
    """`own`: files of the job's folder; `parent`: the state to continue from.

    `arrays` is a reference to the images, None where the node sees them; `weights` has one to each file of ImageNet
    weights by its source. They are fetched where the node lacks them.
    """

    own: dict[str, bytes] = field(default_factory=dict)
    parent: bytes | None = None
    arrays: Any = None
    weights: dict[Source, Any] = field(default_factory=dict)


class Packer:
    """`shared`: every node sees the run's folder under the same path, so that only weights need to travel."""

    def __init__(self, ray: Any, *, shared: bool) -> None:
        self._ray, self._shared = ray, shared
        self._references: dict[str, Any] = {}  # What is in the object store, by path.

    def pack(self, job: Job) -> tuple[Job, Files]:
        """The job as a node is to read it, and what goes with it; `OSError` or a `RayError` where that cannot be."""
        folder, parent = Path(job.folder), None if job.parent is None else Path(job.parent)
        states = [place / STATE for place in (folder, parent) if place is not None]
        starts = not any(state.is_file() for state in states)
        weights = {source: self._stored(source.path) for source in weights_of(job)} if starts else {}
        if self._shared:
            # A worker has another working directory than the driver.
            before = None if parent is None else str(parent.absolute())
            seen = replace(job, folder=str(folder.absolute()), parent=before, data=str(Path(job.data).absolute()))
            return seen, Files(weights=weights)
        own = {name: read_bytes(folder / name, BINARY) for name in FILES if (folder / name).is_file()}
        state = read_bytes(parent / STATE, BINARY) if parent is not None and (parent / STATE).is_file() else None
        return job, Files(own, state, self._stored(Path(job.data)), weights)

    def clear(self) -> None:
        """Let go of what is in the object store."""
        self._references.clear()

    def _stored(self, path: Path) -> Any:
        """A reference to the images of a folder, or to the content of a file; put into the object store once."""
        key = str(path)
        if key not in self._references:
            # Without the mapping of a file, so that it travels as it lies in memory.
            content = path.read_bytes() if path.is_file() else _plain(read_arrays(path))
            self._references[key] = self._ray.put(content)
        return self._references[key]


def weights_of(job: Job) -> tuple[Source, ...]:
    """The files of ImageNet weights that a job may start from."""
    return sources_of([Architecture.from_dict(job.architecture)]) if job.recipe.get("init") == "imagenet" else ()


def _plain(arrays: Arrays) -> Arrays:
    """Arrays that travel as they lie in memory: those mapped from a file are objects of their own kind."""
    images, labels = np.asarray(arrays.x_train), np.asarray(arrays.y_train)
    held, theirs = np.asarray(arrays.x_validation), np.asarray(arrays.y_validation)
    return replace(arrays, x_train=images, y_train=labels, x_validation=held, y_validation=theirs)
