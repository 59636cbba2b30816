"""Image-classification sets of TensorFlow Datasets: those prepared on this machine, and downloads."""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import sys
from pathlib import Path
from typing import Any

import numpy as np

from resnet_search.errors import DataError
from resnet_search.training.datasets import locate, prepared
from resnet_search.training.datasets.decode import on_ground
from resnet_search.training.datasets.image_data import ImageData, Images, Labels, printable, resized
from resnet_search.training.datasets.image_files import class_names
from resnet_search.training.datasets.network import unreachable
from resnet_search.training.datasets.reading import Reading
from resnet_search.training.datasets.split import split
from resnet_search.training.datasets.values import Extent, Values, check_within, range_of

_STORE = "https://storage.googleapis.com/tfds-data"
_LABELLED = "Leave these images out of the set: `run` learns from labelled images alone."
_HELD_OUT = 0.2  # of train, where a set has no test split
_CURE = (
    "Prepare it where there is a network, with `python -c \"import tensorflow_datasets as t; t.load('NAME', "
    "data_dir='FOLDER')\"`, copy FOLDER here and pass --data-dir FOLDER. `--data shapes` needs no download."
)
_RGB = 3
_NOT_INSTALLED = (
    "Install them: pip install tensorflow tensorflow-datasets importlib-resources. Without: an archive of CIFAR-10, an "
    ".npz, a folder of images, or `--data shapes`."
)


def load_tfds(name: str, data_dir: Path | None, reading: Reading) -> ImageData:
    """The TFDS set `name`, from `data_dir` or TFDS's own folder, downloaded if it is not there."""
    place, _ = locate.prepared(name, data_dir)
    return load_prepared(place, reading) if place else download(name, data_dir, reading)


def download(name: str, data_dir: Path | None, reading: Reading) -> ImageData:
    """Have TFDS download and prepare `name` in `data_dir` or its own folder, then read it."""
    tfds = _tfds(f"tfds:{name}")
    if not sys.stderr.isatty():
        tfds.disable_progress_bar()
    folder = locate.tfds_folder(data_dir)
    known = tfds.list_builders(with_community_datasets=False)
    if locate.tfds_parts(name)["set"] not in known:
        near = difflib.get_close_matches(locate.tfds_parts(name)["set"], known, 3)
        hint = f"Is it {' or '.join(f'tfds:{other}' for other in near)}? " if near else ""
        cure = f"{hint}https://www.tensorflow.org/datasets/catalog/overview lists all."
        raise DataError(f"tfds:{name}: TensorFlow Datasets has no such set", cure)
    try:
        builder = tfds.builder(name, data_dir=folder)
    except Exception as error:  # an unknown configuration, or any other fault
        raise _failure(name, folder, error) from error
    _columns(builder, name)  # before hours of downloading
    url = next(iter(_addresses(builder)), _STORE)
    if reason := unreachable(url):
        place = printable(folder / locate.tfds_parts(name)["set"])
        raise DataError(
            f"tfds:{name}: not prepared in {place}, and none can be downloaded: {printable(url)}: {reason}",
            _CURE.replace("NAME", name),
        )
    try:
        builder.download_and_prepare()
    except Exception as error:
        raise _failure(name, folder, error) from error
    return _load(builder, name, reading)


def load_prepared(folder: Path, reading: Reading) -> ImageData:
    """The set in `folder`, a prepared version's; asks no network."""
    prepared.check_prepared(folder)
    tfds = _tfds(str(folder))
    try:
        builder = tfds.builder_from_directory(folder)
    except Exception as error:  # whatever a damaged folder leads TFDS to
        raise _failure(folder.parent.name, folder, error) from error
    return _load(builder, builder.info.name, reading)


def _tfds(what: str) -> Any:
    """TensorFlow Datasets; `DataError` where it, or TensorFlow, is not installed."""
    try:
        import tensorflow_datasets as tfds
    except ImportError as error:
        missing = "TensorFlow Datasets" if error.name == "tensorflow_datasets" else str(error.name or error)
        raise DataError(
            f"{printable(what)}: read with TensorFlow Datasets, but {missing} is not installed", _NOT_INSTALLED
        ) from error
    _share_gpu_memory()
    return tfds


def _load(builder: Any, name: str, reading: Reading) -> ImageData:
    where, both = f"tfds:{name}", _columns(builder, name)
    classes = class_names(builder.info.features[both[1]].names, where)
    splits = builder.info.splits
    prepared.check_splits({split_name: split.num_examples for split_name, split in splits.items()}, where)
    try:
        values = _values(builder, both, reading)
        (x_train, y_train), (x_test, y_test), split_name = _read_splits(builder, both, reading, values)
    except DataError:
        raise
    except Exception as error:  # whatever damaged records lead TensorFlow to
        raise _failure(name, Path(str(builder.data_dir)), error) from error
    notes: list[str] = []
    data = ImageData(x_train, y_train, x_test, y_test, classes, f"tfds:{name}", (), str(builder.data_dir))
    if not split_name:
        alone = None if reading.rule > 1 else np.arange(len(y_train))  # the first rules divided equal images
        parts = split(data, validation=_HELD_OUT, seed=0, groups=alone)
        train, test = parts.train_index, parts.validation_index
        notes.append(f"no labelled test split: {len(test):,} images of train, {_HELD_OUT:.0%}, are held out as test")
        data = dataclasses.replace(
            data, x_train=x_train[train], y_train=y_train[train], x_test=x_train[test], y_test=y_train[test]
        )
    elif split_name != "test":
        notes.append(f"its split {split_name!r} serves as test")
    if values is not None:
        notes.append(f"the values {values.low:g} and {values.high:g} are black and white")
    return dataclasses.replace(data, notes=tuple(notes), values=values)


def _read_splits(
    builder: Any, both: tuple[str, str], reading: Reading, values: Values | None
) -> tuple[tuple[Images, Labels], tuple[Images, Labels], str]:
    """Read train, and the first split whose labels are given as test; empty, with no name, if there is none."""
    where, extents = f"tfds:{builder.info.name}", {}
    x_train, y_train, extents["train"] = _read(builder, "train", both, reading, values)
    if unknown := int((y_train < 0).sum()):
        raise DataError(f"{where}: {unknown:,} of {len(y_train):,} images in 'train' have no label", _LABELLED)
    test, found = (x_train[:0], y_train[:0]), ""
    for name in prepared.TEST_SPLITS:
        if name in builder.info.splits and not found:
            x_test, y_test, extents[name] = _read(builder, name, both, reading, values)
            if len(y_test) and y_test.min() >= 0:  # some sets keep the labels of their test images secret
                test, found = (x_test, y_test), name
    if values is None and reading.certain:  # Bytes need no conversion, but mean as little as other numbers do.
        range_of(extents, where)
    return (x_train, y_train), test, found


def _values(builder: Any, both: tuple[str, str], reading: Reading) -> Values | None:
    """What the numbers in the images mean; None for bytes as they are."""
    given, kind = reading.value_range, np.dtype(builder.info.features[both[0]].np_dtype)
    if given is None and kind == np.uint8:
        return None
    if given is None and not reading.certain:
        return Values(0, 0xFFFF, "arrays")
    extents: dict[str, Extent] = {}
    for split_name in ("train", *prepared.TEST_SPLITS):
        if split_name in builder.info.splits:
            for batch in _batches(builder, split_name, both):
                found = Extent.of(batch[both[0]][..., :_RGB])
                extents[split_name] = extents[split_name] | found if split_name in extents else found
    where = f"tfds:{builder.info.name}"
    values = Values(*(given or range_of(extents, where)), "arrays")
    check_within(extents, values, where)
    return values


def _batches(builder: Any, split_name: str, columns: tuple[str, str]) -> Any:
    import tensorflow_datasets as tfds

    dataset = builder.as_dataset(
        split=split_name,
        decoders=tfds.decode.PartialDecoding(dict.fromkeys(columns, True)),
        shuffle_files=False,
    )
    return tfds.as_numpy(dataset.batch(1 if None in builder.info.features[columns[0]].shape else 1_000))


def _read(
    builder: Any, split_name: str, both: tuple[str, str], reading: Reading, values: Values | None
) -> tuple[Images, Labels, Extent]:
    image_column, label_column = both
    info = builder.info
    count = info.splits[split_name].num_examples
    images: Images | None = None
    labels = np.empty(count, np.int64)
    done, extent = 0, None
    for batch in _batches(builder, split_name, both):
        read = _to_rgb(batch[image_column], info.name, reading, values)
        extent = Extent.of(read) if extent is None else extent | Extent.of(read)
        read = resized(read, reading.image_size)
        if images is None:
            images = np.empty((count, *read.shape[1:]), np.uint8)
        if read.shape[1:] != images.shape[1:]:
            raise DataError(
                f"tfds:{info.name}: images of different sizes, such as {images.shape[1:3]} and {read.shape[1:3]}",
                "Give an image size, such as 32; all images are resized to it.",
            )
        part = slice(done, done + len(read))
        images[part], labels[part] = read, batch[label_column]
        done += len(read)
    if images is None or extent is None or done != count:
        raise DataError(f"tfds:{info.name}: {done:,} of {count:,} images in {split_name!r}", prepared.DAMAGED)
    return images, labels, extent


def _to_rgb(images: Any, name: str, reading: Reading, values: Values | None) -> Images:
    if images.dtype not in (np.uint8, np.uint16, np.float32) or images.shape[-1] not in (1, _RGB, _RGB + 1):
        raise DataError(f"tfds:{name}: images of {images.dtype} {images.shape[1:]}", "Choose grey or RGB images.")
    colours = images[..., :_RGB]
    read = colours if values is None else values.to_bytes(colours)
    if images.shape[-1] == _RGB + 1 and reading.certain:  # The first rules took the colour beneath.
        alpha = (images[..., _RGB] >> 8 * (images.itemsize - 1)).astype(np.uint8)
        read = on_ground(read.reshape(-1, *read.shape[2:]), alpha.reshape(-1, alpha.shape[2])).reshape(read.shape)
    return np.ascontiguousarray(np.broadcast_to(read, (*read.shape[:3], _RGB)))


def _columns(builder: Any, name: str) -> tuple[str, str]:
    """The names of the image and of the label among the features of a builder's set."""
    import tensorflow_datasets as tfds

    features, supervised = builder.info.features, builder.info.supervised_keys
    kinds = {
        key: prepared.LABEL if isinstance(feature, tfds.features.ClassLabel) else type(feature).__name__
        for key, feature in (features.items() if hasattr(features, "items") else ())
    }
    return prepared.columns(f"tfds:{name}", kinds, supervised if isinstance(supervised, tuple | list) else ())


def _addresses(builder: Any) -> list[str]:
    with contextlib.suppress(Exception):  # sets made from local files have none
        return [str(url) for url in builder.url_infos if str(url).startswith("http")]
    return []


def _failure(name: str, place: Path, error: Exception) -> DataError:
    lines = str(error).strip().splitlines() or [""]
    return DataError(
        f"tfds:{name}: TensorFlow Datasets failed on {printable(place)}: {type(error).__name__}: {lines[0][:300]}",
        prepared.DAMAGED,
    )


def _share_gpu_memory() -> None:
    """Keep TensorFlow, which only reads and prepares images here, from taking all of a GPU's memory.

    Call it first: once TensorFlow has started it is too late.
    """
    import tensorflow as tf

    for gpu in tf.config.list_physical_devices("GPU"):
        with contextlib.suppress(RuntimeError):  # in use already, as somebody else set it
            tf.config.experimental.set_memory_growth(gpu, True)
