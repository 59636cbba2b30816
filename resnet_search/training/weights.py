"""The files of ImageNet weights: seen to before anything trains, so that no worker ever asks a network for them."""

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

_PATIENCE = 60.0  # seconds that a download may stand still


def missing(sources: Iterable[Source]) -> list[Source]:
    """Those whose file is not in Keras's cache, or is another than it should be, as after a download that was cut."""
    return [source for source in dict.fromkeys(sources) if not _is_whole(source.path, source.md5)]


def provide(sources: Iterable[Source]) -> None:
    """Download what is missing, into Keras's cache; `DataError` says where to put a file that cannot be had."""
    for source in missing(sources):
        reason = unreachable(source.url) or _download(source)
        if reason:
            found = "is another file than that of keras.applications" if source.path.exists() else "is not there"
            raise DataError(
                f"init: got 'imagenet', but {source.path} {found}, and {source.url} cannot be downloaded: {reason}",
                f"Download it ({source.megabytes} MB) where there is a network and put it there under its own name, "
                "or start from --init he_normal.",
            )


def _download(source: Source) -> str:
    """Fetch a file into the cache; why that failed, or nothing."""
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
            raise ValueError(f"what arrived is not the file whose MD5 is {source.md5}")


def _is_whole(path: Path, md5: str) -> bool:
    try:
        with path.open("rb") as file:
            # Keras publishes MD5 sums; it tells a torn file from a whole one, no more.
            return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest() == md5
    except OSError:
        return False
