"""The base of all estimators, the wrappers of Keras models, and the dense and convolutional networks."""
