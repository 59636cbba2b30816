"""The plots of a report, made with Plotly and Optuna, each with a text alternative."""
