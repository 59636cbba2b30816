"""The networks with ImageNet weights in keras.applications: their files and expected input. No Keras here."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

from resnet_search.errors import UsageError
from resnet_search.keras_settings import keras_folder
from resnet_search.networks.architecture import Architecture
from resnet_search.networks.presets import preset

Normalisation: TypeAlias = tuple[tuple[float, ...], tuple[float, ...]]  # mean and std per channel, in 0..255

CAFFE: Final[Normalisation] = ((123.68, 116.779, 103.939), (1.0, 1.0, 1.0))  # red first; for version 1
SYMMETRIC: Final[Normalisation] = ((127.5,) * 3, (127.5,) * 3)  # of V2: -1..1
INITS: Final = ("he_normal", "imagenet")  # allowed values of `init`
STAGES: Final = 4  # stages of each of these networks
_SERVER: Final = "https://storage.googleapis.com/tensorflow/keras-applications/resnet/"


@dataclass(frozen=True, slots=True)
class Source:
    """Weights of keras.applications: the function, and the MD5 and size of the file without a head."""

    model: str
    function: str
    md5: str
    megabytes: int

    @property
    def file(self) -> str:
        """Return the file's name, in the cache and on the server."""
        return f"{self.function.lower()}_weights_tf_dim_ordering_tf_kernels_notop.h5"

    @property
    def url(self) -> str:
        return _SERVER + self.file

    @property
    def path(self) -> Path:
        """Return the path in Keras's cache on this machine, whether the file exists or not."""
        return keras_folder() / "models" / self.file

    @property
    def normalisation(self) -> Normalisation:
        """Return the mean and std that the weights expect of the input, red first."""
        return SYMMETRIC if self.function.endswith("V2") else CAFFE


SOURCES: Final = {
    source.model: source
    for source in (
        Source("keras-resnet-50", "ResNet50", "4d473c1dd8becc155b73f8504c6f6626", 95),
        Source("keras-resnet-101", "ResNet101", "88cf7a10940856eca736dc7b7e228a21", 171),
        Source("keras-resnet-152", "ResNet152", "ee4c566cf9a93f14d82f913c2dc6dd0c", 235),
        Source("resnet-50-v2", "ResNet50V2", "fac2f116257151a9d068a22e544a4917", 95),
        Source("resnet-101-v2", "ResNet101V2", "c0ed64b8031c3730f411d2eb4eea35b5", 171),
        Source("resnet-152-v2", "ResNet152V2", "ed17cf2e0169df9d443503ef94b23b33", 235),
    )
}
_BY_ARCHITECTURE: Final = {preset(name).architecture: source for name, source in SOURCES.items()}


def source_of(architecture: Architecture) -> Source | None:
    """Return the weights that fit an architecture; None if there are none."""
    return _BY_ARCHITECTURE.get(architecture)


def sources_of(architectures: Iterable[Architecture]) -> tuple[Source, ...]:
    """Return the weights of each architecture; `UsageError` names the first without weights."""
    found = []
    for architecture in architectures:
        source = source_of(architecture)
        if source is None:
            raise UsageError(
                f"init: got 'imagenet' with {architecture.name}; allowed with imagenet: {', '.join(SOURCES)}",
                "Use init he_normal for other networks.",
            )
        found.append(source)
    return tuple(found)


def normalisation(
    architecture: Architecture, init: str, mean: tuple[float, ...], std: tuple[float, ...]
) -> Normalisation:
    """Return the mean and std that a network standardises its images with: those of the data or of its weights."""
    if init != "imagenet":
        return mean, std
    (source,) = sources_of([architecture])
    return source.normalisation
