"""One fit as values: its settings, its rows, the training, and what the history shows."""
