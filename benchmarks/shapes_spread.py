"""Does the embedded data set `shapes` tell architectures apart?

    python benchmarks/shapes_spread.py            # 10 candidates x 3 seeds x 5 epochs of 3,000 images

Claim: over 10 candidates of the space cifar_small, the standard deviation between their mean validation accuracies is
at least 3 times the standard deviation over seeds (initial weights and order of the images). Prints the ratio.

Measured: 4.3 (10 candidates, 3 seeds, TensorFlow 2.21; about an hour on 2 CPU cores shared with other work); the table
is in docs/data.md. A plain Keras fit, so that it says something about the data and not about the recipe.
"""

from __future__ import annotations

import argparse
import os
import time

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

CANDIDATES = (
    {"block": "basic", "n": 1, "width": 8},
    {"block": "basic", "n": 1, "width": 16},
    {"block": "basic", "n": 2, "width": 8},
    {"block": "basic", "n": 2, "width": 16},
    {"block": "basic", "n": 3, "width": 8},
    {"block": "basic", "n": 6, "width": 8},
    {"block": "bottleneck", "n": 1, "width": 8},
    {"block": "bottleneck", "n": 2, "width": 8},
    {"block": "bottleneck", "n": 3, "width": 8},
    {"block": "resnext", "n": 1, "width": 8, "cardinality": 4},
)
BATCH = 64
PEAK_RATE = 0.15  # of SGD with Nesterov momentum 0.9: up to it in a fifth of the steps, then down to 0


def train(axes, seed, epochs, images):
    """Validation accuracy of one network after `epochs`, 0..1."""
    import keras

    from resnet_search.networks.architecture import Architecture
    from resnet_search.networks.model import build_model

    (x_train, y_train), (x_validation, y_validation) = images
    keras.utils.clear_session()
    keras.utils.set_random_seed(seed)
    model = build_model(Architecture.from_axes(**axes))
    total = epochs * -(-len(x_train) // BATCH)

    def rate(step):
        return PEAK_RATE * min((step + 1) / (0.2 * total), (total - step) / (0.8 * total))

    optimizer = keras.optimizers.SGD(rate(0), momentum=0.9, nesterov=True)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, metrics=["accuracy"], jit_compile=False)
    schedule = keras.callbacks.LambdaCallback(
        on_train_batch_begin=lambda *_, **__: optimizer.learning_rate.assign(rate(int(optimizer.iterations)))
    )
    model.fit(x_train, y_train, BATCH, epochs, verbose=0, callbacks=[schedule])
    return model.evaluate(x_validation, y_validation, 250, verbose=0)[1]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--candidates", type=int, default=len(CANDIDATES))
    arguments = parser.parse_args()

    from resnet_search.training.datasets import load_data, split

    data = load_data("shapes")
    parts = split(data, validation=1000, seed=0, train_examples=3000)
    images = [(data.x_train[index], data.y_train[index]) for index in (parts.train_index, parts.validation_index)]
    accuracies = []
    for axes in CANDIDATES[: arguments.candidates]:
        start = time.monotonic()
        accuracies.append([train(axes, seed, arguments.epochs, images) for seed in range(arguments.seeds)])
        listed = " ".join(f"{accuracy:.3f}" for accuracy in accuracies[-1])
        name = " ".join(str(value) for value in axes.values())
        seconds = (time.monotonic() - start) / arguments.seeds
        print(f"{name:20} {listed}   mean {np.mean(accuracies[-1]):.3f}   {seconds:.0f} s a run", flush=True)
    table = np.array(accuracies)
    means = table.mean(1)
    between = means.std(ddof=1)
    over_seeds = np.sqrt(table.var(1, ddof=1).mean())
    print(
        f"means from {means.min():.3f} to {means.max():.3f}; standard deviation between candidates {between:.4f}, "
        f"over seeds {over_seeds:.4f}: ratio {between / over_seeds:.1f} (claimed: at least 3); "
        f"range / seeds {np.ptp(means) / over_seeds:.1f}; {table.shape[0]} candidates, {table.shape[1]} seeds"
    )


if __name__ == "__main__":
    main()
