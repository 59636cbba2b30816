"""Architecture search over the ResNet family: the same from Python as from the command line. See docs/python.md."""

from __future__ import annotations

import os
import sys

# Before any other import of the program: a module of the current directory would be taken for it.
_AS_MODULE = sys.argv[:1] == ["-m"] and __name__ in sys.orig_argv
if _AS_MODULE and not sys.flags.safe_path:
    del sys.path[0]
if _AS_MODULE or "".join(sys.argv[:1]).endswith(("resnet-search", "resnet-search.exe")):
    from resnet_search.processes import protect

    protect()

from importlib import import_module  # noqa: E402
from importlib.util import find_spec  # noqa: E402
from typing import TYPE_CHECKING, Any  # noqa: E402

if TYPE_CHECKING:
    from resnet_search.export.saved_model import export_run
    from resnet_search.networks.architecture import Architecture
    from resnet_search.networks.complexity import complexity
    from resnet_search.networks.model import build_model
    from resnet_search.runs.trials import open_run
    from resnet_search.search.hypermodel import ResNetHyperModel
    from resnet_search.search.start import SearchSettings, resume_run, run_search
    from resnet_search.spaces.load import load_space, shipped_spaces
    from resnet_search.training.datasets import load_data

__version__ = "0.1.0"

# Without KERAS_BACKEND, Keras takes TensorFlow, installed or not.
if "KERAS_BACKEND" not in os.environ and find_spec("tensorflow") is None and find_spec("jax") is not None:
    os.environ["KERAS_BACKEND"] = "jax"

# Lazy, so that importing the package imports neither Keras nor TensorFlow.
_WHERE = {
    "Architecture": "networks.architecture",
    "ResNetHyperModel": "search.hypermodel",
    "SearchSettings": "search.start",
    "build_model": "networks.model",
    "complexity": "networks.complexity",
    "export_run": "export.saved_model",
    "load_data": "training.datasets",
    "load_space": "spaces.load",
    "open_run": "runs.trials",
    "resume_run": "search.start",
    "run_search": "search.start",
    "shipped_spaces": "spaces.load",
}

__all__ = [  # noqa: RUF022 - in the order of docs/python.md
    "load_space",
    "shipped_spaces",
    "load_data",
    "SearchSettings",
    "run_search",
    "resume_run",
    "open_run",
    "export_run",
    "Architecture",
    "complexity",
    "build_model",
    "ResNetHyperModel",
]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)
