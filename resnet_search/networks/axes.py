"""A one-line description and the allowed names of each axis, used for options and tables."""

from __future__ import annotations

from typing import Final

from resnet_search.networks.dialect import (
    ACTIVATIONS,
    ATTENTIONS,
    BIASES,
    BLOCKS,
    DOWNSAMPLINGS,
    SHORTCUTS,
    STEMS,
)

CHOICES: Final = {
    "block": BLOCKS,
    "shortcut": SHORTCUTS,
    "attention": ATTENTIONS,
    "stem": STEMS,
    "activation": ACTIVATIONS,
    "bias": BIASES,
    "downsample": DOWNSAMPLINGS,
}

MEANINGS: Final = {
    "block": "block type of all stages",
    "blocks": "blocks in each stage",
    "width": "channels of the first stage's blocks",
    "shortcut": "path of the input past the branch",
    "cardinality": "groups of the 3x3 convolution",
    "base_width": "channels of a group in the first stage",
    "attention": "scaling of the branch's channels",
    "attention_ratio": "channel reduction in the attention",
    "attention_bias": "biases in the attention's layers",
    "stem": "first layers, before the stages",
    "stem_width": "channels of the stem",
    "multiples": "multiple of width at each stage's output",
    "inner_multiples": "multiple of width inside each stage's blocks",
    "activation": "activation after each norm",
    "dropout": "rate between a block's convolutions",
    "stochastic_depth": "rate at which the last block is dropped",
    "zero_gamma": "last norm of each branch starts at 0",
    "bias": "convolutions with biases",
    "shortcut_norm": "batch norm after projections",
    "downsample": "layer with a stage's stride",
    "gate_bias": "initial bias of a highway gate",
}
