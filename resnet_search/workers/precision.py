"""What workers compute in: what was asked for, on what they have."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from resnet_search.errors import TrainingError
from resnet_search.networks.precision import FLOAT32, MIXED, WIDE
from resnet_search.workers import bfloat16

AUTO: Final = "auto"
BFLOAT16: Final = "bfloat16"
PRECISIONS: Final = (AUTO, FLOAT32, BFLOAT16)

_CURE = (
    "Start with --precision float32. A run keeps the precision that it started with: resume it where that is available."
)
# As Linux names them.
_INSTRUCTIONS = frozenset({"avx512_bf16", "amx_bf16"})
_PROCESSOR = Path("/proc/cpuinfo")


def on_processor(asked: str, backend: str, *, wide: bool = False, elsewhere: bool = False) -> str:
    """Return the precision on a processor for one of PRECISIONS.

    AUTO: bfloat16 if some network can use it (`wide`) and a speed test on this machine shows that it is faster.
    `elsewhere`: training runs on other machines, and each checks its own instructions, so AUTO is float32.
    `TrainingError` if bfloat16 was asked for and would be slower: without instructions for it, or on a backend other
    than TensorFlow.
    """
    if asked == AUTO:
        may = wide and backend == "tensorflow" and not elsewhere and processor_has_bfloat16()
        return WIDE if may and bfloat16.is_faster() else FLOAT32
    if asked == FLOAT32:
        return FLOAT32
    if backend != "tensorflow":
        what = f"but {backend} is slow with it on a processor"
    elif not elsewhere and not processor_has_bfloat16():
        what = f"but this processor has none of {', '.join(sorted(_INSTRUCTIONS))}"
    else:
        return WIDE
    raise TrainingError(f"--precision: got {asked!r}, {what}", _CURE)


def processor_has_bfloat16() -> bool:
    """Whether this machine's processor has instructions for it."""
    return bool(_INSTRUCTIONS & _flags())


def on_gpu(asked: str, *, has_bfloat16: bool) -> str:
    """The precision on a GPU; `TrainingError` where it lacks what was asked for."""
    if asked == BFLOAT16 and not has_bfloat16:
        raise TrainingError(f"--precision: got {asked!r}, which this GPU does not support", _CURE)
    return MIXED if has_bfloat16 and asked != FLOAT32 else FLOAT32


def _flags() -> frozenset[str]:
    """What the processor can do; empty where the operating system does not say."""
    try:
        lines = _PROCESSOR.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return frozenset()
    return frozenset(next((line.partition(":")[2].split() for line in lines if line.startswith("flags")), []))
