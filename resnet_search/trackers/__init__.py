"""A run told to tools that others made: TensorBoard, MLflow, Weights & Biases, and Optuna's journal for its dashboard.

Each follows the run from outside, by the files that it writes anyway, and has a store of its own: so it may begin late,
fail, or be killed, and catches up from what its store has.
"""
