"""The state that training continues from: every variable of network and optimizer, in one file replaced at once.

Keras's own weights file restores an optimizer only if it is built before, and names no epoch; this one holds arrays
and numbers alone, so reading it runs no code.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from resnet_search.files import replacing

STATE = "state.h5"


class BadCheckpointError(Exception):
    """A state file that cannot be read or belongs to another network."""


def save_state(path: Path, epoch: int, groups: Mapping[str, Sequence[Any]]) -> None:
    """Write the values of Keras variables, by group, as of the end of `epoch` (absolute)."""
    with replacing(path) as partial, h5py.File(partial, "w") as file:
        file.attrs["epoch"] = epoch
        for name, variables in groups.items():
            group = file.create_group(name)
            for number, variable in enumerate(variables):
                group.create_dataset(f"{number:05d}", data=_to_numpy(variable))


def load_state(path: Path, groups: Mapping[str, Sequence[Any]]) -> int:
    """Assign the values to the variables; returns the epoch. Nothing is assigned if anything does not fit."""
    try:
        with h5py.File(path, "r") as file:
            epoch = int(file.attrs["epoch"])
            values = {name: [file[name][key][()] for key in sorted(file[name])] for name in groups}
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise BadCheckpointError(f"{path}: {error}") from error
    for name, variables in groups.items():
        shapes = [tuple(variable.shape) for variable in variables]
        if shapes != [np.shape(value) for value in values[name]]:
            raise BadCheckpointError(f"{path}: {name} has other shapes than this network")
    for name, variables in groups.items():
        for variable, value in zip(variables, values[name], strict=True):
            variable.assign(value)
    return epoch


def read_epoch(path: Path) -> int:
    """The epoch that a state file was written at; 0 where there is none."""
    if not path.exists():
        return 0
    try:
        with h5py.File(path, "r") as file:
            return int(file.attrs["epoch"])
    except (OSError, KeyError, ValueError) as error:
        raise BadCheckpointError(f"{path}: {error}") from error


def _to_numpy(variable: Any) -> Any:
    from keras import ops

    value = ops.convert_to_numpy(variable)
    # HDF5 has no bfloat16.
    return value.astype(np.float32) if value.dtype.name == "bfloat16" else value
