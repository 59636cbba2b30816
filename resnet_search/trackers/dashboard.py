"""Serve optuna-dashboard on loopback for a run, which is mirrored into its journal meanwhile."""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from resnet_search.errors import TrackingError
from resnet_search.runs.folder import RunFolder
from resnet_search.runs.trials import read_run
from resnet_search.trackers.choice import DASHBOARD, place_of
from resnet_search.trackers.keep_up import keep_up, worded
from resnet_search.trackers.records import search_of

HOST = "127.0.0.1"
# Seconds to wait for the mirror of a large run before the page opens.
_PATIENCE = 120.0


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    # Elsewhere it allows an immediate restart; on Windows two servers could share the port.
    allow_reuse_address = os.name != "nt"


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name that it overrides
        """Log nothing: the requests come from the user's own browser."""


@contextmanager
def serving(folder: RunFolder, port: int) -> Iterator[WSGIServer]:
    """Give a server of the run's dashboard for the length of the block; call `serve_forever`. Port 0: any free port.

    `TrackingError` if the package is missing, the port is taken, or the run cannot be mirrored.
    """
    if find_spec("optuna_dashboard") is None:
        raise TrackingError(
            "dashboard: needs optuna-dashboard; not installed here",
            "Install it: pip install 'resnet-search[dashboard]'",
        )
    with _server(port) as server:
        over, said = threading.Event(), list[Exception]()
        mirror = threading.Thread(target=keep_up, args=(folder, DASHBOARD, over, said.append), daemon=True)
        mirror.start()
        try:
            server.set_app(_application(folder, said))
            yield server
        finally:
            over.set()
            mirror.join(1.0)


def _server(port: int) -> WSGIServer:
    try:
        return make_server(HOST, port, lambda *_: [], server_class=_Server, handler_class=_Quiet)
    except OSError as error:
        taken = "is taken" if error.errno == errno.EADDRINUSE else f"cannot be used: {error.strerror}"
        raise TrackingError(
            f"--port: got {port}, which {taken}; allowed: a free port, or 0 for any free port",
            "Close the program that uses it, perhaps another dashboard, or use --port 0.",
        ) from error


def _application(folder: RunFolder, said: list[Exception]) -> Any:
    from optuna_dashboard import wsgi

    from resnet_search.trackers.to_optuna import has_study, storage_of

    key = search_of(read_run(folder)).key
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end:
        if said:
            raise TrackingError(
                f"{folder.name} cannot be mirrored for the dashboard: {worded(said[0])}", "Fix this first."
            )
        if has_study(place_of(folder, DASHBOARD), key):
            return wsgi(storage_of(place_of(folder, DASHBOARD)))
        time.sleep(_LOOK)
    raise TrackingError(f"{folder.name} was not mirrored within {_PATIENCE:.0f} s", "Another dashboard may be stuck.")


_LOOK = 0.2  # seconds between checks whether the mirror has started
