#!/usr/bin/env bash
# After the main thread has limited BLAS once, the limits of all other threads have no effect, and nobody says so.
#
# Versions: threadpoolctl 3.8.0 (3.6.0 beside it), numpy 2.4.6
#
# ThreadpoolController.limit and restore_original_limits bracket a part of a program that is to have one BLAS
# thread. One would bet that two brackets that follow each other act alike, whichever threads they are in.
# With OpenBLAS's own threads, as in NumPy's wheels, the first thread that sets a limit keeps the right to do
# so for as long as it lives, also after its limit was restored. In the main thread that is to the end of the
# program. The same call in another thread then returns without an error or a warning and sets nothing. The
# context manager threadpool_limits gives the right back at its end. In 3.6.0 each call has its effect.
#
# Run: bash findings/threadpoolctl-limits-of-one-thread.sh
# It needs Python 3.11 or newer, and fails when the output is no longer the expected one below.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

cat > "$folder/expected" <<'EXPECTED'
3.8.0, BLAS threads without a limit: [2]
limit of 1 in another thread: [1]
limit of 1 in the main thread: [1]
limit of 1 in another thread: [2]
3.6.0, BLAS threads without a limit: [2]
limit of 1 in another thread: [1]
limit of 1 in the main thread: [1]
limit of 1 in another thread: [1]
EXPECTED

cat > "$folder/limits.py" <<'PYTHON'
import threading

import numpy as np
import threadpoolctl

controller = threadpoolctl.ThreadpoolController()


def blas_threads():
    return [each["num_threads"] for each in controller.select(user_api="blas").info()]


def limited(where):
    limiter = controller.limit(limits=1, user_api="blas")
    print(f"limit of 1 in {where}: {blas_threads()}")
    limiter.restore_original_limits()


def in_another_thread():
    thread = threading.Thread(target=limited, args=("another thread",))
    thread.start()
    thread.join()


np.ones((2, 2)) @ np.ones((2, 2))
print(f"{threadpoolctl.__version__}, BLAS threads without a limit: {blas_threads()}")
in_another_thread()
limited("the main thread")
in_another_thread()
PYTHON

cd "$folder"
"${PYTHON:-python3}" -m venv "$folder/venv"
for version in 3.8.0 3.6.0; do
    "$folder/venv/bin/pip" install --quiet --disable-pip-version-check "threadpoolctl==$version" numpy==2.4.6
    OPENBLAS_NUM_THREADS=2 "$folder/venv/bin/python" limits.py >> "$folder/seen"
done

diff "$folder/expected" "$folder/seen"
echo "As described."
