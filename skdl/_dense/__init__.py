"""Dense networks in NumPy: chains of dense layers, computed as Keras computes them, without TensorFlow.

`network_of` reads a description in Keras's words into a `Network`, a value. `initial_state` draws its
weights; a `State` has these and all else that training changes. `train_epoch` trains for an epoch;
`predict` and `evaluate` are the forward pass. Files: ``_network`` (the values and their reading),
``_random`` and ``_state``, ``_train_epoch`` (the loop: start here) and ``_passes`` (each layer forwards and
backwards), ``_evaluate``, and the tables ``_activations``, ``_row_losses`` and ``_optimizers``.

What one may not guess about Keras 3.15 with TensorFlow 2.21:

===================== ==================================================================================
Adam, AdamW           epsilon is added to ``sqrt(v)``; the learning rate has the bias correction
Nadam                 epsilon is added to the root of the corrected ``v``; a product of momenta is kept
Adamax                epsilon is added to the norm, then comes the bias correction
Adagrad, RMSprop      epsilon is under the root; Adagrad's sums start at 0.1
powers of betas       of the beta in float32, in the float type of the weights; shares are ``1 - beta``
weight decay          of any optimizer, before its step: ``w -= w * weight_decay * learning_rate``
clipping              of the gradient with the penalties; ``clipnorm`` is for each variable
averages              of the weights after a step; the first are the weights; these are put in place every
                      ``ema_overwrite_frequency`` steps, and at the end of ``fit``
schedules             of the steps made before, in float32
penalties             ``l2 * sum(w ** 2)``, of the weights before the step, in the loss that logs tell
loss of a batch       sum of ``weight * loss`` by the number of its rows, not by the sum of the weights
loss in logs          mean over batches by their numbers of rows, so a last small batch counts less
metrics               before each step; only ``weighted_metrics`` look at weights, and divide by their sum
cross-entropies       also as metrics, behind softmax and sigmoid of what goes into these: with a sigmoid,
                      ``categorical_crossentropy`` takes the softmax of its input
cross-entropies       behind others of the output within 1e-7 and 1 - 1e-7; the categorical one divides by the
                      sum first, the sparse one takes the softmax of the logarithms
hinges                targets 0 and 1 are read as -1 and 1
Huber                 its configuration does not tell ``delta``
batch normalisation   variances are divided by the number of rows; epsilon is under the root
dropout               ``(seed, counter)`` of its generator is the seed; numbers from the rate on are kept
kinks                 derivatives at zero: relu 0, leaky_relu its slope, elu 1, celu 2
order of logs         by name
float64               numbers of configurations are rounded to float32 first
===================== ==================================================================================
"""

from skdl._dense._evaluate import evaluate, predict
from skdl._dense._network import MEASURES, Measure, Network, NotDense, network_of
from skdl._dense._one_thread import one_blas_thread
from skdl._dense._optimizers import OPTIMIZERS, finish_training
from skdl._dense._row_losses import EPSILON, SCORES
from skdl._dense._state import State, blank_state, initial_state, n_seeds
from skdl._dense._train_epoch import train_epoch

__all__ = [
    "EPSILON",
    "MEASURES",
    "OPTIMIZERS",
    "SCORES",
    "Measure",
    "Network",
    "NotDense",
    "State",
    "blank_state",
    "evaluate",
    "finish_training",
    "initial_state",
    "n_seeds",
    "network_of",
    "one_blas_thread",
    "predict",
    "train_epoch",
]
