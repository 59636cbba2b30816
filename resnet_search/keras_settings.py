"""Keep the settings of the user's other programs, such as ~/.keras/keras.json, out of the processes of this program.

No Keras here: it reads them when it is imported.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

_HOME: Final = "KERAS_HOME"
_USERS_HOME: Final = "RESNET_SEARCH_KERAS_HOME"  # where the user's KERAS_HOME is kept
_NOWHERE: Final = os.path.join(os.devnull, "keras")  # noqa: PTH118 - below a file, so no keras.json is read or written
# Limits on epochs and steps for debugging, and warnings of libraries as errors.
_OTHERS: Final = frozenset({"KERAS_MAX_EPOCHS", "KERAS_MAX_STEPS_PER_EPOCH", "PYTHONWARNINGS"})


def own_settings(environment: Mapping[str, str]) -> dict[str, str]:
    """Return an environment in which Keras computes in float32, with channels last, as every process here expects.

    The backend stays that of KERAS_BACKEND, or TensorFlow.
    """
    own = {name: value for name, value in environment.items() if name not in _OTHERS}
    if own.get(_HOME) != _NOWHERE:
        own[_USERS_HOME] = own.get(_HOME, "")
    return own | {_HOME: _NOWHERE, "TF_USE_LEGACY_KERAS": "0"}


def keras_folder() -> Path:
    """Return the user's folder of Keras, where data sets and weights are cached."""
    home = os.environ.get(_HOME)
    if home == _NOWHERE:
        home = os.environ.get(_USERS_HOME)
    return Path(home or "~/.keras").expanduser()
