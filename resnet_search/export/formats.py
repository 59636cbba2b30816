"""The formats of an export: their file names, runtimes and required packages."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Final

from resnet_search.errors import ExportError
from resnet_search.workers.backend import INSTALL

OPSET: Final = 17  # of ONNX, from 2022: supported since ONNX Runtime 1.12


@dataclass(frozen=True, slots=True)
class Format:
    """A format. `packages`: needed besides TensorFlow to make and reload it, from the extra `extra`.

    exact: whether it computes in float32 and so must give the trained model's probabilities.
    """

    name: str
    file: str
    runtime: str
    extra: str = ""
    packages: tuple[str, ...] = ()
    exact: bool = True


SAVED_MODEL: Final = "saved_model"
_LITERT: Final = ("LiteRT", "litert", ("ai_edge_litert",))
FORMATS: Final = {
    made.name: made
    for made in (
        Format(SAVED_MODEL, "saved_model", "TensorFlow"),
        Format("keras", "model.keras", "Keras"),
        Format("onnx", "model.onnx", "ONNX Runtime", "onnx", ("onnx", "onnxruntime", "tf2onnx")),
        Format("litert", "model.tflite", *_LITERT),
        Format("litert-int8", "model_int8.tflite", *_LITERT, exact=False),
    )
}


def chosen(names: Iterable[str]) -> tuple[Format, ...]:
    """Return the formats with these names in the order of `FORMATS`, always with the SavedModel that others need.

    `ExportError` if TensorFlow or a required package is not installed.
    """
    check_tensorflow()
    asked = {SAVED_MODEL, *names}
    formats = tuple(made for made in FORMATS.values() if made.name in asked)
    for made in formats:
        missing = [package for package in made.packages if find_spec(package) is None]
        if missing:
            raise ExportError(
                f"--format: got {made.name!r}, which needs {', '.join(missing)}; not installed here",
                f"Install it: pip install 'resnet-search[{made.extra}]'",
            )
    return formats


def check_tensorflow() -> None:
    """Raise `ExportError` if TensorFlow is not installed: only it writes SavedModels, from weights of any backend."""
    if find_spec("tensorflow") is None:
        raise ExportError(
            "TensorFlow, which writes the SavedModel, is not installed here",
            f"The trained weights are kept. Install it: {INSTALL['tensorflow']}. Or export on a machine that has it: "
            "copy the run's folder there, with its images in .data beside it.",
        )
