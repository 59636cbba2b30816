"""The Ray cluster that a search trains on, and what each trial takes of it: plain values, which need no Ray."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import Any, Final, Self

from resnet_search.errors import UsageError

SCHEME: Final = "ray"
AUTO: Final = "auto"
LOCAL: Final = "local"  # Ray's word for a Ray of this machine alone
ALLOWED: Final = "ray (a Ray of this machine), ray://auto (the cluster whose node this machine is) or ray://HOST:PORT"
# Slots that a driver looks after; the files of so many trials are as much as one disk takes.
MOST_SLOTS: Final = 4096
_ADDRESS = re.compile(r"auto|[A-Za-z0-9._-]+:[0-9]{1,5}|\[[0-9A-Fa-f:]+\]:[0-9]{1,5}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """`address`: HOST:PORT as `ray start --address` takes it, `auto`, or empty for a Ray of this machine alone.

    `cpus`, `gpus`: of each trial; None for one of the first, and for one GPU where the device is a GPU. `storage`: a
    folder that every node sees under the same path and that the run lies in; empty where there is none.
    """

    address: str = ""
    cpus: float | None = None
    gpus: float | None = None
    storage: str = ""

    def __post_init__(self) -> None:
        if self.address and not _ADDRESS.fullmatch(self.address):
            raise UsageError(f"--workers: got 'ray://{self.address}'; allowed: {ALLOWED}")
        if self.cpus is not None and not 0 < self.cpus <= _MOST_CPUS:
            raise UsageError(f"--cpus-per-trial: got {self.cpus!r}; allowed: above 0, to {_MOST_CPUS}")
        # Ray takes a part of one GPU, or whole ones; a trial trains on one.
        if self.gpus is not None and not 0 <= self.gpus <= 1:
            raise UsageError(f"--gpus-per-trial: got {self.gpus!r}; allowed: from 0 to 1")

    @classmethod
    def from_word(cls, word: str) -> Self:
        """Of --workers: `ray` or `ray://ADDRESS`."""
        if word == SCHEME:
            return cls()
        scheme, _, address = word.partition("://")
        if scheme != SCHEME or not address:
            raise UsageError(f"--workers: got {word!r}; allowed: {ALLOWED}")
        return cls(address=address)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Of run.json, which also says what of Ray's resources a trial needs; `ValueError` for what is no cluster."""
        try:
            return cls(**{key: value for key, value in values.items() if key != "needs"})
        except (UsageError, TypeError) as error:
            raise ValueError(str(error)) from error

    @property
    def word(self) -> str:
        """As it is given to --workers."""
        return f"{SCHEME}://{self.address}" if self.address else SCHEME

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


_MOST_CPUS = 1024
