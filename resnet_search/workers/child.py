"""A worker process: reads jobs from standard input, trains them, answers on standard output, one JSON line each.

Started as `python -m resnet_search.workers.child SETTINGS`, the settings being those of `_configure` as JSON.
"""

from __future__ import annotations

import errno
import gc
import io
import json
import os
import queue
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import Any, TextIO, cast

from resnet_search.training.job import MACHINE, Epoch, Job, TrialFailure
from resnet_search.workers.backend import has_gpu


def main() -> None:
    """Serve jobs until standard input closes, which it does when the driver ends, however it ends."""
    answers = _private_stdout()
    jobs: queue.Queue[Job] = queue.Queue()
    threading.Thread(target=_read_jobs, args=(jobs,), daemon=True).start()
    devices = _configure(**json.loads(sys.argv[1]))
    # What was imported stays, and need not be looked through in the collection that each trial begins with.
    gc.freeze()
    _say(answers, {"kind": "ready", "devices": devices})
    on_gpu = has_gpu(devices)
    while True:
        _say(answers, _work(jobs.get(), answers, on_gpu=on_gpu))


def _work(job: Job, answers: TextIO, *, on_gpu: bool = False) -> dict[str, Any]:
    from resnet_search.training.arrays import read_arrays
    from resnet_search.training.memory import train_in_parts

    begin, seconds = time.perf_counter(), 0.0

    def report(epoch: Epoch) -> None:
        nonlocal seconds
        seconds += epoch.train_seconds + epoch.validation_seconds
        _say(answers, {"kind": "epoch", "trial": job.trial, "epoch": epoch.to_dict()})

    def divided(parts: int) -> None:
        _say(answers, {"kind": "divided", "trial": job.trial, "parts": parts})

    try:
        history = train_in_parts(job, read_arrays(Path(job.data)), report, _Beat(answers), divided)
    except TrialFailure as failure:
        return {"kind": "failed", "trial": job.trial, "reason": str(failure), "detail": str(failure)}
    except OSError as error:
        if error.errno in _THE_CANDIDATE:
            return _failed(job, error)
        return {"kind": "stopped", "trial": job.trial, "reason": f"{error.filename or job.folder}: {error.strerror}"}
    except Exception as error:  # noqa: BLE001 - no error of one candidate may end the search
        if of_the_machine(error, on_gpu=on_gpu):
            # The driver quotes the last line when it reports the loss.
            sys.stderr.write(f"{traceback.format_exc()}\n{type(error).__name__}: {_cause(str(error))}\n")
            sys.stderr.flush()
            # Not the next candidate's problem either: a new process may fare better.
            os._exit(MACHINE)
        return _failed(job, error)
    return {
        "kind": "done",
        "trial": job.trial,
        "history": [line.to_dict() for line in history],
        "setup_seconds": time.perf_counter() - begin - seconds,
    }


def of_the_machine(error: BaseException, *, on_gpu: bool = False) -> bool:
    """Return whether an error would come with every candidate: from short memory or a broken installation.

    `on_gpu`: after an illegal address, for example, a CUDA process fails with everything that it trains later.
    """
    from resnet_search.training.memory import chain

    words = _OF_THE_MACHINE + _OF_A_GPU * on_gpu
    return any(isinstance(one, ImportError) or any(word in str(one) for word in words) for one in chain(error))


# Of oneDNN and the operating system, where other programs have taken the memory, or the threads.
_OF_THE_MACHINE = ("could not create a primitive", "std::bad_alloc", "can't start new thread", "pthread_create failed")
# Of CUDA, its libraries and XLA. Too little memory was looked for before.
_OF_A_GPU = ("CUDA_ERROR_", "cudaError", "CUDNN_STATUS_", "CUBLAS_STATUS_", "INTERNAL:", "launch failed")


class _Beat:
    """Says that a step is finished, but not so often that it costs anything; a worker without steps is replaced."""

    def __init__(self, answers: TextIO) -> None:
        self._answers, self._last = answers, -_BEAT_SECONDS

    def __call__(self) -> None:
        now = time.monotonic()
        if now - self._last >= _BEAT_SECONDS:
            self._last = now
            _say(self._answers, {"kind": "step"})


_BEAT_SECONDS = 1.0


def _failed(job: Job, error: Exception) -> dict[str, Any]:
    reason = f"{type(error).__name__}: {_cause(str(error))}"
    return {"kind": "failed", "trial": job.trial, "reason": reason[:300], "detail": traceback.format_exc()}


def _cause(message: str) -> str:
    """The line of a message that says what is wrong: TensorFlow's begin with where its graph was made."""
    lines = [line.strip() for line in message.splitlines()]
    told = [line for line in lines if line and not line.startswith(_PLACES)]
    return told[0] if told else "no message"


_PLACES = ("Graph execution error:", "Detected at node", 'File "', "<stack traces unavailable>", "[[{{")


# Too large for the memory, or nothing that the operating system said. Whatever else it says of a file, no space,
# read-only, not permitted, gone, it would say to every candidate.
_THE_CANDIDATE = frozenset({None, errno.ENOMEM})


def _configure(threads: int, gpu_limit: int = 0) -> list[str]:
    """Set the backend up before its first use; the names of the devices it has.

    `gpu_limit`: bytes of a GPU's memory that TensorFlow may take, 0 for all. JAX reads all from the environment.
    """
    import keras

    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(1)
        if gpu_limit:
            share = tf.config.LogicalDeviceConfiguration(memory_limit=gpu_limit // 2**20)
            for gpu in tf.config.list_physical_devices("GPU"):
                tf.config.set_logical_device_configuration(gpu, [share])
        return [device.name for device in tf.config.list_physical_devices()]
    return [str(device) for device in keras.distribution.list_devices()]


def _read_jobs(jobs: queue.Queue[Job]) -> None:
    cast("io.TextIOWrapper", sys.stdin).reconfigure(encoding="utf-8")  # whatever PYTHONIOENCODING says
    for line in sys.stdin:
        jobs.put(Job(**json.loads(line)))
    # Without a driver there is nothing to train for; the epochs on disk are safe.
    os._exit(0)


def _private_stdout() -> TextIO:
    """Keep standard output for answers: what libraries print there goes to standard error instead."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return answers


def _say(answers: TextIO, message: dict[str, Any]) -> None:
    with _one_line_at_a_time:  # Keras calls back from a thread.
        answers.write(json.dumps(message) + "\n")
        answers.flush()


_one_line_at_a_time = threading.Lock()


if __name__ == "__main__":
    main()
