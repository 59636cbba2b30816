"""The settings of the user's other programs stay out of this one's processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from resnet_search.keras_settings import keras_folder, own_settings
from resnet_search.workers import local
from resnet_search.workers.local import WorkerSettings
from tests.faults.table import fault

ASK = """
import json, keras
config = keras.config
print(json.dumps([config.floatx(), config.epsilon(), config.backend(), config.image_data_format(),
                  config.dtype_policy().name, config.max_epochs()]))
"""


def test_the_users_folder_is_found_under_its_own_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RESNET_SEARCH_KERAS_HOME", raising=False)
    for home in (None, tmp_path / "mine"):
        if home is None:
            monkeypatch.delenv("KERAS_HOME", raising=False)
        else:
            monkeypatch.setenv("KERAS_HOME", str(home))
        before = keras_folder()
        assert before == (home or Path.home() / ".keras")
        for _ in range(2):  # a process of ours, and one that it starts
            with monkeypatch.context() as patch:
                for name, value in own_settings(own_settings(os.environ)).items():
                    patch.setenv(name, value)
                assert keras_folder() == before


def test_limits_for_debugging_and_warnings_as_errors_are_left_out() -> None:
    own = own_settings({"KERAS_MAX_EPOCHS": "1", "PYTHONWARNINGS": "error", "KERAS_BACKEND": "jax", "LANG": "C"})
    assert not {"KERAS_MAX_EPOCHS", "PYTHONWARNINGS"} & own.keys()
    assert (own["KERAS_BACKEND"], own["LANG"], own["TF_USE_LEGACY_KERAS"]) == ("jax", "C", "0")


def test_workers_have_no_settings_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_MAX_EPOCHS", "1")
    monkeypatch.setenv("KERAS_HOME", "/somewhere")
    environment = local._environment(WorkerSettings(threads=1, backend="tensorflow"), 0)
    assert "KERAS_MAX_EPOCHS" not in environment
    assert environment["KERAS_HOME"] != "/somewhere"


@fault(
    "environment",
    "`~/.keras/keras.json`, or a variable such as `KERAS_MAX_EPOCHS`, is set for another program",
    here="commands and workers state their own float type, image format and backend; only `KERAS_BACKEND` is heeded",
)
@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [
        {"floatx": "float16", "epsilon": 1e-3, "backend": "torch", "image_data_format": "channels_first"},
        {"floatx": "float64", "backend": "jax"},
        {"floatx": "bfloat16"},  # Keras itself refuses to start with it
    ],
)
def test_keras_ignores_a_users_keras_json(settings: dict[str, object], tmp_path: Path) -> None:
    (tmp_path / "keras.json").write_text(json.dumps(settings))
    environment = {name: value for name, value in os.environ.items() if name != "KERAS_BACKEND"}
    own = own_settings({**environment, "KERAS_HOME": str(tmp_path), "KERAS_MAX_EPOCHS": "1"})
    said = subprocess.run([sys.executable, "-c", ASK], env=own, capture_output=True, text=True, check=True).stdout
    expected = ["float32", 1e-7, "tensorflow", "channels_last", "float32", None]
    assert json.loads(said.splitlines()[-1]) == expected
    assert [path.name for path in tmp_path.iterdir()] == ["keras.json"]
