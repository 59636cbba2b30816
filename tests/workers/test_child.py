"""What a worker says of an error: the candidate's, or the machine's."""

from __future__ import annotations

import errno
import io
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import pytest

from resnet_search.networks.architecture import Architecture
from resnet_search.training import arrays, memory
from resnet_search.training.job import MACHINE, Job
from resnet_search.workers import child
from resnet_search.workers.backend import has_gpu
from resnet_search.workers.child import _cause, _configure, _work

SMALL = Architecture.from_axes(block="basic", n=1, width=2)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), "stopped"),
        (OSError(errno.EROFS, os.strerror(errno.EROFS)), "stopped"),
        (OSError("a damaged file"), "failed"),
        (ValueError("a shape"), "failed"),
        (MemoryError(), "failed"),
    ],
)
def test_a_full_disk_is_not_the_candidates_fault(monkeypatch, tmp_path: Path, error, kind):
    def fail(*_):
        raise error

    monkeypatch.setattr(memory, "train", fail)
    few = SimpleNamespace(x_train=range(8), image_shape=(8, 8, 3), classes=range(3))
    monkeypatch.setattr(arrays, "read_arrays", lambda _: few)
    job = Job(
        trial="0000", folder=str(tmp_path), parent=None, architecture=SMALL.to_dict(), recipe={}, seed=0,
        initial_epoch=0,
        epochs=1, horizon=1, data="",
    )  # fmt: skip
    said = _work(job, io.StringIO())
    assert said["kind"] == kind
    assert said["reason"]


TENSORFLOW = """Graph execution error:

Detected at node a/b defined at (most recent call last):
  File "x.py", line 8, in <module>

<stack traces unavailable>
no kernel for it
 [[{{node a/b}}]]"""


@pytest.mark.parametrize(
    ("message", "cause"), [(TENSORFLOW, "no kernel for it"), ("a shape\nmore", "a shape"), ("", "no message")]
)
def test_the_reason_is_what_went_wrong_not_where(message: str, cause: str) -> None:
    assert _cause(message) == cause


@pytest.mark.skipif(find_spec("tensorflow") is None, reason="TensorFlow is not installed")
@pytest.mark.parametrize(("limit", "asked"), [(0, []), (3 * 2**30, [("GPU:0", 3072), ("GPU:1", 3072)])])
def test_a_share_of_a_gpu_is_a_limit_of_tensorflow(monkeypatch, limit, asked):
    import tensorflow as tf

    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    told = []
    monkeypatch.setattr(
        tf.config, "list_physical_devices", lambda *_: [SimpleNamespace(name=f"GPU:{n}") for n in (0, 1)]
    )
    monkeypatch.setattr(
        tf.config,
        "set_logical_device_configuration",
        lambda gpu, shares: told.append((gpu.name, shares[0].memory_limit)),
    )
    for name in ("set_intra_op_parallelism_threads", "set_inter_op_parallelism_threads"):
        monkeypatch.setattr(tf.config.threading, name, lambda _: None)
    _configure(threads=1, gpu_limit=limit)
    assert told == asked


@pytest.mark.parametrize(
    ("error", "machine"),
    [
        (RuntimeError("could not create a primitive [Op:Conv2D]"), True),
        (RuntimeError("can't start new thread"), True),
        (ImportError("no module named scipy"), True),
        (ValueError("negative dimension"), False),
        (RuntimeError("the loss was nan"), False),
    ],
)
def test_an_error_that_every_candidate_would_meet_is_the_machines(error, machine):
    assert child.of_the_machine(error) is machine
    outer = KeyError("training")
    outer.__cause__ = error
    assert child.of_the_machine(outer) is machine


# As recorded in issues 53 of jaxley, 25002 and 16078 of JAX, 99592 and 101746 of TensorFlow.
OF_CUDA = [
    "INTERNAL: custom call 'xla.gpu.func.launch' failed: Failed to launch CUDA kernel: CUDA_ERROR_ILLEGAL_ADDRESS",
    "INTERNAL: CUDA error: Could not synchronize CUDA stream: CUDA_ERROR_ILLEGAL_ADDRESS: an illegal memory access",
    "INTERNAL: cuDNN said something that nobody has recorded",
    "Could not create cudnn handle: CUDNN_STATUS_INTERNAL_ERROR",
    "'cuLaunchKernel(function)' failed with 'CUDA_ERROR_INVALID_HANDLE'",
    "'cuModuleLoadData(&module, data)' failed with 'CUDA_ERROR_INVALID_PTX'",
    "Blas xGEMM launch failed : a.shape=[1,64,10]",
]


@pytest.mark.parametrize("message", OF_CUDA)
def test_a_cuda_process_that_is_lost_is_nobodys_fault(message):
    assert child.of_the_machine(RuntimeError(message), on_gpu=True)
    assert not child.of_the_machine(RuntimeError(message)), "a processor has no such state"
    assert not child.of_the_machine(ValueError("negative dimension"), on_gpu=True)


def test_a_gpu_is_known_by_its_name_on_either_backend():
    assert all(map(has_gpu, (["/physical_device:CPU:0", "/physical_device:GPU:0"], ["gpu:0"], ["cuda:1"])))
    assert not any(map(has_gpu, ([], ["cpu:0"], ["/physical_device:CPU:0", "/physical_device:XLA_CPU:0"])))


def test_a_worker_on_a_machine_that_fails_ends_with_the_status_that_says_so(data, tmp_path):
    """In a process of its own, as it ends."""
    program = (
        "import sys\nfrom pathlib import Path\nfrom resnet_search.training import memory\n"
        "from resnet_search.training.job import Job\nfrom resnet_search.workers import child\n"
        "def fail(*_): raise RuntimeError('could not create a primitive')\n"
        "memory.train_in_parts = fail\n"
        "job = Job(trial='0', folder='x', parent=None, architecture={}, recipe={}, seed=0, initial_epoch=0, epochs=1,"
        " horizon=1, data=sys.argv[1])\n"
        "child._work(job, sys.stdout)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(data)], capture_output=True, text=True, check=False)
    assert done.returncode == MACHINE
    assert done.stderr.splitlines()[-1].startswith("RuntimeError: could")
