"""CIFAR-10 on a GPU: its images, its steps and which are repeated, its table."""

from __future__ import annotations

import argparse
import io
import json
from importlib import import_module

import numpy as np
import pytest
from PIL import Image

cifar = import_module("benchmarks.gpu_cifar")


def arguments(tmp_path, **others) -> argparse.Namespace:
    given = {"source": "shapes", "folder": tmp_path, "minutes": 1.0, "space": "cifar_small", "workers": None}
    return argparse.Namespace(**{**given, **others})


def test_steps_with_a_line_are_skipped(tmp_path, monkeypatch):
    asked = []

    def step(name):
        def work(arguments, source):
            asked.append((name, source))
            if len(asked) == 2:
                raise KeyboardInterrupt
            return {"network": name}

        return work

    monkeypatch.setattr(cifar, "STEPS", {name: step(name) for name in ("search", "best", "resnet-20")})
    with pytest.raises(KeyboardInterrupt):
        cifar.measure_all(arguments(tmp_path))
    cifar.measure_all(arguments(tmp_path))
    assert [name for name, _ in asked] == ["search", "best", "best", "resnet-20"]
    lines = [json.loads(text) for text in (tmp_path / cifar.LINES).read_text().splitlines()]
    assert [found["step"] for found in lines] == ["search", "best", "resnet-20"]
    assert all({"seconds", "command", "versions"} <= found.keys() for found in lines)


def test_jpeg_files_become_arrays(tmp_path, monkeypatch):
    monkeypatch.setattr(cifar, "TEST", 2)
    files = []
    for shade in (10, 120, 240, 60, 200):
        file = io.BytesIO()
        Image.new("RGB", (32, 32), (shade,) * 3).save(file, "JPEG")
        files.append(file.getvalue())
    size = 20  # bytes that every file starts with
    packed = tmp_path / "packed.npz"
    bodies = [file[size:] for file in files]
    np.savez(
        packed, header=np.frombuffer(files[0][:size], np.uint8), body=np.frombuffer(b"".join(bodies), np.uint8),
        lengths=np.array([len(body) for body in bodies], np.uint16), labels=np.arange(5, dtype=np.uint8),
    )  # fmt: skip
    with np.load(cifar.unpacked(packed, tmp_path)) as found:
        assert found["x_train"].shape == (3, 32, 32, 3)
        assert found["x_test"].mean(axis=(1, 2, 3)) == pytest.approx([60, 200], abs=2)
        assert found["y_test"].tolist() == [3, 4]


def test_other_sources_are_taken_as_they_are(tmp_path):
    plain = tmp_path / "plain.npz"
    np.savez(plain, x_train=np.zeros(1))
    assert cifar.unpacked(plain, tmp_path / "out") == str(plain)
    assert cifar.unpacked(tmp_path / "cifar-10-batches-py", tmp_path / "out") == str(tmp_path / "cifar-10-batches-py")


def test_the_report_shows_accuracies_with_their_bars(tmp_path, capsys):
    rows = [
        {"step": "search", "best": None, "best_epochs": None, "best_score": None, "trials": 0, "planned_trials": 70,
         "epochs": 0, "seconds": 300},
        {"step": "best", "network": "basic14-w16", "epochs": 60, "seconds": 80, "accuracy": 0.9, "low": 0.894,
         "high": 0.9057},
    ]  # fmt: skip
    (tmp_path / cifar.LINES).write_text("".join(json.dumps(row) + "\n" for row in rows))
    cifar.main(["--report", str(tmp_path)])
    assert "0.9000 (0.8940 to 0.9057)" in capsys.readouterr().out


def test_a_missing_source_is_an_error_of_usage():
    with pytest.raises(SystemExit) as ended:
        cifar.main([])
    assert ended.value.code == 2
