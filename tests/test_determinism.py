"""The bits of a result depend on data, parameters and seed: not on what ran before, beside or elsewhere."""

import hashlib
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np

import skdl
from skdl import CNNClassifier, DNNClassifier, KerasClassifier

X = np.random.default_rng(0).normal(size=(48, 16)).astype("float32")
Y = (X[:, 0] > 0).astype(int)


class Scaled(keras.layers.Layer):
    """A layer of one's own."""

    def build(self, shape):
        self.scale = self.add_weight(shape=(shape[-1],), initializer="random_normal")

    def call(self, inputs):
        return inputs * self.scale


def build():
    hidden = [keras.layers.Dense(4, activation="relu"), Scaled()]
    return keras.Sequential([keras.Input((16,)), *hidden, keras.layers.Dense(1, activation="sigmoid")])


KINDS = {
    "dense": lambda **common: DNNClassifier((4,), early_stopping=True, **common),
    "convolutional": lambda **common: CNNClassifier(filters=(2,), image_shape=(4, 4), **common),
    "dropout and batch normalisation": lambda **common: DNNClassifier(
        (4,), dropout=0.5, batch_norm=True, **common
    ),
    "wrapped, with a layer of one's own": lambda **common: KerasClassifier(
        build, loss="binary_crossentropy", **common
    ),
}
CELLS = [(kind, engine) for kind in KINDS for engine in ("compiled", "keras")]


def digest(cell):
    kind, engine = cell
    model = KINDS[kind](engine=engine, epochs=3, batch_size=16, random_state=0).fit(X, Y)
    assert model.engine_ == engine
    return hashlib.sha256(model.predict_proba(X).tobytes()).hexdigest()


def in_threads(cells=CELLS):
    """Return the digest of each cell, from three threads."""
    with ThreadPoolExecutor(3) as pool:
        return dict(zip(cells, pool.map(digest, cells), strict=True))


def in_turn(cells=CELLS):
    """Return the digest of each cell."""
    return {cell: digest(cell) for cell in cells}


def digests():
    """Return the digests of the cells, by how they ran: by Keras, which keeps no programs, in fewer ways."""
    code = "import json, test_determinism as t; print(json.dumps([*t.in_threads(t.CELLS[::-1]).items()]))"
    paths = os.pathsep.join([os.path.dirname(__file__), *filter(None, sys.path)])
    command, env = [sys.executable, "-c", code], {**os.environ, "PYTHONPATH": paths}
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) as other:
        skdl.clear_caches()
        found = {"cold": in_turn()}
        compiled = [cell for cell in CELLS if cell[1] == "compiled"]
        DNNClassifier((5,), dropout=0.1, epochs=1).fit(X[:20], Y[:20])
        found["warm, after others"] = in_turn(compiled[::-1])
        found["warm, in threads"] = in_threads(compiled)
        output = other.communicate()[0]
    assert other.returncode == 0
    return {
        **found,
        "cold, in threads of another process": {tuple(cell): each for cell, each in json.loads(output)},
    }


# One test, so that one worker alone computes the digests.
def test_a_network_has_the_same_bits_however_it_ran():
    all_found = digests()
    for cell in CELLS:
        found = {how: each[cell] for how, each in all_found.items() if cell in each}
        assert len(found) == (4 if cell[1] == "compiled" else 2)
        assert found == dict.fromkeys(found, found["cold"]), cell
    # The digests tell networks apart.
    assert len({all_found["cold"][kind, "compiled"] for kind in KINDS}) == len(KINDS)
