"""Send a run to other tools: TensorBoard, MLflow, Weights & Biases, and Optuna's journal for its dashboard.

Each tracker follows the run's files from outside and has its own store. It may start late, fail or be killed; then it
catches up from what its store has.
"""
