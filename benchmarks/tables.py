"""Compare `TabularClassifier` and `TabularRegressor` with others' defaults: ``make tables``.

Each table is split three times into 75 % to train on and 25 % to score. Everybody gets the raw
table, but scikit-learn's MLP, which gets it scaled. ``--data`` takes a folder of CSV files
whose last column is the target: a class where it is text or has at most 20 integers. The
result goes into the guide, as ``docs/guide/tables.csv``, and into the README.
"""

import argparse
import csv
import importlib.util
import time
import warnings
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import readme
from sklearn import datasets
from sklearn.compose import TransformedTargetRegressor, make_column_selector, make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from skdl import TabularClassifier, TabularRegressor

RESULT = Path(__file__).parent.parent / "docs" / "guide" / "tables.csv"
OFFLINE = {
    "breast cancer": datasets.load_breast_cancer,
    "digits": datasets.load_digits,
    "wine": datasets.load_wine,
    "iris": datasets.load_iris,
    "diabetes": datasets.load_diabetes,
}


def encoded(estimator):
    """Put what an estimator of numbers alone needs before it."""
    numbers = make_column_selector(dtype_include=["number", "bool"])
    others = make_column_selector(dtype_exclude=["number", "bool"])
    columns = make_column_transformer(
        (make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), numbers),
        (OneHotEncoder(handle_unknown="ignore", sparse_output=False), others),
    )
    return make_pipeline(columns, estimator)


def contenders(classify, seed):
    """Return estimators with their defaults by name."""
    kinds = {
        "skdl": TabularClassifier if classify else TabularRegressor,
        "HistGradientBoosting": HistGradientBoostingClassifier if classify else HistGradientBoostingRegressor,
    }
    found = {name: kind(random_state=seed) for name, kind in kinds.items()}
    found["MLP"] = encoded(
        MLPClassifier(random_state=seed)
        if classify
        else TransformedTargetRegressor(MLPRegressor(random_state=seed), transformer=StandardScaler())
    )
    if importlib.util.find_spec("catboost"):
        from catboost import CatBoostClassifier, CatBoostRegressor

        kind = CatBoostClassifier if classify else CatBoostRegressor
        found["CatBoost"] = kind(random_seed=seed, verbose=0, allow_writing_files=False)
    if importlib.util.find_spec("lightgbm"):
        from lightgbm import LGBMClassifier, LGBMRegressor

        found["LightGBM"] = (LGBMClassifier if classify else LGBMRegressor)(random_state=seed, verbose=-1)
    return found


def prepared(name, X):
    """Return a table as a library takes it: text is a category, missing text a word."""
    texts = X.select_dtypes(exclude=["number", "bool"]).columns
    if name == "CatBoost" and len(texts):
        return X.assign(**{column: X[column].astype(str) for column in texts}), {"cat_features": [*texts]}
    if name in ("HistGradientBoosting", "LightGBM"):
        return X.assign(**{column: X[column].astype("category") for column in texts}), {}
    return X, {}


def tables(folder):
    """Return functions that load features and target, by name."""
    if folder is None:
        return {name: partial(load, return_X_y=True, as_frame=True) for name, load in OFFLINE.items()}

    def read(path):
        frame = pd.read_csv(path)
        return frame.iloc[:, :-1], frame.iloc[:, -1]

    return {path.name.split(".")[0]: lambda path=path: read(path) for path in sorted(folder.glob("*.csv*"))}


def measure(X, y, classify, seeds):
    """Return score, log-loss and seconds of a fit by contender, means over the splits."""
    rows = {}
    for seed in range(seeds):
        train_rows, test_rows = train_test_split(
            np.arange(len(X)), test_size=0.25, random_state=seed, stratify=y if classify else None
        )
        y_train, y_test = y.iloc[train_rows], y.iloc[test_rows]
        for name, estimator in contenders(classify, seed).items():
            data, extra = prepared(name, X)
            train, test = data.iloc[train_rows], data.iloc[test_rows]
            start = time.perf_counter()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                estimator.fit(train, y_train, **extra)
                seconds = time.perf_counter() - start
                score = estimator.score(test, y_test)
                loss = log_loss(y_test, estimator.predict_proba(test)) if classify else np.nan
            rows.setdefault(name, []).append((score, loss, seconds))
    return {name: np.mean(results, axis=0) for name, results in rows.items()}


def main():
    """Measure, print, and write the table of the guide."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, help="folder of CSV files; default: what scikit-learn ships")
    parser.add_argument("--seeds", type=int, default=3, help="splits of each table")
    args = parser.parse_args()
    lines = []
    for name, load in tables(args.data).items():
        X, y = load()
        classify = y.dtype.kind not in "fc" and (y.dtype.kind not in "iu" or y.nunique() <= 20)
        results = measure(X, y, classify, args.seeds)
        best = max(round(score, 3) for score, _, _ in results.values())
        line = {"table": name, "rows": len(X), "measure": "accuracy" if classify else "R2"}
        for contender, (score, loss, seconds) in results.items():
            shown = f"**{score:.3f}**" if round(score, 3) == best else f"{score:.3f}"
            line[contender] = shown + (f" ({loss:.3f})" if classify else "")
            print(f"{name:16s} {contender:22s} {score:.4f} log-loss {loss:.4f} {seconds:6.1f} s", flush=True)
        lines.append(line)
        if args.data is None:
            with RESULT.open("w", newline="") as file:
                writer = csv.DictWriter(file, lines[0], lineterminator="\n")
                writer.writeheader()
                writer.writerows(lines)
            readme.put("tables", readme.from_csv(RESULT))


if __name__ == "__main__":
    main()
