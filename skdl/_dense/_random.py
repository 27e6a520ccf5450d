"""Keras's random numbers: ``tf.random.stateless_uniform`` in NumPy, to the bit.

Philox 4x32 with ten rounds: Salmon et al. 2011, Parallel random numbers: as easy as 1, 2, 3. How TensorFlow
2.21 makes key and counter from a seed: ``tensorflow/core/kernels/stateless_random_ops_v2.cc`` and
``tensorflow/core/kernels/stateless_random_ops.cc``; how it makes floats from bits:
``tensorflow/core/lib/random/random_distributions_utils.h``. How Keras 3.15 makes seeds from states:
``keras/src/backend/tensorflow/random.py``.
"""

import numpy as np

_FACTORS = np.array([0xD2511F53, 0xCD9E8D57], np.uint64)[:, None, None]
_KEY_STEPS = np.array([0x9E3779B9, 0xBB67AE85], np.uint64)[:, None, None]
_LOW, _HALF = np.uint64(0xFFFFFFFF), np.uint64(32)
_SCRAMBLE = np.array([0x3EC8F720, 0x02461E29], np.uint64)[:, None, None]


def _philox(even, odd, key):
    """Encrypt counters in place: words 0 and 2 in ``even``, 1 and 3 in ``odd``; all (2, streams, blocks)."""
    products = np.empty_like(even)
    for _ in range(10):
        np.multiply(even, _FACTORS, out=products)
        np.bitwise_xor(odd, key, out=even)
        np.right_shift(products[::-1], _HALF, out=odd)
        np.bitwise_xor(even, odd, out=even)
        np.bitwise_and(products[::-1], _LOW, out=odd)
        key = (key + _KEY_STEPS) & _LOW


def _words(seeds, n):
    """Return the first ``n`` words of 32 bits of each seed, of shape (len(seeds), n)."""
    seeds = np.mod(seeds, 2**31 - 2).astype(np.uint64).T[:, :, None]
    upper, rest = seeds & _LOW, seeds >> _HALF
    _philox(upper, rest, _SCRAMBLE)
    key = np.concatenate([upper[:1], rest[:1]])
    n_streams, n_blocks = seeds.shape[1], -(-n // 4)
    even, odd = np.empty((2, 2, n_streams, n_blocks), np.uint64)
    even[0], even[1] = np.arange(n_blocks, dtype=np.uint64), upper[1]
    odd[0], odd[1] = 0, rest[1]
    _philox(even, odd, key)
    words = np.empty((n_streams, n_blocks, 4), np.uint32)
    words[:, :, 0::2], words[:, :, 1::2] = np.moveaxis(even, 0, 2), np.moveaxis(odd, 0, 2)
    return words.reshape(n_streams, -1)[:, :n]


def uniform(seeds, n, dtype):
    """Return what ``tf.random.stateless_uniform`` draws, for several seeds.

    Parameters
    ----------
    seeds : ndarray of int64 of shape (n_streams, 2)
        States of Keras's seed generators; ``(s, 0)`` for an integer seed ``s``.
    n : int
        Numbers to draw from each.
    dtype : dtype
        float32 or float64.

    Returns
    -------
    ndarray of shape (n_streams, n)
        In [0, 1).
    """
    if np.dtype(dtype) == np.float32:
        bits = _words(seeds, n) & np.uint32(0x7FFFFF)
        bits |= np.uint32(0x3F800000)
        return bits.view(np.float32) - np.float32(1)
    words = _words(seeds, 2 * n).astype(np.uint64)
    bits = (words[:, 0::2] & np.uint64(0xFFFFF)) << _HALF | words[:, 1::2] | np.uint64(0x3FF << 52)
    return bits.view(np.float64) - 1.0
