"""From parameters to a compiled Keras model, and from rows to its outputs."""
