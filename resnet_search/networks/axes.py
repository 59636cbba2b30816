"""What each axis of an architecture means, in a line, and which names it takes: what options and tables are made of."""

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
    "block": "what the stages are made of",
    "blocks": "blocks in each stage",
    "width": "channels of the first stage's blocks",
    "shortcut": "what carries the input past the branch",
    "cardinality": "groups of the 3x3 convolution",
    "base_width": "channels of a group in the first stage",
    "attention": "what scales the branch's channels",
    "attention_ratio": "by how much attention squeezes channels",
    "attention_bias": "attention's layers have biases",
    "stem": "first layers, in front of the stages",
    "stem_width": "channels of the stem",
    "multiples": "of width, in each stage's outputs",
    "inner_multiples": "of width, inside each stage's blocks",
    "activation": "behind each norm",
    "dropout": "rate between a block's convolutions",
    "stochastic_depth": "rate at which the last block is dropped",
    "zero_gamma": "last norm of each branch starts at 0",
    "bias": "which convolutions have biases",
    "shortcut_norm": "batch norm behind projections",
    "downsample": "layer that carries a stage's stride",
    "gate_bias": "start of a highway gate's bias",
}
