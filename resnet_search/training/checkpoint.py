"""The state that training continues from: every variable of network and optimizer, in one file, replaced atomically.

Keras's own weights file restores an optimizer only if it is already built, and records no epoch. This file holds only
arrays and numbers, so reading it runs no code.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from resnet_search.files import write_bytes
from resnet_search.reading import check_plain
from resnet_search.training.length import in_epochs


class BadCheckpointError(Exception):
    """A state file that cannot be read or belongs to another network."""


def save_state(path: Path, epoch: float, groups: Mapping[str, Sequence[Any]]) -> None:
    """Write the values of Keras variables, by group, at the end of `epoch` (absolute)."""
    # In memory first, because HDF5 ends the process if the disk becomes full (seen with 1.14).
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        file.attrs["epoch"] = epoch
        for name, variables in groups.items():
            group = file.create_group(name)
            for number, variable in enumerate(variables):
                group.create_dataset(f"{number:05d}", data=_to_numpy(variable))
    write_bytes(path, content.getbuffer())


def load_state(path: Path, groups: Mapping[str, Sequence[Any]]) -> float:
    """Assign the values to the variables and return the epoch. Nothing is assigned if anything does not fit."""
    try:
        with open_h5(path) as file:
            epoch = in_epochs(file.attrs["epoch"])
            stored = {name: [file[name][key] for key in sorted(file[name])] for name in groups}
            for name, variables in groups.items():
                # Checked before reading, because a file may claim any size.
                if [tuple(variable.shape) for variable in variables] != [dataset.shape for dataset in stored[name]]:
                    raise BadCheckpointError(f"{path}: the shapes of {name} do not match this network")
                if any(dataset.dtype.kind not in _NUMBERS for dataset in stored[name]):
                    raise BadCheckpointError(f"{path}: {name} holds values that are not numbers")
            values = {name: [dataset[()] for dataset in stored[name]] for name in groups}
    except _DAMAGE as error:
        raise BadCheckpointError(f"{path}: {error}") from error
    for name, variables in groups.items():
        for variable, value in zip(variables, values[name], strict=True):
            variable.assign(value)
    return epoch


@contextmanager
def open_h5(path: Path) -> Iterator[h5py.File]:
    """Open an HDF5 file to read that holds all of its values itself; `OSError` or `ValueError` if it does not.

    Links, and external and virtual data sets, would read other files of the user. A data set that claims more than the
    file holds would take any amount of memory.
    """
    check_plain(path)
    with h5py.File(path, "r") as file:
        # An error must not be raised in these functions, which HDF5 calls; a text ends the visit.
        wrong = file.visititems_links(_wrong_link) or file.visititems(_wrong_values)
        if wrong:
            raise ValueError(wrong)
        yield file


def _wrong_link(name: str, link: Any) -> str | None:
    return None if isinstance(link, h5py.HardLink) else f"{name} is a link to another place"


def _wrong_values(name: str, item: Any) -> str | None:
    if not isinstance(item, h5py.Dataset):
        return None
    if item.external or item.is_virtual:
        return f"the values of {name} are in another file"
    if item.nbytes > item.id.get_storage_size():
        return f"{name} claims {item.nbytes:,} bytes and holds {item.id.get_storage_size():,}"
    return None


def read_epoch(path: Path) -> float:
    """Return the epoch of a state file; 0 if there is no file."""
    if not path.exists():
        return 0
    try:
        with open_h5(path) as file:
            return in_epochs(file.attrs["epoch"])
    except _DAMAGE as error:
        raise BadCheckpointError(f"{path}: {error}") from error


# Raised by h5py for files that are truncated, damaged, or of another kind.
_DAMAGE = (OSError, LookupError, ValueError, TypeError, AttributeError, RuntimeError, OverflowError)
_NUMBERS = "fiub"


def _to_numpy(variable: Any) -> Any:
    value = np.asarray(getattr(variable, "value", variable))
    # HDF5 does not support bfloat16.
    return value.astype(np.float32) if value.dtype.name == "bfloat16" else value
