"""Networks for raw tables: `TabularClassifier` and `TabularRegressor`."""

from dataclasses import replace
from functools import partial
from numbers import Integral, Real
from typing import Literal, Self

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import _num_samples, validate_data

from skdl import _typing
from skdl._backend import floatx
from skdl._dense import NotDense
from skdl._estimators._base import KerasEstimator
from skdl._estimators._mixins import KerasClassifierMixin, KerasRegressorMixin
from skdl._estimators._shared_params import (
    CLASS_WEIGHT,
    FIT_ATTRIBUTES,
    SIZES,
    TRAINING_CONSTRAINTS,
    documented,
)
from skdl._model._build import asks_keras
from skdl._onnx import tabular_parts
from skdl._tabular import _fold_networks, _folds
from skdl._tabular._encoder import TableEncoder, TableReader, as_table
from skdl._tabular._fold_networks import TabularNetwork, TabularState, TimeLimit
from skdl._tabular._neighbors import MOST_ROWS, Neighbors
from skdl._targets._encoders import StandardizedTargetEncoder
from skdl._training._fit import train_dense
from skdl._training._plan import Holdout

_COUNT = [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})]
_CONSTRAINTS = {
    "hidden_layer_sizes": SIZES,
    **dict.fromkeys(("n_members", "n_folds", "epochs", "batch_size", "n_iter_no_change"), _COUNT),
    "numeric_embedding": ["boolean"],
    "neighbors": ["boolean"],
    "dropout": [Interval(Real, 0, 1, closed="left")],
    "weight_decay": [Interval(Real, 0, None, closed="left")],
    "learning_rate": [Interval(Real, 0, None, closed="neither")],
    "validation_split": [Interval(Real, 0, 1, closed="neither")],
    "categorical_features": ["array-like", StrOptions({"from_dtype"}), None],
    "time_limit": [Interval(Real, 0, None, closed="neither"), None],
    **{
        name: TRAINING_CONSTRAINTS[name]
        for name in ("engine", "callbacks", "verbose", "random_state", "early_stopping")
    },
}
_TEXTS = {
    "hidden_layer_sizes": """int or array-like of int
        Units of each hidden layer.""",
    "n_members": """int or "auto"
        Networks of each fold. They share all weights but a scaling of the features and the
        output layer, and predict by their average. "auto" means as many as make 10 or a little
        less in all folds.""",
    "n_folds": """int or "auto"
        Each fold is held out from the training of ``n_members`` networks, which stop early by
        it; the networks of all folds are trained at the same time, and averaged. "auto" means
        5 up to 5,000 rows, and 3 above. With 1, ``validation_split`` of the rows is held out.""",
    "numeric_embedding": """bool
        Whether the network gets periodic functions of each numeric feature besides its value.""",
    "neighbors": """bool
        Whether the targets of similar rows of the training data may have a share in the predictions.
        They get one where held-out rows are then predicted better by 1.5 % of the loss, and where there
        are at most 5,000 rows. The estimator then holds the encoded training rows, and each is its own
        neighbor where it is predicted.""",
    "dropout": """float in [0, 1)
        Share of the units of each hidden layer that is dropped in a step of training. Keras trains
        networks with dropout.""",
    "learning_rate": """float
        Highest learning rate of Adam. It rises for a twentieth of the training, then falls to
        zero along a cosine.""",
    "weight_decay": """float
        Share of the weights, times the learning rate, that is taken away in each step.""",
    "epochs": """int or "auto"
        Passes over the rows, at most. "auto" means between 5 and 60: as many as a fixed
        number of multiplications allows, so that large tables end in time.""",
    "batch_size": """int or "auto"
        Rows of one step of training; "auto" means from 32 to 256, more for more rows.""",
    "early_stopping": """bool
        Stop when the loss on the held-out rows has not improved for ``n_iter_no_change``
        epochs, and keep the weights of the best epoch. Without, all networks are trained on
        all rows, for all epochs.""",
    "n_iter_no_change": """int or "auto"
        Epochs without improvement before training stops early; "auto" means 0.3 times
        ``epochs``, but at least 5.""",
    "validation_split": """float in (0, 1)
        Share of the rows that is held out where folds are not: with ``n_folds=1``, and in a
        `skdl.Pipeline`, which holds rows out before its first step.""",
    "categorical_features": """array-like of bool, int or str, or None
        Which columns are categories, in the words of ``HistGradientBoosting``: a mask,
        indices, or names; None for no column. "from_dtype" means all columns that are neither
        numbers nor booleans, in a DataFrame or an array of objects.""",
    "time_limit": """float or None
        Seconds that a fit may take. Training ends between two epochs, after at least one; the
        learning rate falls to zero by then. The result depends on the speed of the machine.""",
    "attributes": f"""n_folds_ : int
        Number of folds.
    neighbors_ : object or None
        The similar rows that have a share in the predictions, with this share as ``neighbors_.share``.
    history_ : dict of str to list of float
        "loss", the mean of the losses of all networks, and "val_loss", the loss of their
        average on the rows that they were not trained on, of every epoch.
    best_epoch_ : int
        Epoch, counted from 0, with the lowest validation loss. With ``early_stopping`` the
        model has its weights.
    table_reader_ : transformer
        From the table to floats, in which categories are codes.
    feature_encoder_ : transformer
        From these to what the network takes.
    {FIT_ATTRIBUTES}""",
    "references": """.. [1] D. Holzmüller, L. Grinsztajn and I. Steinwart, "Better by default: strong
       pre-tuned MLPs and boosted trees on tabular data", NeurIPS 2024, arXiv 2407.04491: scaling,
       parametrisation, periodic features.
    .. [2] Y. Gorishniy, A. Kotelnikov and A. Babenko, "TabM: advancing tabular deep learning
       with parameter-efficient ensembling", ICLR 2025, arXiv 2410.24210: members that share
       their weights.""",
}


class _TabularMixin:
    """Mixin of both: reads a table, divides it into folds, and trains the networks of all folds at once."""

    # Parameters of other estimators that these do not have.
    warm_start = False
    loss = None
    metrics = None

    _prefixes = frozenset()
    _classify = None

    @property
    def partial_fit(self):
        """Raise AttributeError, since the learning rate follows a schedule over the whole training."""
        raise AttributeError(
            f"{type(self).__name__} has no partial_fit, because its learning rate falls over the whole "
            "training; use fit, or DNNClassifier or DNNRegressor, which have one."
        )

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags = replace(
            tags.input_tags, sparse=False, allow_nan=True, string=True, categorical=True
        )
        if tags.classifier_tags is not None:
            tags.classifier_tags.multi_label = False
        return tags

    def _check_features(self, X, *, reset):
        table = as_table(X)
        validate_data(self, X if hasattr(X, "columns") else table, reset=reset, skip_check_array=True)
        if reset:
            self.table_reader_ = TableReader(self.categorical_features).fit(table)
        X = self.table_reader_.transform(table)
        if reset:
            self.X_shape_, self.X_dtype_ = X.shape, X.dtype
        return X

    @property
    def feature_encoder(self):
        """Transformer from what `table_reader_` reads to what the network takes."""
        return TableEncoder(self.table_reader_.is_categorical_, self.n_folds)

    def _fit_settings(self, arguments):
        # `_settle` replaces what depends on the number of rows.
        return {
            **super()._fit_settings(arguments),
            "epochs": _folds.MOST_EPOCHS if self.epochs == "auto" else self.epochs,
            "batch_size": None,
            "validation_split": self.validation_split if self.early_stopping and self.n_folds == 1 else 0,
            "early_stopping": False,
        }

    def _split_validation(self, X, y, groups=None):
        # Not folds, which would hold rows that a sampler has copied or mixed.
        if not self.early_stopping:
            return None
        holdout = Holdout(self.validation_split, self._draw_seed())
        return holdout.split(_num_samples(X), y, strata=self._strata_of(np.asarray(y)), groups=groups)

    def _tabular_network(self):
        sizes, encoder = self.hidden_layer_sizes, self.feature_encoder_
        return TabularNetwork(
            encoder.n_encoded_,
            encoder.n_numeric_ if self.numeric_embedding else 0,
            self.n_folds_,
            _folds.default_members(self.n_folds_) if self.n_members == "auto" else int(self.n_members),
            tuple(int(size) for size in ([sizes] if isinstance(sizes, Integral) else sizes)),
            self.n_classes_ if self._classify else self.n_outputs_,
            self._classify,
        )

    def _initial_state(self, seed=None):
        # By the seed of the training, so that the Keras model has the same weights.
        return TabularState.initial(self._tabular_network(), np.random.default_rng((self._seed, 0)))

    def _keras_build_fn(self):
        from skdl._tabular._ensemble import keras_network  # which imports TensorFlow

        return keras_network(self._tabular_network(), self.dropout)

    def _make_keras_model(self):
        from skdl._tabular._ensemble import set_state  # which imports TensorFlow

        model = self._keras_build_fn()
        set_state(model, self._dense)
        return model

    def _dense_network(self, n_columns=1):
        if self.dropout:
            raise NotDense("dropout is above 0")
        if floatx() != "float32":
            raise NotDense(f"the float type of Keras is {floatx()}")
        if "model_" in vars(self):
            raise NotDense("model_ has been asked for")
        return self._dense

    def _trained_loss(self):
        return None  # the network has a loss of its own, and its outputs are read here

    def _compile_network(self, x):
        """Do nothing: the model fits, and `_encode` compiles it when the number of rows is known."""

    def _encode(self, train, held_out, plan):
        """Put the rows of all folds side by side, and settle the plan and the start of the network."""
        train, held_out, plan = super()._encode(train, held_out, plan)
        train = train.take(train.used_positions())  # class_weight may set weights to 0
        start = self._constant_output(train)
        self.neighbors_ = None
        if self.neighbors and train.n <= MOST_ROWS and train.n > 1:
            y, n_classes = (train.y[:, 0], self.n_classes_) if self._classify else (train.y, None)
            self.neighbors_ = Neighbors(train.X[:, 0], y, train.weight, n_classes)
        holds_folds_out = self.early_stopping and held_out is None
        random_state = check_random_state(self._seed)
        train, held_out = _folds.side_by_side(
            train, held_out, self.n_folds_, self._classify, holds_folds_out, random_state
        )
        plan = self._settle(plan, train.n, validates=held_out is not None)
        state = self._dense if "_dense" in vars(self) else self._initial_state()
        state.parts(state.weights)["output_bias"][...] = start
        state.learning_rate, state.weight_decay = self.learning_rate, self.weight_decay
        if self.time_limit is None:
            state.n_steps = plan.epochs * -(-train.n // plan.batch_size)
        if "model_" in vars(self):
            from skdl._tabular._ensemble import set_state  # which imports TensorFlow

            set_state(self.model_, state)
        return train, held_out, plan

    def _settle(self, plan, n_rows, *, validates):
        """Return the plan with what depends on the number of rows of a fold."""
        epochs, batch_size, patience = self.epochs, self.batch_size, self.n_iter_no_change
        if epochs == "auto":
            network = self._tabular_network()
            epochs = _folds.default_epochs(n_rows, network.n_products, network.n_folds * network.n_members)
        if batch_size == "auto":
            batch_size = _folds.default_batch_size(n_rows)
        if patience == "auto":
            patience = max(5, int(0.3 * epochs))
        return replace(
            plan,
            epochs=epochs,
            batch_size=batch_size,
            validation_batch_size=max(batch_size, 1024),
            patience=patience if self.early_stopping and validates else None,
        )

    def _train(self, network, train, held_out, plan, hooks, is_new):
        """Train all folds, and choose the share of similar rows in the predictions."""
        if self.time_limit is not None:
            # A tenth is for what the search for similar rows takes after the training.
            seconds = self.time_limit * (1 if self.neighbors_ is None else 0.9)
            hooks = [TimeLimit(network, self.learning_rate, plan.epochs, plan.started + seconds), *hooks]
        if plan.verbose:
            print(
                f"{self.n_folds_} folds of {self._tabular_network().n_members} networks, {train.n} rows each"
            )
        neighbors, self.neighbors_ = self.neighbors_, None  # so that `_outputs` does not mix meanwhile
        if isinstance(network, TabularState):
            keep = partial(self._keep_network, model=None)
            args = {"seed": self._seed, "hooks": hooks, "set_network": keep}
            outcome = train_dense(network, train, held_out, plan, **args, module=_fold_networks)
            network.slots = None
        else:
            outcome = super()._train(network, train, held_out, plan, hooks, is_new)
        if neighbors is not None and held_out is not None:
            outputs = self._outputs(held_out.X)[:, :, 0]
            if np.isfinite(outputs).all():
                self.neighbors_ = neighbors.fit(train, held_out, outputs)
        return outcome

    def fit(
        self,
        X: _typing.MatrixLike,
        y: _typing.ArrayLike,
        sample_weight: _typing.ArrayLike | None = None,
        *,
        X_val: _typing.MatrixLike | None = None,
        y_val: _typing.ArrayLike | None = None,
        sample_weight_val: _typing.ArrayLike | None = None,
    ) -> Self:
        """Learn from a table.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_features)
            Rows to train on. Missing values are None, NaN or pandas.NA.
        y : array-like of shape (n_samples,) or, for numbers, (n_samples, n_outputs)
            Target.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows; only their ratios count. Rows of weight 0 are left out.
        X_val : DataFrame or array-like of shape (n_val, n_features), default=None
            Rows to stop early by, in place of the folds: all networks are then trained on all
            rows of ``X``.
        y_val : array-like of shape (n_val,) or (n_val, n_outputs), default=None
            Their target.
        sample_weight_val : array-like of shape (n_val,), default=None
            Their weights.

        Returns
        -------
        estimator
            The fitted estimator itself.

        Raises
        ------
        ValueError, TypeError
            Before training, if parameters and data do not fit together. The estimator is left
            as it was.
        """
        return super().fit(X, y, sample_weight, X_val=X_val, y_val=y_val, sample_weight_val=sample_weight_val)

    def _prediction_batch_size(self):
        return None  # the network treats each row alone

    def _network_parts(self):
        read = self.table_reader_, self.feature_encoder_, self.neighbors_
        if self._classify:
            return tabular_parts(self.model_, self.n_classes_, *read, classes=self.classes_)
        encoder = self.target_encoder_
        return tabular_parts(
            self.model_, self.n_outputs_, *read, scaler=encoder.scaler_, limits=encoder.range_
        )

    def _outputs(self, x, **args):
        try:
            if self.engine not in ("auto", "numpy") or asks_keras(**args):
                raise NotDense
            outputs = _fold_networks.predict(self._dense_network(), x)
        except NotDense:
            outputs = super()._outputs(x, **args)
        return outputs if self.neighbors_ is None else self.neighbors_.mix(outputs, x[:, 0])

    def _predict_raw(self, X, **kwargs):
        """Return the outputs, averaged over the folds."""
        return self._average(super()._predict_raw(X, **kwargs)[:, :, 0])


@partial(documented, texts=_TEXTS)
class TabularClassifier(_TabularMixin, KerasClassifierMixin, KerasEstimator):
    """Network that classifies the rows of a raw table, without tuning.

    Takes numbers, booleans, categories, text and missing values as they are, from pandas,
    polars or NumPy, and needs neither scaler nor encoder before it. It is an ensemble of small
    multilayer perceptrons, trained by cross-validation folds in one program.

    Parameters
    ----------
    {parameters}

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels, sorted.
    n_classes_ : int
        Their number.
    model_ : keras.Model
        The trained network. Its output has the shape ``(n_samples, n_folds_, 1, n_units)``:
        logarithms of the probabilities of the classes, for each fold.
    {attributes}

    See Also
    --------
    TabularRegressor : The same for numbers.
    DNNClassifier : A network whose layers and optimizer you choose.
    sklearn.ensemble.HistGradientBoostingClassifier : Gradient boosting, for the same tables.

    References
    ----------
    {references}

    Examples
    --------
    >>> import pandas as pd
    >>> from skdl import TabularClassifier
    >>> X = pd.DataFrame({"size": [1.0, 9.0, None, 8.0] * 15, "colour": ["red", "blue"] * 30})
    >>> y = ["apple", "plum"] * 30
    >>> clf = TabularClassifier(epochs=10, random_state=0).fit(X, y)
    >>> clf.predict(X[:2]).tolist()
    ['apple', 'plum']
    >>> clf.predict_proba(X[:1]).shape
    (1, 2)
    """

    _parameter_constraints: dict = {**_CONSTRAINTS, "class_weight": CLASS_WEIGHT}
    _classify = True

    def __init__(
        self,
        hidden_layer_sizes: _typing.Sizes = (128, 128, 128),
        *,
        n_members: int | Literal["auto"] = "auto",
        n_folds: int | Literal["auto"] = "auto",
        numeric_embedding: bool = True,
        neighbors: bool = True,
        dropout: float = 0.0,
        learning_rate: float = 0.015,
        weight_decay: float = 0.02,
        epochs: int | Literal["auto"] = "auto",
        batch_size: int | Literal["auto"] = "auto",
        early_stopping: bool = True,
        n_iter_no_change: int | Literal["auto"] = "auto",
        validation_split: float = 0.2,
        categorical_features: "_typing.ArrayLike | None" = "from_dtype",
        class_weight: "_typing.ClassWeight | None" = None,
        time_limit: float | None = None,
        engine: _typing.Engine = "auto",
        callbacks: "_typing.Callbacks | None" = None,
        verbose: _typing.Verbose = 0,
        random_state: _typing.RandomState | None = None,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.n_members = n_members
        self.n_folds = n_folds
        self.numeric_embedding = numeric_embedding
        self.neighbors = neighbors
        self.dropout = dropout
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.epochs = epochs
        self.batch_size = batch_size
        self.early_stopping = early_stopping
        self.n_iter_no_change = n_iter_no_change
        self.validation_split = validation_split
        self.categorical_features = categorical_features
        self.class_weight = class_weight
        self.time_limit = time_limit
        self.engine = engine
        self.callbacks = callbacks
        self.verbose = verbose
        self.random_state = random_state

    def _check_target(self, y):
        y = super()._check_target(y)
        if y.ndim > 1:
            raise ValueError(
                f"TabularClassifier takes one class for each row, but y has the shape {y.shape}. Give "
                "y.argmax(axis=1) for one-hot classes, or use DNNClassifier for several labels."
            )
        return y

    def _resolved_loss(self):
        return "sparse_categorical_crossentropy"

    def _constant_output(self, rows):
        """Return the logarithms of the shares of the classes, each counted as one row more."""
        shares = np.bincount(rows.y[:, 0].astype(int), weights=rows.weight, minlength=self.n_classes_) + 1.0
        return np.log(shares / shares.sum()).astype(np.float32)

    def _average(self, outputs):
        shares = np.exp(outputs.astype(np.float64)).mean(axis=1)
        return shares / shares.sum(axis=1, keepdims=True)


@partial(documented, texts=_TEXTS)
class TabularRegressor(_TabularMixin, KerasRegressorMixin, KerasEstimator):
    """Network that predicts numbers from the rows of a raw table, without tuning.

    Takes numbers, booleans, categories, text and missing values as they are, from pandas,
    polars or NumPy, and a target of any scale: one column or several. It is an ensemble of
    small multilayer perceptrons, trained by cross-validation folds in one program. Predictions
    stay in the range of the target of `fit`.

    Parameters
    ----------
    {parameters}

    Attributes
    ----------
    model_ : keras.Model
        The trained network. Its output has the shape ``(n_samples, n_folds_, 1, n_units)``:
        the standardised target, for each fold.
    {attributes}

    See Also
    --------
    TabularClassifier : The same for classes.
    DNNRegressor : A network whose layers and optimizer you choose.
    sklearn.ensemble.HistGradientBoostingRegressor : Gradient boosting, for the same tables.

    References
    ----------
    {references}

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from skdl import TabularRegressor
    >>> X, y = load_diabetes(return_X_y=True, as_frame=True)
    >>> reg = TabularRegressor(epochs=10, random_state=0).fit(X[:300], y[:300])
    >>> reg.score(X[300:], y[300:]) > 0.3
    True
    """

    _parameter_constraints: dict = _CONSTRAINTS
    _classify = False

    def __init__(
        self,
        hidden_layer_sizes: _typing.Sizes = (128, 128, 128),
        *,
        n_members: int | Literal["auto"] = "auto",
        n_folds: int | Literal["auto"] = "auto",
        numeric_embedding: bool = True,
        neighbors: bool = True,
        dropout: float = 0.0,
        learning_rate: float = 0.1,
        weight_decay: float = 0.02,
        epochs: int | Literal["auto"] = "auto",
        batch_size: int | Literal["auto"] = "auto",
        early_stopping: bool = True,
        n_iter_no_change: int | Literal["auto"] = "auto",
        validation_split: float = 0.2,
        categorical_features: "_typing.ArrayLike | None" = "from_dtype",
        time_limit: float | None = None,
        engine: _typing.Engine = "auto",
        callbacks: "_typing.Callbacks | None" = None,
        verbose: _typing.Verbose = 0,
        random_state: _typing.RandomState | None = None,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.n_members = n_members
        self.n_folds = n_folds
        self.numeric_embedding = numeric_embedding
        self.neighbors = neighbors
        self.dropout = dropout
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.epochs = epochs
        self.batch_size = batch_size
        self.early_stopping = early_stopping
        self.n_iter_no_change = n_iter_no_change
        self.validation_split = validation_split
        self.categorical_features = categorical_features
        self.time_limit = time_limit
        self.engine = engine
        self.callbacks = callbacks
        self.verbose = verbose
        self.random_state = random_state

    @property
    def target_encoder(self):
        """Transformer from ``y`` to what the network learns: numbers of mean 0 and variance 1."""
        return StandardizedTargetEncoder()

    def _constant_output(self, rows):
        return np.average(rows.y, axis=0, weights=rows.weight).astype(np.float32)

    def _average(self, outputs):
        return outputs.mean(axis=1)
