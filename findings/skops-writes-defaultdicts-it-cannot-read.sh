#!/usr/bin/env bash
# skops writes a defaultdict with numbers as keys without a complaint, and can't read the file.
#
# Versions: skops 0.16.0, scikit-learn 1.9.1, numpy 2.4.6
#
# skops.io tells when it writes what it can't restore, and a dict, an OrderedDict and a Counter with numbers as
# keys come back. One would bet on the same for a defaultdict, such as class labels with lists of rows. It is
# written, its types are all trusted, and then skops calls the class with the keys as keyword arguments. The
# estimator that holds it is lost with the file. A defaultdict with texts as keys comes back.
#
# Run: bash findings/skops-writes-defaultdicts-it-cannot-read.sh
# It needs Python 3.11 or newer, and fails when the output is no longer the expected one below.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check skops==0.16.0 scikit-learn==1.9.1 numpy==2.4.6

cat > "$folder/expected" <<'EXPECTED'
dict {0: [1]}: comes back as {0: [1]}
OrderedDict {0: [1]}: comes back as {0: [1]}
defaultdict {'a': [1]}: comes back as {'a': [1]}
defaultdict {0: [1]}: TypeError, keywords must be strings
EXPECTED

cd "$folder"
"$folder/venv/bin/python" - > "$folder/seen" <<'PYTHON'
from collections import OrderedDict, defaultdict

import skops.io

for value in ({0: [1]}, OrderedDict({0: [1]}), defaultdict(list, {"a": [1]}), defaultdict(list, {0: [1]})):
    written = skops.io.dumps(value)
    trusted = skops.io.get_untrusted_types(data=written)
    try:
        result = f"comes back as {dict(skops.io.loads(written, trusted=trusted))}"
    except TypeError as error:
        result = f"TypeError, {error}"
    print(f"{type(value).__name__} {dict(value)}: {result}")
PYTHON

diff "$folder/expected" "$folder/seen"
echo "As described."
