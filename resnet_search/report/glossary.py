"""The terms of a report, each in a sentence or two for whoever meets it for the first time."""

from __future__ import annotations

import re

TERMS = {
    "bracket": "A tournament of Hyperband: candidates that begin together and are halved rung by rung.",
    "rung": "A stage of a bracket: its candidates are trained up to the same epoch and then compared.",
    "candidate": "An architecture of the space with its recipe values: what is drawn, trained and compared.",
    "trial": "One candidate in one rung: the unit of work, with an id of its own.",
    "epoch": "Once through all training images.",
    "Hyperband": "The search method (Li et al. 2018): train many networks a little, and the promising ones more.",
    "Pareto front": "The networks that no other one beats in accuracy at the same or a lower cost.",
    "multiply-adds": "Multiplications with an addition in a forward pass of an image: what its use costs.",
    "validation accuracy": "The share of held-back images that the network names rightly: not trained on, but "
    "networks were chosen by them.",
    "standard error": "How far a number would typically move if other images had been drawn.",
    "rank correlation": "Whether two orders agree (Spearman): 1 entirely, 0 not at all, -1 reversed.",
    "PED-ANOVA": "A measure of importance: how differently the best candidates are spread over an axis than all are.",
    "marginal": "Of one axis, over whatever the candidates have on the others.",
    "importance": "How much an axis has to do with being among the best; all axes together are 100 %.",
    "cardinality": "The number of groups of a grouped convolution (ResNeXt); other blocks have none.",
    "recipe": "How a network is trained: learning rate, schedule, augmentation, and so on.",
    "learning rate": "How far the weights move in a step of training.",
    "batch norm": "A layer that centres and scales its inputs by the statistics of a batch of images.",
    "SavedModel": "TensorFlow's folder format of a network that runs without this program.",
    "fingerprint": "A hash of all images: the same number means the same data.",
    "seed": "The number that all chance in a run follows from.",
    "nats": "The unit of a loss that is a natural logarithm: 0.69 nats is a coin toss.",
    "ledger": "A list of what was spent.",
}

# The longest first: a term may hold another. A plural is the same term.
_PATTERN = re.compile(
    rf"(?<![\w-])({'|'.join(sorted(map(re.escape, TERMS), key=len, reverse=True))})(?:e?s)?(?![\w-])", re.IGNORECASE
)
_BY_LOWER = {term.lower(): term for term in TERMS}


def find(text: str) -> list[tuple[int, int, str]]:
    """Where terms stand in a text: begin, end, and the term as it is spelt in `TERMS`."""
    return [(match.start(), match.end(), _BY_LOWER[match[1].lower()]) for match in _PATTERN.finditer(text)]
