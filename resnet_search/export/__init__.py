"""Export a run's best network to files for other programs. Each file is reloaded and compared before it is kept."""
