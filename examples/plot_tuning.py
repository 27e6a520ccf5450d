"""
Tuning: every hyperparameter, and the other models in the same search
=====================================================================

A random search tries layers, units, activation, optimizer, dropout, learning rate, batch size and
epochs of a network at once, and a random forest and gradient boosting on the same folds, so that
the network has to show that it is worth its trouble.

The task: which loans will not be paid back? All models stand behind a scaler and SMOTE. Without
``--data`` the loans are made up here. The run prints::

    DNNClassifier (17 candidates): balanced accuracy 0.939 +- 0.018
    Balanced accuracy on the hold-out: 0.934

With the original loans it prints::

    DNNClassifier (17 candidates): balanced accuracy 0.993 +- 0.003
    Balanced accuracy on the hold-out: 0.993
"""

# %%
# Set-up
# ------
# ``--data`` names a CSV file with the columns income, age, loan and default.

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from imblearn.over_sampling import SMOTE
from scipy.special import expit
from scipy.stats import loguniform
from sklearn.callback import ProgressBar
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.metrics import ConfusionMatrixDisplay, balanced_accuracy_score, classification_report
from sklearn.model_selection import RandomizedSearchCV, StratifiedKFold, train_test_split
from sklearn.preprocessing import StandardScaler

from skdl import DNNClassifier, Pipeline, SearchDisplay

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--epochs", type=int, default=40, help="the most passes over the rows in a fit")
parser.add_argument("--output", type=Path, default=Path("output"), help="folder for the pictures")
parser.add_argument("--data", type=Path, help="a CSV file of loans; none makes them up")
args = parser.parse_args()
args.output.mkdir(parents=True, exist_ok=True)

# %%
# The data
# --------


def make_loans(n_loans=2000):
    """Make loans, of which most of those below 35 years that exceed 12 % of the income are not paid back."""
    rng = np.random.RandomState(0)
    u, v, w = rng.uniform(size=(3, n_loans))
    income, age, ratio = 20_000 + 50_000 * u, 18 + 46 * v, 0.2 * w
    share = expit((35 - age) / 2) * expit((ratio - 0.12) / 0.01)
    default = (rng.uniform(size=n_loans) < share).astype(int)
    return pd.DataFrame({"income": income, "age": age, "loan": ratio * income, "default": default})


if args.data:
    loans = pd.read_csv(args.data).rename(columns={"default10yr": "default"})
    print(f"{loans.isna().any(axis=1).sum()} rows with a missing value are left out")
    loans = loans.dropna()
else:
    loans = make_loans()
X, y = loans[["income", "age", "loan"]], loans["default"]
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.3, stratify=y, random_state=0)
print(f"{len(X_train)} loans to learn from, {len(X_test)} held out; {y.mean():.1%} were not paid back")

# %%
# The search
# ----------
# The last step of the pipeline is a parameter as well: each dictionary puts another model
# there, with a space of its own. The one of the networks is named three times, so that
# about three candidates of five are networks.
#
# Numbers that act by factors, such as the learning rate, are drawn from a log-uniform
# distribution: 0.001 to 0.01 is as likely as 0.01 to 0.1.

networks = {
    "model": [DNNClassifier(random_state=0)],
    "model__hidden_layer_sizes": [(8,), (32,), (8, 8), (32, 32), (32, 32, 32)],
    "model__activation": ["relu", "tanh"],
    "model__optimizer": ["adam", "rmsprop", "sgd"],
    "model__dropout": [0.0, 0.2, 0.4],
    "model__learning_rate": loguniform(1e-3, 1e-1),
    "model__batch_size": [16, 32, 64],
    "model__epochs": [max(1, args.epochs // 4), max(1, args.epochs // 2), args.epochs],
}
forests = {
    "model": [RandomForestClassifier(random_state=0)],
    "model__n_estimators": [50, 100, 200],
    "model__max_depth": [4, 8, None],
    "model__min_samples_leaf": [1, 3, 10],
}
boosting = {
    "model": [GradientBoostingClassifier(random_state=0)],
    "model__learning_rate": loguniform(1e-2, 1),
    "model__n_estimators": [50, 100],
    "model__max_depth": [2, 3, 5],
}
pipeline = Pipeline(
    [("scaler", StandardScaler()), ("smote", SMOTE(random_state=0)), ("model", DNNClassifier())]
)
search = RandomizedSearchCV(
    pipeline,
    [networks] * 3 + [forests, boosting],
    n_iter=24,
    scoring="balanced_accuracy",
    cv=StratifiedKFold(3, shuffle=True, random_state=0),
    random_state=1,
)
print(f"{search.n_iter * 3 + 1} fits: about 40 s on two cores")
search.set_callbacks(ProgressBar(max_propagation_depth=0))
search.fit(X_train, y_train)

# %%
# Who wins
# --------
# The best candidate of each kind, by its mean over the folds, and how much the folds
# differ. A lead that is smaller than this spread is no lead.

results = pd.DataFrame(search.cv_results_)
results["kind"] = [type(model).__name__ for model in results["param_model"]]
best = results.loc[results.groupby("kind")["mean_test_score"].idxmax()].sort_values(
    "mean_test_score", ascending=False
)
counts = results["kind"].value_counts()
for row in best.itertuples():
    print(
        f"{row.kind} ({counts[row.kind]} candidates): balanced accuracy {row.mean_test_score:.3f} "
        f"+- {row.std_test_score:.3f}"
    )
    print(f"    {row.mean_fit_time:.1f} s a fit")
    for name, value in row.params.items():
        if name != "model":
            shown = f"{value:.3g}" if isinstance(value, float) else value
            print(f"    {name.removeprefix('model__')}: {shown}")

# %%
# What the networks' hyperparameters do
# -------------------------------------
# One panel for each. Blue is the best candidate at each value, with the spread of its
# folds; grey dots are the others, since everything else was drawn at random too. Where
# the blue lies flat, the parameter hardly matters within this range. Each learning
# rate was drawn once, so a line through them would join what does not belong together. The
# worst tenth of the candidates is left below the panels, where it can't flatten the rest.

is_network = (results["kind"] == "DNNClassifier").to_numpy()
tried = {
    name: np.ma.asarray(values)[is_network] for name, values in search.cv_results_.items() if name != "params"
}
names = [name for name in networks if name != "model"]
figure, axes = plt.subplots(4, 2, figsize=(9, 11), sharey=True, layout="constrained")
for ax, name in zip(axes.flat, names, strict=False):
    drawn_once = name == "model__learning_rate"
    display = SearchDisplay.from_cv_results(
        tried,
        params=name,
        ax=ax,
        score_name="Balanced accuracy",
        line_kwargs={"linestyle": "none"} if drawn_once else None,
        spread_kwargs={"visible": False} if drawn_once else None,
    )
    display.legend_.remove()
last = axes.flat[-1]
for place, kind in enumerate(best["kind"]):
    scores = results.loc[results["kind"] == kind, "mean_test_score"]
    last.plot(np.full(len(scores), place), scores, "o", color="#0072B2", alpha=0.6)
last.set_xticks(
    range(len(best)),
    [kind.removesuffix("Classifier") for kind in best["kind"]],
)
last.set(xlabel="Kind of model, all candidates", xlim=(-0.5, len(best) - 0.5))
floor = results["mean_test_score"].quantile(0.1)
last.set_ylim(floor - 0.005, results["mean_test_score"].max() + 0.02)
figure.savefig(args.output / "tuning_parameters.png", dpi=150)

# %%
# Two of them together: the learning rate that is right depends on the optimizer.

display = SearchDisplay.from_cv_results(
    tried,
    params=["model__learning_rate", "model__optimizer"],
    score_name="Balanced accuracy",
    image_kwargs={"vmin": floor},
)
display.figure_.savefig(args.output / "tuning_learning_rate_optimizer.png", dpi=150)

# %%
# The hold-out
# ------------
# The winner was refitted on all rows to learn from. The loans held out have seen none of
# the search.

y_pred = search.predict(X_test)
print(f"Winner: {search.best_estimator_['model']}")
print(f"Balanced accuracy on the hold-out: {balanced_accuracy_score(y_test, y_pred):.3f}")
print(classification_report(y_test, y_pred, target_names=["paid", "default"], digits=3, zero_division=0))

figure, ax = plt.subplots(figsize=(4.5, 4), layout="constrained")
ConfusionMatrixDisplay.from_predictions(
    y_test, y_pred, display_labels=["paid", "default"], ax=ax, colorbar=False, cmap="Blues"
)
ax.set_title("Hold-out")
figure.savefig(args.output / "tuning_confusion.png", dpi=150)
plt.show()
