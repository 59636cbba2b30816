"""The metadata block at the top of a model card, which model hubs read.

It follows https://github.com/huggingface/hub-docs/blob/main/modelcard.md.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from resnet_search.errors import UsageError
from resnet_search.report.markdown import visible
from resnet_search.report.measured import Estimate, Measured
from resnet_search.runs.trials import RunView
from resnet_search.spaces.schema import DATA_NAMES

UNKNOWN = "unknown"
_SPDX = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+-]{0,63}")
_OWN = "licenseref-"  # SPDX's prefix for licences that it does not list
_TFDS = "tfds:"
_NO_ID = re.compile(r"[^A-Za-z0-9._-]+")  # characters not allowed in the id of a data set on a hub
_TAGS = {"saved_model": "tensorflow", "keras": "keras", "onnx": "onnx", "litert": "tflite", "litert-int8": "tflite"}


def checked_license(spdx: str | None) -> str:
    """Return the SPDX identifier of a licence, `UNKNOWN` for None; `UsageError` if it is not a valid identifier."""
    if spdx is None:
        return UNKNOWN
    if not _SPDX.fullmatch(spdx):
        raise UsageError(
            f"--license: got {spdx!r}; allowed: an SPDX identifier, such as Apache-2.0, MIT or LicenseRef-MyOwn",
            "https://spdx.org/licenses lists them.",
        )
    return spdx


def metadata(
    view: RunView,
    network: str,
    *,
    formats: Collection[str],
    license_id: str,
    validation: Estimate | None,
    measured: Measured | None,
) -> dict[str, Any]:
    """Return the metadata of a network's card; formats by their names in `FORMATS`."""
    known = license_id.lower()
    own = known.startswith(_OWN)
    name = source_name(view)
    dataset = _NO_ID.sub("-", name).strip("-.") or UNKNOWN
    results = [
        {
            "task": {"type": "image-classification", "name": "Image classification"},
            "dataset": {"type": dataset, "name": name, "split": split},
            "metrics": [
                {"type": kind, "value": round(estimate.value, 4), "name": words} for kind, estimate, words in found
            ],
        }
        for split, found in metrics_of(validation, measured)
    ]
    return {
        "license": "other" if own else known,
        **({"license_name": known.removeprefix(_OWN)} if own else {}),
        "library_name": "tensorflow",
        "pipeline_tag": "image-classification",
        "tags": ["resnet", "neural-architecture-search", *dict.fromkeys(_TAGS[made] for made in formats)],
        "datasets": [dataset],
        "metrics": ["accuracy"],
        **({"model-index": [{"name": network, "results": results}]} if results else {}),
    }


def metrics_of(
    validation: Estimate | None, measured: Measured | None
) -> Iterator[tuple[str, list[tuple[str, Estimate, str]]]]:
    """Yield, by split, the hub's id of each metric, its value and its name."""
    if measured is not None:
        top5 = [] if measured.top5 is None else [("accuracy", measured.top5, "Top-5 accuracy")]
        error = ("expected_calibration_error", measured.calibration.error, "Expected calibration error")
        yield "test", [("accuracy", measured.top1, "Accuracy"), *top5, error]
    if validation is not None:
        yield "validation", [("accuracy", validation, "Validation accuracy")]


def source_name(view: RunView) -> str:
    """Name the data set without the folders of this machine, because a card may be published."""
    source = str(view.content["data"]["source"])
    if source in DATA_NAMES:
        return source
    return source.removeprefix(_TFDS) if source.startswith(_TFDS) else Path(source).name or UNKNOWN


def to_yaml(values: Mapping[str, Any]) -> str:
    """Return a block of YAML with one or more lines per key."""
    return "".join(f"{line}\n" for line in _lines(values))


def _lines(value: Mapping[str, Any] | Sequence[Any]) -> Iterator[str]:
    """Return a value as YAML in block style. Scalars are written as JSON, which is valid YAML 1.2."""
    for key, inner in value.items() if isinstance(value, Mapping) else ((None, inner) for inner in value):
        nested = list(_lines(inner)) if isinstance(inner, Mapping | list) else [_scalar(inner)]
        if key is None:
            yield f"- {nested[0]}"
            yield from (f"  {line}" for line in nested[1:])
        elif isinstance(inner, Mapping | list):
            yield f"{key}:"
            yield from (f"  {line}" for line in nested)
        else:
            yield f"{key}: {nested[0]}"


def _scalar(value: str | float) -> str:
    # YAML allows only printable characters unescaped.
    return json.dumps(visible(value) if isinstance(value, str) else value, ensure_ascii=False, allow_nan=False)
