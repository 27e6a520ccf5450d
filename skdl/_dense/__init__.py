"""Dense networks in NumPy: chains of dense layers, computed as Keras computes them, without TensorFlow.

`network_of` reads a description in Keras's words into a `Network`, a value. `initial_state` draws its
weights; a `State` has these and all else that training changes. `train_epoch` trains for an epoch;
`predict` and `evaluate` are the forward pass.

What one may not guess about Keras 3.15 with TensorFlow 2.21:

===================== ==================================================================================
Adam, AdamW           epsilon is added to ``sqrt(v)``; the learning rate has the bias correction
RMSprop               epsilon is under the root
powers of betas       of the beta in float32, in the float type of the weights; shares are ``1 - beta``
weight decay          of any optimizer, before its step: ``w -= w * weight_decay * learning_rate``
clipping              of the gradient with the penalties; ``clipnorm`` is for each variable
schedules             of the steps made before, in float32
penalties             ``l2 * sum(w ** 2)``, of the weights before the step, in the loss that logs tell
loss of a batch       sum of ``weight * loss`` by the number of its rows, not by the sum of the weights
loss in logs          mean over batches by their numbers of rows, so a last small batch counts less
metrics               before each step; they do not look at weights
cross-entropies       also as metrics, behind softmax and sigmoid of what goes into these: with a sigmoid,
                      ``categorical_crossentropy`` takes the softmax of its input
Huber                 its configuration does not tell ``delta``
batch normalisation   variances are divided by the number of rows; epsilon is under the root
dropout               ``(seed, counter)`` of its generator is the seed; numbers from the rate on are kept
kinks                 derivatives at zero: relu 0, leaky_relu its slope, elu 1
order of logs         by name
float64               numbers of configurations are rounded to float32 first
===================== ==================================================================================
"""

from skdl._dense._epochs import blas_threads, evaluate, one_blas_thread, predict, train_epoch
from skdl._dense._formulas import EPSILON, SCORES
from skdl._dense._network import MEASURES, Measure, Network, NotDense, network_of
from skdl._dense._optimizers import OPTIMIZERS, SCHEDULES, cut_subnormals
from skdl._dense._state import State, blank_state, initial_state
