"""The terms of a report, each explained in a sentence or two for readers who are new to it."""

from __future__ import annotations

import re

TERMS = {
    "bracket": "A round of Hyperband: its candidates start together, and each rung keeps only the best.",
    "rung": "A stage of a bracket: its candidates are trained up to the same epoch and then compared.",
    "candidate": "An architecture from the search space with its recipe values.",
    "trial": "The training of one candidate in one rung, with its own id.",
    "epoch": "One pass over all training images.",
    "Hyperband": "The search method (Li et al. 2018): train many networks briefly and only the promising ones longer.",
    "Pareto front": "The networks that no other network beats in accuracy at the same or a lower cost.",
    "multiply-adds": "The number of multiply-and-add operations in the forward pass of one image.",
    "validation accuracy": "The share of held-out images that the network classifies correctly. It was not trained on "
    "these images, but they were used to choose between networks.",
    "standard error": "How far a number would typically change with another sample of images.",
    "rank correlation": "How well two rankings agree (Spearman): 1 is the same order, 0 unrelated, -1 reversed.",
    "PED-ANOVA": "A measure of importance: how much the best candidates differ from all candidates on an axis.",
    "marginal": "The effect of one axis alone, averaged over the values of all other axes.",
    "importance": "How much an axis decides whether a candidate is among the best; all axes add up to 100 %.",
    "cardinality": "The number of groups of a grouped convolution (ResNeXt).",
    "recipe": "How a network is trained: learning rate, schedule, augmentation, and so on.",
    "learning rate": "How far each training step moves the weights.",
    "batch norm": "A layer that centres and scales its inputs by the statistics of a batch of images.",
    "SavedModel": "TensorFlow's folder format for a network; it runs without resnet-search.",
    "fingerprint": "A hash of all images: equal fingerprints mean the same data.",
    "seed": "The number from which all random choices of a run follow.",
    "nats": "The unit of a loss based on the natural logarithm: a coin toss is 0.69 nats.",
    "ledger": "A record of what was spent.",
}

# Longest first, because a term may contain another one. A plural is the same term.
_PATTERN = re.compile(
    rf"(?<![\w-])({'|'.join(sorted(map(re.escape, TERMS), key=len, reverse=True))})(?:e?s)?(?![\w-])", re.IGNORECASE
)
_BY_LOWER = {term.lower(): term for term in TERMS}


def find(text: str) -> list[tuple[int, int, str]]:
    """Find the terms in a text: start, end, and the term as spelled in `TERMS`."""
    return [(match.start(), match.end(), _BY_LOWER[match[1].lower()]) for match in _PATTERN.finditer(text)]
