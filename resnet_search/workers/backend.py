"""The library that Keras computes with: TensorFlow, or JAX, which trains where TensorFlow is not installed."""

from __future__ import annotations

import os
from collections.abc import Iterable
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from resnet_search.errors import TrainingError

DEFAULT: Final = "tensorflow"
INSTALL: Final = {"tensorflow": "pip install 'tensorflow>=2.20'", "jax": "pip install 'jax>=0.6'"}
INSTALL_GPU: Final = {"tensorflow": "pip install 'resnet-search[gpu]'", "jax": "pip install 'jax[cuda12]'"}

# JAX's variable for the part of a GPU's memory that it may take: its present name, and the old one of older releases.
MEMORY_FRACTIONS: Final = ("XLA_CLIENT_MEM_FRACTION", "XLA_PYTHON_CLIENT_MEM_FRACTION")


def check_backend(name: str | None = None) -> None:
    """`TrainingError` unless the backend is one of the two and installed; None: the one that Keras will take."""
    asked = name or os.environ.get("KERAS_BACKEND")
    backend = asked or DEFAULT
    if backend not in INSTALL:
        raise TrainingError(
            f"KERAS_BACKEND: got {backend!r}; allowed: {', '.join(INSTALL)}",
            "Set one, or leave it unset for TensorFlow (JAX where only JAX is installed).",
        )
    if find_spec(backend) is not None:
        return
    if asked is None:
        raise TrainingError(
            "the training backend is missing: neither TensorFlow nor JAX is installed",
            f"Install one: {' or '.join(INSTALL.values())}.",
        )
    where = "the run was started on" if name else "KERAS_BACKEND: got"
    raise TrainingError(
        f"{where} {backend!r}, which is not installed here", f"Install it: {INSTALL[backend]}. docs/backends.md."
    )


def keras_backend() -> str:
    """Return the backend that trials train with: that of KERAS_BACKEND, or TensorFlow. Imports Keras, to check it."""
    check_backend()
    import_module("keras")
    return os.environ.get("KERAS_BACKEND") or DEFAULT


def has_gpu(devices: Iterable[str]) -> bool:
    """Return whether one of a backend's devices is a GPU, by their names on TensorFlow or JAX."""
    named = " ".join(devices).lower()
    return any(word in named for word in ("gpu", "cuda", "rocm"))


@cache
def memory_fraction() -> str:
    """Return the name in `MEMORY_FRACTIONS` that the installed JAX reads; the present one without JAX."""
    present, old = MEMORY_FRACTIONS
    found = find_spec("jaxlib")
    if found is None or found.origin is None:
        return present
    try:
        source = Path(found.origin).with_name("xla_client.py").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return present
    return present if f"'{present}'" in source or f'"{present}"' in source else old
