"""What a report shows: plots by Plotly and Optuna, each with what it says in words."""
