"""A run's best network as files that others load: each is reloaded and compared before it is handed over."""
