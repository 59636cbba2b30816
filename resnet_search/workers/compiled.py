"""What JAX has compiled, kept for later workers and runs of this user, in a folder that does not grow without end."""

from __future__ import annotations

import hashlib
import os
import platform
from contextlib import suppress
from pathlib import Path
from typing import Final

from resnet_search.files import remove

# Some hundred networks on a GPU, all networks of many runs on a processor. JAX's own bound needs another package.
MOST_BYTES: Final = 4 * 2**30


def compiled_folder() -> Path:
    """Return the folder, one for each kind of processor: instructions that a machine lacks end the process.

    `RuntimeError` without a home.
    """
    processor = platform.processor() or platform.machine()
    with suppress(OSError):
        said = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        processor = next((line for line in said if line.startswith(("flags", "Features"))), processor)
    caches = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    return caches / "resnet-search" / f"jax-{hashlib.sha256(processor.encode()).hexdigest()[:12]}"


def prune(folder: Path, most: int = MOST_BYTES) -> None:
    """Remove the files that were not used for longest, until `most` bytes are left; a worker compiles them again."""
    files: list[tuple[float, int, Path]] = []
    with suppress(OSError):  # Another run prunes too.
        for path in folder.iterdir():
            status = path.stat()
            files.append((max(status.st_atime, status.st_mtime), status.st_size, path))
    left = sum(size for _, size, _ in files)
    for _, size, path in sorted(files):
        if left <= most:
            break
        with suppress(OSError):
            remove(path)
        left -= size
