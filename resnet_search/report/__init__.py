"""A run in words: what is said (`content`), and how it is written (`markdown`)."""
