"""
Larger than memory: the peak of memory against the size of the data
===================================================================

A memory map is a file that looks like an array. A network reads its rows as it needs them, so that the memory
of a training stops growing where the data become large. Here a dense network is trained on tables of several
sizes: read into an array before, and as a memory map. The run prints::

    100 MB: 205 MB with an array, 105 MB with a memory map
    400 MB: 805 MB with an array, 41 MB with a memory map
    The networks are equal: True
"""

# %%
# Set-up
# ------
# ``--epochs`` trains longer, ``--output`` says where the picture goes.

import argparse
import tempfile
import tracemalloc
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from skdl import DNNRegressor

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--epochs", type=int, default=1, help="passes over the rows")
parser.add_argument("--output", type=Path, default=Path("output"), help="folder for the picture")
args = parser.parse_args()
args.output.mkdir(parents=True, exist_ok=True)

# %%
# A table on the disk
# -------------------
# It is written a piece at a time, and removed in the end. Large data are shuffled by blocks of consecutive
# rows, so the rows of a file should be in random order, as these are.

COLUMNS, SIZES = 2_000, [100, 200, 300, 400]  # MB
rng = np.random.default_rng(0)
folder = tempfile.TemporaryDirectory()
path = Path(folder.name) / "X.npy"
n_rows = SIZES[-1] * 1_000_000 // (4 * COLUMNS)
table = np.lib.format.open_memmap(path, "w+", np.float32, (n_rows, COLUMNS))
for start in range(0, n_rows, 5_000):
    table[start : start + 5_000] = rng.random((min(5_000, n_rows - start), COLUMNS), np.float32)
y = table[:, :20].sum(axis=1)
table.flush()

# %%
# The peak of memory
# ------------------
# ``tracemalloc`` sees all that NumPy allocates. The two differ in nothing but how the file is opened.


def train(size, mode):
    """Return the network, and the peak of memory in MB."""
    n = size * 1_000_000 // (4 * COLUMNS)
    network = DNNRegressor((8,), epochs=args.epochs, batch_size=256, validation_split=0.1, random_state=0)
    tracemalloc.start()
    X = np.load(path, mmap_mode="r")[:n]
    network.fit(X if mode == "memory map" else np.array(X), y[:n])
    peak = tracemalloc.get_traced_memory()[1] / 1e6
    tracemalloc.stop()
    return network, peak


peaks, networks = {}, {}
for mode in ("array", "memory map"):
    networks[mode], peaks[mode] = zip(*(train(size, mode) for size in SIZES), strict=True)
for size in (SIZES[0], SIZES[-1]):
    array, streamed = (peaks[mode][SIZES.index(size)] for mode in peaks)
    print(f"{size} MB: {array:.0f} MB with an array, {streamed:.0f} MB with a memory map")

# %%
# The same network
# ----------------
# Rows are held out and shuffled alike, wherever they are.

rows = np.load(path, mmap_mode="r")[:1_000]
one, other = (networks[mode][-1].predict(rows) for mode in networks)
print("The networks are equal:", np.array_equal(one, other))

figure, axes = plt.subplots(figsize=(6.4, 4), layout="constrained")
for mode, marker in zip(peaks, "os", strict=True):
    axes.plot(SIZES, peaks[mode], marker=marker, label=f"trained on {'an' if mode[0] == 'a' else 'a'} {mode}")
axes.axvline(200, color="0.6", linestyle=":", linewidth=1)
axes.annotate("from here on, a map is read by blocks", (205, 240), color="0.35")
axes.set(xlabel="size of the data, MB", ylabel="peak of memory, MB", ylim=(0, None))
axes.legend(loc="upper left")
figure.savefig(args.output / "larger_than_memory.png", dpi=150)
plt.show()

# %%
# An HDF5 dataset or a zarr array in the place of the map gives the same.

folder.cleanup()
