"""The target of a fit: its kind, the output layer that fits it, and its encoding."""
