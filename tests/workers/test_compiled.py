from __future__ import annotations

import os
from pathlib import Path

from resnet_search.workers import local
from resnet_search.workers.compiled import MOST_BYTES, compiled_folder, prune
from resnet_search.workers.local import LocalWorkers, WorkerSettings


def test_what_was_not_used_for_longest_goes_first(tmp_path: Path) -> None:
    for age, name in enumerate(("new", "middle", "old")):
        (tmp_path / name).write_bytes(b"x" * 10)
        os.utime(tmp_path / name, (1e9 - age, 1e8))
    prune(tmp_path, 30)
    assert len(list(tmp_path.iterdir())) == 3
    prune(tmp_path, 20)
    assert {path.name for path in tmp_path.iterdir()} == {"new", "middle"}
    prune(tmp_path, 19)
    assert {path.name for path in tmp_path.iterdir()} == {"new"}
    prune(tmp_path / "absent")


def test_the_folder_of_workers_is_pruned_at_the_start(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    compiled_folder().mkdir(parents=True)
    for name in ("a", "b"):  # Sparse: the sizes are there, not the bytes.
        with (compiled_folder() / name).open("wb") as file:
            file.truncate(MOST_BYTES - 1)
    monkeypatch.setattr(LocalWorkers, "_start", lambda *_: None)
    LocalWorkers(1, WorkerSettings(threads=1), tmp_path / "log")
    assert len(list(compiled_folder().iterdir())) == 1
    assert local._environment(WorkerSettings(threads=1), 0)["JAX_COMPILATION_CACHE_DIR"] == str(compiled_folder())
