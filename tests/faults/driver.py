"""The real search with a trainer that takes no time, in processes that fail or die at any write.

A program, since TensorFlow takes seconds to import: it reads requests from standard input, one JSON line each, carries
each out in a forked process, and answers with what became of that. `conftest.Drivers` speaks to it. What is not real:
the network and its training (`FakeTrainer`), the images, and that workers are forked. Everything that is written to a
run's folder is written by the program's own code.
"""

from __future__ import annotations

import gc
import io
import json
import os
import select
import signal
import sys
import threading
import time
from importlib import import_module
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from benchmarks.content import DATA, WORKERS, make_content
from resnet_search import files
from resnet_search.runs.folder import RunFolder, create_run
from resnet_search.search import start
from resnet_search.search.resume import ResumeSettings
from resnet_search.spaces.load import parse_space
from resnet_search.spaces.plan import make_plan
from resnet_search.training import arrays, train
from resnet_search.training.job import WEIGHTS, Epoch, Job, TrialFailure
from resnet_search.workers import child, local
from resnet_search.workers.contract import Lost, Message

from .injection import IMAGES, JOBS, Fault, note

SPACE = """
[axes]
n = [1, 2, 3]
width = [4, 6, 8, 10, 12, 14, 16]
block = ["basic"]
[hyperband]
max_epochs = {max_epochs}
[data]
source = "shapes"
"""


class Variable:
    """What `training` asks of a Keras variable."""

    def __init__(self, size: int) -> None:
        self.value = np.zeros(size, "int64")
        self.shape = (size,)

    def assign(self, value: Any) -> None:
        self.value = np.array(value, "int64")

    def __mul__(self, factor: int) -> Any:
        return self.value * factor

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return self.value


class FakeTrainer(train.Trainer):
    """A network of two numbers: which epochs it has seen, in what order, decides its score. One in four fails."""

    log: Path

    def __init__(self, job: Job, *_: Any) -> None:
        self.job = job
        self.state = {"network": [Variable(1)], "optimizer": [Variable(1)]}

    def _begin(self) -> int:
        return 0

    def run(self, start: float, end: float) -> Epoch:
        epoch = int(start)
        assert (start, end) == (epoch, epoch + 1)
        if self.job.seed % 4 == 0:
            raise TrialFailure("the loss was nan")
        network, optimizer = self.state["network"][0], self.state["optimizer"][0]
        optimizer.assign(optimizer.value + 1)
        assert optimizer.value[0] == epoch + 1, "an epoch was left out, or trained twice in a row"
        network.assign((network.value * 31 + self.job.seed + epoch) % 1009)
        note(self.log, f"{self.job.seed} {epoch}")
        if end == self.job.epochs:
            self.keep_weights()
        score = float(network.value[0]) / 1009
        return Epoch(epoch=end, loss=1.0, accuracy=score, val_loss=1.5 - score, val_accuracy=score,
                     learning_rate=0.1, train_seconds=0.1, validation_seconds=0.1)  # fmt: skip

    def keep_weights(self) -> None:
        content = io.BytesIO()
        with h5py.File(content, "w") as file:
            file["weights"] = self.state["network"][0].value
        with files.replacing(Path(self.job.folder) / WEIGHTS) as partial:
            partial.write_bytes(content.getvalue())


class InProcess:
    """`Workers` whose jobs run to their end when they are waited for, the last submitted first."""

    def __init__(self, slots: int, *_: Any) -> None:
        self.slots = slots
        self._jobs: list[tuple[int, Job]] = []
        self._messages: list[Message] = []

    def submit(self, slot: int, job: Job) -> None:
        self._jobs.append((slot, job))

    def wait(self, seconds: float) -> Message | None:
        if not self._messages:
            slot, job = self._jobs.pop()
            said = io.StringIO()
            last = child._work(job, said)
            lines = [*map(json.loads, said.getvalue().splitlines()), last]
            self._messages = [local._message(slot, line) for line in lines if line["kind"] != "step"]
        return self._messages.pop(0)

    def close(self) -> None:
        self._jobs.clear()


class Forked:
    """`Workers` as forked processes, one a job, which end with their driver as `workers.child` does."""

    pids: Path

    def __init__(self, slots: int, *_: Any) -> None:
        self.slots = slots
        self._reading: dict[int, tuple[int, str, int, int]] = {}  # By pipe: slot, trial, process, our end of its stdin.
        self._buffers: dict[int, bytes] = {}

    def submit(self, slot: int, job: Job) -> None:
        reading, writing = os.pipe()
        theirs, ours = os.pipe()
        pid = os.fork()
        if pid == 0:
            # As in a process that is started anew: one that kept the lock would hold the run of a driver that is dead.
            low, high = sorted((theirs, writing))
            for first, end in ((3, low), (low + 1, high), (high + 1, 1024)):
                os.closerange(first, end)
            _work_forked(job, theirs, writing)
        os.close(writing)
        os.close(theirs)
        note(self.pids, str(pid))
        self._reading[reading] = (slot, job.trial, pid, ours)
        self._buffers[reading] = b""

    def wait(self, seconds: float) -> Message | None:
        for pipe, buffer in self._buffers.items():
            line, end, rest = buffer.partition(b"\n")
            if end:
                self._buffers[pipe] = rest
                return self._heard(pipe, json.loads(line))
        ready, _, _ = select.select(list(self._reading), [], [], seconds)
        for pipe in ready:
            data = os.read(pipe, 65536)
            if not data:
                slot, trial, pid = self._end(pipe)
                return Lost(slot, trial, os.waitpid(pid, 0)[1], "was killed")
            self._buffers[pipe] += data
        return None

    def _heard(self, pipe: int, said: dict[str, Any]) -> Message | None:
        if said["kind"] == "step":
            return None
        slot = self._reading[pipe][0]
        if said["kind"] in {"done", "failed"}:
            os.waitpid(self._end(pipe)[2], 0)
        return local._message(slot, said)

    def _end(self, pipe: int) -> tuple[int, str, int]:
        slot, trial, pid, ours = self._reading.pop(pipe)
        del self._buffers[pipe]
        os.close(pipe)
        os.close(ours)
        return slot, trial, pid

    def close(self) -> None:
        for pipe in list(self._reading):
            os.kill(self._reading[pipe][2], signal.SIGKILL)
            os.waitpid(self._end(pipe)[2], 0)


def _work_forked(job: Job, stdin: int, stdout: int) -> None:
    def watch() -> None:
        os.read(stdin, 1)  # Closed by the end of the driver, however it ends.
        os._exit(0)

    threading.Thread(target=watch, daemon=True).start()
    with os.fdopen(stdout, "w") as answers:
        try:
            child._say(answers, child._work(job, answers))
        finally:
            os._exit(0)


def make_run(runs_dir: Path, name: str, max_epochs: int, slots: int) -> RunFolder:
    """A run of the small space that nothing has been searched in yet."""
    space = parse_space(SPACE.format(max_epochs=max_epochs), "small")
    content = make_content(
        space=space.to_dict(),
        horizon=space.hyperband.max_epochs,
        plan=make_plan(space).to_list(),
        feasible=make_plan(space).feasible.to_dict(),
        data={**DATA, "test": IMAGES},
        workers={**WORKERS, "slots": slots},
    )
    return create_run(runs_dir, name, content)


def drive(request: dict[str, Any]) -> None:
    """Start the run if there is none, and go on with it, or do another job; the fault comes from the request."""
    if "job" in request:
        Fault(request).install()
        JOBS[request["job"]](Path(request["runs_dir"]))
        return
    folder = RunFolder(Path(request["runs_dir"]) / request["name"])
    Forked.pids = Path(request["runs_dir"]) / "pids"
    FakeTrainer.log = Path(request["runs_dir"]) / "trained"
    start.LocalWorkers = Forked if request.get("forked") else InProcess  # type: ignore[misc,assignment]
    Fault(request).install()
    if "words" in request:
        import_module("tests.faults.following").carry_out(request)
        return
    if not (folder.path / "run.json").exists():
        make_run(folder.path.parent, folder.name, request["max_epochs"], request["slots"])
    start.resume_run(folder, settings=ResumeSettings(**request.get("settings", {})))


def _child(request: dict[str, Any]) -> None:
    """Carry a request out; what went wrong, one line, to the file that it names."""
    status = 0
    try:
        drive(request)
    except BaseException as error:  # noqa: BLE001 - whatever it is, it is to be told
        status = 1
        cause = f"{type(error).__name__} {getattr(error, 'errno', '')} {error}"
        Path(request["said"]).write_text(cause, encoding="utf-8")
    os._exit(status)


def _carry_out(request: dict[str, Any]) -> dict[str, Any]:
    said = Path(request["runs_dir"]) / "said"
    said.unlink(missing_ok=True)
    request["said"] = str(said)
    if "words" in request:
        import_module("tests.faults.following")  # Before the fork: it takes seconds.
    gc.freeze()  # Or the fork visits what was imported, and copies it by that.
    begin = time.perf_counter()
    pid = os.fork()
    if pid == 0:
        os.setpgid(0, 0)
        _child(request)
    if "kill_after" in request:
        time.sleep(request["kill_after"])
        _kill(pid, request)
    _, status = os.waitpid(pid, 0)
    text = said.read_text(encoding="utf-8") if said.exists() else ""
    return {"status": os.waitstatus_to_exitcode(status), "said": text, "seconds": time.perf_counter() - begin}


def _kill(pid: int, request: dict[str, Any]) -> None:
    try:
        if request["whom"] == "driver":
            os.kill(pid, signal.SIGKILL)
        elif request["whom"] == "both":
            os.killpg(pid, signal.SIGKILL)
        else:
            workers = (Path(request["runs_dir"]) / "pids").read_text().split()
            os.kill(int(workers[-1]), signal.SIGKILL)
    except (OSError, IndexError):
        return  # It has ended by itself.


def main() -> None:
    """Serve until standard input closes."""
    train.Trainer = FakeTrainer  # type: ignore[misc]
    train.on_device = lambda _: None  # type: ignore[assignment,return-value]
    arrays.read_arrays = lambda _: None  # type: ignore[assignment,return-value]
    start.arrays_of = lambda folder, *_: folder.path
    import pynvml  # noqa: F401

    import resnet_search.search.loop  # noqa: F401 - imported before the forks, once for all

    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        answers.write(json.dumps(_carry_out(json.loads(line))) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
