"""Files of ImageNet weights: found, fetched once, or one message that says where to put them."""

from __future__ import annotations

import hashlib
import io
import urllib.error
import urllib.request

import pytest

from resnet_search.errors import DataError
from resnet_search.networks.imagenet import Source
from resnet_search.training import weights

pytestmark = pytest.mark.interface

CONTENT = b"weights " * 1000
SOURCE = Source("keras-resnet-50", "ResNet50", hashlib.md5(CONTENT).hexdigest(), 95)  # noqa: S324
OTHER = Source("resnet-50-v2", "ResNet50V2", SOURCE.md5, 95)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """An empty cache of Keras, and a network that has nothing."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr(weights, "unreachable", lambda _: "Name or service not known")
    return tmp_path / "models"


@pytest.fixture
def server(monkeypatch):
    """A server that answers with `answers`, one a request; the addresses it was asked for."""
    asked, answers = [], []

    def urlopen(url, timeout):
        asked.append(url)
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return io.BytesIO(answer)

    monkeypatch.setattr(weights, "unreachable", lambda _: None)
    monkeypatch.setattr(urllib.request, "urlopen", urlopen)
    return asked, answers


def put(source, content=CONTENT):
    source.path.parent.mkdir(exist_ok=True)
    source.path.write_bytes(content)


def test_what_is_there_is_not_asked_for(server):
    put(SOURCE)
    weights.provide([SOURCE, SOURCE])
    assert server[0] == []
    assert weights.missing([SOURCE, OTHER, OTHER]) == [OTHER]


@pytest.mark.parametrize("torn", [False, True])
def test_what_is_missing_or_torn_is_fetched_once(server, cache, torn):
    if torn:
        put(SOURCE, CONTENT[:100])
    server[1].append(CONTENT)
    weights.provide([SOURCE, SOURCE])
    weights.provide([SOURCE])
    assert server[0] == [SOURCE.url]
    assert [path.name for path in cache.iterdir()] == [SOURCE.file]
    assert SOURCE.path.read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"<html>sign in</html>", "does not exist"),
        (urllib.error.URLError("connection refused"), "connection refused"),
        (urllib.error.HTTPError("u", 404, "Not Found", None, None), "Not Found"),
        (TimeoutError("timed out"), "timed out"),
    ],
)
def test_a_download_that_fails_leaves_nothing(server, cache, answer, words):
    server[1].append(answer)
    with pytest.raises(DataError, match=words):
        weights.provide([SOURCE])
    assert list(cache.iterdir()) == []


def test_offline_the_message_names_the_file_its_place_and_the_cures(cache):
    with pytest.raises(DataError) as caught:
        weights.provide([SOURCE])
    error = caught.value
    assert str(cache / SOURCE.file) in error.message
    assert SOURCE.url in error.message
    assert error.message.endswith("Name or service not known")
    assert "95 MB" in error.cure
    assert "--init he_normal" in error.cure
    put(SOURCE, b"torn")
    with pytest.raises(DataError, match=r"not the file of keras\.applications"):
        weights.provide([SOURCE])
    assert SOURCE.path.read_bytes() == b"torn", "somebody's file is not thrown away for nothing"


def test_a_cache_that_cannot_be_written(server, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "file"))
    with pytest.raises(DataError, match="Not a directory"):
        weights.provide([SOURCE])
