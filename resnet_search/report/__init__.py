"""The report of a run: its content (`content`), and how it is written (`markdown`, `html`)."""
