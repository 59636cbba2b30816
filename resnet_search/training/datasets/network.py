"""Whether a download can start at all, found out in seconds."""

from __future__ import annotations

import http.client
import threading
import urllib.error
import urllib.request

PATIENCE = 5.0  # seconds; TFDS itself would retry for minutes


def unreachable(url: str, patience: float = PATIENCE) -> str | None:
    """Why `url` cannot be fetched, in a few words, or None where its server answers. Takes at most `patience` seconds.

    Goes by the proxy settings of the environment, as TFDS does.
    """
    answers: list[str | None] = []
    # A thread, since looking up a name knows no timeout.
    thread = threading.Thread(target=lambda: answers.append(_ask(url, patience)), daemon=True)
    thread.start()
    thread.join(patience)
    return answers[0] if answers else f"no answer within {patience:g} s"


def _ask(url: str, patience: float) -> str | None:
    request = urllib.request.Request(url, method="HEAD")  # noqa: S310 - the callers' addresses are https
    try:
        with urllib.request.urlopen(request, timeout=patience):  # noqa: S310
            return None
    except urllib.error.HTTPError:
        return None  # it answers; what it thinks of HEAD is its own matter
    except (OSError, ValueError, http.client.HTTPException) as error:
        return str(getattr(error, "reason", error)) or type(error).__name__
