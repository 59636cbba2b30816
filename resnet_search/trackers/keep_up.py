"""Keep a tracker up to date until a run is over, even if the tracker fails meanwhile.

As a program, `python -m resnet_search.trackers.keep_up FOLDER TRACKER`, it is a separate process. It ends when
its standard input closes, that is, when the driver ends for whatever reason. It writes each new error to standard
output, one line each.
"""

from __future__ import annotations

import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from resnet_search.runs.folder import RunFolder
from resnet_search.trackers.mirror import Mirror

# Seconds between two reads of the files: an epoch takes longer, and reading costs the search nothing.
INTERVAL = 1.0
# Seconds; the delay before a failed tracker is tried again doubles up to this.
_MOST = 60.0
# Another process may still track the run: after its driver was killed, it catches up and ends.
PATIENCE = 30.0


def keep_up(
    folder: RunFolder,
    name: str,
    over: threading.Event,
    say: Callable[[Exception], None],
    *,
    interval: float = INTERVAL,
    patience: float = PATIENCE,
) -> bool:
    """Track a run until it is `over`, and then once more; return whether the tracker has everything.

    `say` receives the error when a tracker starts to fail. While another process tracks the run, this one waits.
    """
    end = None
    while True:
        with _sole(folder, name, say) as sole:
            if sole:
                return _follow(folder, name, over, say, interval)
        if over.is_set():
            end = end or time.monotonic() + patience
            if time.monotonic() > end:
                return False
            time.sleep(min(interval, 0.2))
        over.wait(interval)


@contextmanager
def _sole(folder: RunFolder, name: str, say: Callable[[Exception], None]) -> Iterator[bool]:
    with ExitStack() as stack:
        try:
            sole = stack.enter_context(folder.sole(name))
        except OSError as error:
            say(error)
            sole = False
        yield sole


def _follow(
    folder: RunFolder, name: str, over: threading.Event, say: Callable[[Exception], None], interval: float
) -> bool:
    mirror: Mirror | None = None
    wait = interval
    while True:
        last = over.is_set()  # Read before the step, so that nothing written until then is missed.
        try:
            mirror = mirror or Mirror(folder, name)
            mirror.step()
            wait, failed = interval, False
        except Exception as error:  # noqa: BLE001 - tools and servers may raise anything
            if wait == interval:
                say(error)
            wait, failed = min(2 * wait, _MOST), True
        if last:
            if mirror is not None:
                mirror.close()
            return not failed
        over.wait(wait)


def worded(error: Exception) -> str:
    """Return an error in one line."""
    first = str(error).strip().splitlines()
    return f"{type(error).__name__}: {first[0][:200]}" if first else type(error).__name__


def main() -> int:
    """Run the separate process; return its exit status."""
    folder, name = RunFolder(Path(sys.argv[1])), sys.argv[2]
    with suppress(OSError, AttributeError):
        os.nice(10)
    over = threading.Event()
    threading.Thread(target=_until_closed, args=(over,), daemon=True).start()

    def say(error: Exception) -> None:
        traceback.print_exception(error)
        with suppress(OSError):  # The driver may be gone.
            sys.stdout.write(worded(error) + "\n")
            sys.stdout.flush()

    return 0 if keep_up(folder, name, over, say) else 1


def _until_closed(over: threading.Event) -> None:
    with suppress(OSError):
        sys.stdin.buffer.read()
    over.set()


if __name__ == "__main__":
    sys.exit(main())
