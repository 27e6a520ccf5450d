"""Keras's random numbers: ``tf.random.stateless_uniform`` in NumPy, to the bit.

Philox 4x32 with ten rounds: Salmon et al. 2011, Parallel random numbers: as easy as 1, 2, 3. TensorFlow
2.21 makes key and counter from a seed in ``tensorflow/core/kernels/stateless_random_ops_v2.cc``, and floats
from bits in ``tensorflow/core/lib/random/random_distributions_utils.h``. Keras 3.15 makes seeds from the
states of its generators in ``keras/src/backend/tensorflow/random.py``.
"""

import numpy as np

_FACTORS = np.array([0xD2511F53, 0xCD9E8D57], np.uint64)[:, None, None]
_KEY_STEPS = np.array([0x9E3779B9, 0xBB67AE85], np.uint64)[:, None, None]
_SCRAMBLE = np.array([0x3EC8F720, 0x02461E29], np.uint64)[:, None, None]
_LOW, _HALF = np.uint64(0xFFFFFFFF), np.uint64(32)


def _philox(even, odd, key):
    """Encrypt counters in place, of shape (2, streams, blocks): words 0 and 2, and words 1 and 3."""
    products = np.empty_like(even)
    for _ in range(10):
        np.multiply(even, _FACTORS, out=products)
        np.bitwise_xor(odd, key, out=even)
        np.right_shift(products[::-1], _HALF, out=odd)
        np.bitwise_xor(even, odd, out=even)
        np.bitwise_and(products[::-1], _LOW, out=odd)
        key = (key + _KEY_STEPS) & _LOW


def _words(seeds, n):
    """Return the first ``n`` words of 32 bits for each seed, of shape (len(seeds), n)."""
    even = np.mod(seeds, 2**31 - 2).astype(np.uint64).T[:, :, None]
    odd = np.zeros_like(even)
    _philox(even, odd, _SCRAMBLE)
    key, n_blocks = np.concatenate([even[:1], odd[:1]]), -(-n // 4)
    counters = np.empty((2, 2, len(seeds), n_blocks), np.uint64)
    counters[0, 0], counters[1, 0] = np.arange(n_blocks, dtype=np.uint64), 0
    counters[0, 1], counters[1, 1] = even[1], odd[1]
    _philox(*counters, key)
    words = np.empty((len(seeds), n_blocks, 2, 2), np.uint32)
    for i, j in np.ndindex(2, 2):
        words[:, :, i, j] = counters[j, i]
    return words.reshape(len(seeds), -1)[:, :n]


def uniform(seeds, n, dtype):
    """Return the first ``n`` numbers in [0, 1) for each seed.

    ``seeds`` are pairs of int64: states of Keras's seed generators, or ``(s, 0)`` for an integer seed ``s``.
    """
    if np.dtype(dtype) == np.float32:
        bits = _words(seeds, n) & np.uint32(0x7FFFFF)
        bits |= np.uint32(0x3F800000)
        return bits.view(np.float32) - np.float32(1)
    words = _words(seeds, 2 * n).astype(np.uint64)
    bits = (words[:, 0::2] & np.uint64(0xFFFFF)) << _HALF | words[:, 1::2] | np.uint64(0x3FF << 52)
    return bits.view(np.float64) - 1.0
