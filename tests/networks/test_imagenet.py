from __future__ import annotations

import re
from pathlib import Path

import pytest

from resnet_search.errors import UsageError
from resnet_search.networks.imagenet import CAFFE, SOURCES, SYMMETRIC, normalisation, source_of, sources_of
from resnet_search.networks.presets import PRESETS, preset

OWN = ((1.0, 2.0, 3.0), (4.0, 5.0, 6.0))


def test_the_files_are_those_of_keras():
    from keras.src.applications import resnet

    for source in SOURCES.values():
        key = source.file.partition("_")[0]
        assert source.md5 == resnet.WEIGHTS_HASHES[key][1]
        assert source.url == f"{resnet.BASE_WEIGHTS_PATH}{key}_weights_tf_dim_ordering_tf_kernels_notop.h5"


def test_they_lie_in_keras_cache(monkeypatch, tmp_path):
    source = SOURCES["resnet-50-v2"]
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    assert source.path == tmp_path / "models" / "resnet50v2_weights_tf_dim_ordering_tf_kernels_notop.h5"
    monkeypatch.delenv("KERAS_HOME")
    assert source.path == Path.home() / ".keras" / "models" / source.file


def test_six_of_the_presets_have_weights():
    having = [name for name, each in PRESETS.items() if source_of(each.architecture)]
    assert sorted(having) == sorted(SOURCES)


@pytest.mark.parametrize(("name", "expected"), [("keras-resnet-50", CAFFE), ("resnet-50-v2", SYMMETRIC)])
def test_weights_bring_their_normalisation(name, expected):
    assert normalisation(preset(name).architecture, "imagenet", *OWN) == expected
    assert normalisation(preset(name).architecture, "he_normal", *OWN) == OWN


def test_the_first_without_weights_is_named():
    architectures = [preset(name).architecture for name in ("resnet-101-v2", "resnet-50", "resnet-18")]
    with pytest.raises(UsageError) as caught:
        sources_of(architectures)
    assert re.match("init: got 'imagenet' .*bottleneck50-w64-b3x4x6x3-imagenet; allowed ", caught.value.message)
