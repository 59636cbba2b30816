"""Download ImageNet weights before training starts, so that no worker needs a network connection."""

from __future__ import annotations

import hashlib
import http.client
import shutil
import urllib.request
from collections.abc import Iterable
from pathlib import Path

from resnet_search.errors import DataError
from resnet_search.files import replacing
from resnet_search.networks.imagenet import Source
from resnet_search.training.datasets.network import unreachable

_PATIENCE = 60.0  # seconds without progress before a download fails


def missing(sources: Iterable[Source]) -> list[Source]:
    """Return the sources whose file is missing in Keras's cache or wrong, such as after an interrupted download."""
    return [source for source in dict.fromkeys(sources) if not _is_whole(source.path, source.md5)]


def provide(sources: Iterable[Source]) -> None:
    """Download missing files to Keras's cache; `DataError` says where to put a file that cannot be downloaded."""
    for source in missing(sources):
        reason = unreachable(source.url) or _download(source)
        if reason:
            found = "is not the file of keras.applications" if source.path.exists() else "does not exist"
            raise DataError(
                f"init: got 'imagenet', but {source.path} {found}, and {source.url} cannot be downloaded: {reason}",
                f"Download it ({source.megabytes} MB) on a machine with a network connection and put it at that path, "
                "or use --init he_normal.",
            )


def _download(source: Source) -> str:
    """Download a file to the cache; return why that failed, or nothing."""
    try:
        _fetch(source)
    except (OSError, ValueError, http.client.HTTPException) as error:
        return str(getattr(error, "reason", error)) or type(error).__name__
    return ""


def _fetch(source: Source) -> None:
    source.path.parent.mkdir(parents=True, exist_ok=True)
    with (
        urllib.request.urlopen(source.url, timeout=_PATIENCE) as response,  # noqa: S310 - the address is https
        replacing(source.path) as partial,
    ):
        with partial.open("wb") as file:
            shutil.copyfileobj(response, file)
        if not _is_whole(partial, source.md5):
            raise ValueError(f"the downloaded file does not have the MD5 {source.md5}")


def _is_whole(path: Path, md5: str) -> bool:
    try:
        with path.open("rb") as file:
            # Keras publishes MD5 sums; they only detect an incomplete file.
            return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest() == md5
    except OSError:
        return False
