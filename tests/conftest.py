"""What several test modules share."""

from __future__ import annotations

from pathlib import Path

import hypothesis
import pytest

# How long an example takes says something about the machine, and nothing about the code.
hypothesis.settings.register_profile("resnet-search", deadline=None)
hypothesis.settings.load_profile("resnet-search")

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def golden() -> Path:
    """The folder of exact counts; a test that needs a number from elsewhere skips where that is absent."""
    return ROOT / "tests" / "golden"


@pytest.fixture(scope="session")
def shared() -> Path:
    """A folder beside the checkout that some machines have: full-size CIFAR-10 without internet access."""
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        pytest.skip("the full-size data set beside the checkout is absent")
    return folder


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="Write what the golden tests compare with.")
