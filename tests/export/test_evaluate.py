from __future__ import annotations

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest

from resnet_search.errors import ExportError
from resnet_search.export import evaluate, serve
from resnet_search.export.evaluate import BATCH, batch_size, measure, probabilities_of, running
from resnet_search.report.measured import Measured
from tests.export import colours


@pytest.fixture(scope="module")
def saved_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("export") / "saved_model"
    colours.save_model(folder)
    return folder


def random_images(count: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, *colours.SIZE, 3), dtype=np.uint8)


def test_probabilities_come_in_order_whatever_the_batch(tmp_path: Path, monkeypatch) -> None:
    """More than one batch, the last one smaller; and from a file that is mapped."""
    monkeypatch.setattr(evaluate, "BATCH", 7)
    monkeypatch.setattr(evaluate, "running", colours.running)
    images = random_images(20)
    np.save(tmp_path / "images.npy", images)
    found = probabilities_of(tmp_path, np.load(tmp_path / "images.npy", mmap_mode="r"))
    assert (found.dtype, found.shape) == (np.dtype(np.float32), (20, 3))
    np.testing.assert_allclose(found, colours.probabilities(images), atol=1e-6)


def test_one_process_answers_as_long_as_batches_come_and_is_gone_then(saved_model: Path, monkeypatch) -> None:
    started: list[subprocess.Popen[bytes]] = []
    popen = subprocess.Popen

    def start(*words, **options):
        started.append(popen(*words, **options))
        return started[-1]

    monkeypatch.setattr(subprocess, "Popen", start)
    with running(saved_model) as run:
        for count in (2, 5):
            answer = run(random_images(count))
            assert answer.dtype == np.float32
            np.testing.assert_allclose(answer, colours.probabilities(random_images(count)), atol=1e-6)
        started[0].kill()
        with pytest.raises(ExportError, match="signal 9"):
            run(random_images(1))
    assert len(started) == 1
    assert started[0].returncode is not None


def test_a_model_that_tensorflow_refuses_is_named(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "tensorflow.py").write_text(
        "class saved_model:\n"
        "    def load(folder):\n"
        "        raise OSError('no SavedModel\\nat ' + folder)\n"
    )  # fmt: skip
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(ExportError) as raised:
        probabilities_of(tmp_path, random_images(1))
    assert raised.value.message.startswith(str(tmp_path))
    assert raised.value.message.endswith(f"OSError: no SavedModel at {tmp_path}")


@pytest.mark.slow
def test_what_is_no_saved_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="OSError") as raised:
        probabilities_of(tmp_path, random_images(1))
    assert str(tmp_path) in raised.value.message
    assert "\n" not in raised.value.message


@pytest.mark.parametrize(
    "answer", [np.zeros((2, 3), np.float64), np.zeros(2, np.float32), np.full((2, 3), np.nan, np.float32)]
)
def test_what_gives_no_probabilities_is_refused(answer: np.ndarray, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(evaluate, "send", lambda *_: None)
    monkeypatch.setattr(evaluate, "receive", lambda _: answer)
    with running(tmp_path) as run, pytest.raises(ExportError, match="allowed: finite float32"):
        run(random_images(2))


def test_arrays_survive_the_pipe_and_a_torn_one_is_none(tmp_path: Path) -> None:
    file = tmp_path / "pipe"
    with file.open("wb") as stream:
        serve.send(stream, random_images(3))
        serve.send(stream, np.zeros((0, 3), np.float32))
    with file.open("rb") as stream:
        assert np.array_equal(serve.receive(stream), random_images(3))
        assert serve.receive(stream).shape == (0, 3)
        assert serve.receive(stream) is None
    file.write_bytes(file.read_bytes()[:-200])
    with file.open("rb") as stream:
        assert serve.receive(stream) is None


def test_neither_keras_nor_this_package_can_be_imported_where_it_runs(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "tensorflow.py").write_text(
        "from importlib import import_module\n"
        "found = []\n"
        "for name in ('json', 'keras', 'resnet_search', 'resnet_search.errors'):\n"
        "    try: found.append(import_module(name).__name__)\n"
        "    except ImportError: pass\n"
        "raise RuntimeError(f'found {found}')\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(ExportError, match=r"RuntimeError: found \['json'\]"):
        probabilities_of(tmp_path, random_images(1))


def test_large_images_come_in_smaller_batches() -> None:
    assert batch_size(32, 32) == BATCH
    assert batch_size(4, 4) == BATCH
    assert batch_size(64, 64) * 64 * 64 <= BATCH * 32 * 32
    assert batch_size(1024, 1024) == 1


def test_measured_by_hand() -> None:
    probabilities = np.array([[0.7, 0.2, 0.1], [0.6, 0.3, 0.1], [0.1, 0.8, 0.1], [0.2, 0.2, 0.6]], np.float32)
    found = measure(probabilities, np.array([0, 1, 1, 1]), ("a", "b", "c"))
    assert (found.images, found.classes, found.top5) == (4, ("a", "b", "c"), None)
    assert found.top1.value == 0.5
    assert [None if one is None else one.value for one in found.per_class] == [1.0, pytest.approx(1 / 3), None]
    assert found.confusion == ((1, 0, 0), (1, 1, 1), (0, 0, 0))
    # 0.7 and 0.8 are right and alone in their bins, 0.6 is wrong twice.
    assert found.calibration.error.value == pytest.approx((0.3 + 0.2 + 2 * 0.6) / 4)
    assert Measured.from_dict(json.loads(json.dumps(found.to_dict()))) == found


def test_a_measure_of_guesses_knows_that_it_is_one() -> None:
    random = np.random.default_rng(0)
    found = measure(np.full((600, 10), 0.1, np.float32), random.integers(0, 10, 600), tuple("abcdefghij"))
    assert found.top5 is not None
    assert found.top1.low <= 0.1 <= found.top1.high
    assert found.top5.low <= 0.5 <= found.top5.high
    assert found.calibration.error.low == 0
    assert sum(map(sum, found.confusion)) == 600
