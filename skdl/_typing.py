"""Types of the public signatures, for type checkers and editors."""

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias, TypedDict

import numpy as np

if TYPE_CHECKING:
    import keras

# Arrays, sparse matrices, DataFrames of any library, nested lists: what scikit-learn takes.
MatrixLike: TypeAlias = Any
ArrayLike: TypeAlias = Any

Model: TypeAlias = "Callable[..., Any] | keras.Model"
Optimizer: TypeAlias = "str | keras.optimizers.Optimizer | type[keras.optimizers.Optimizer]"
LearningRate: TypeAlias = "float | keras.optimizers.schedules.LearningRateSchedule"
Loss: TypeAlias = "str | Callable[..., Any] | keras.losses.Loss"
Losses: TypeAlias = "Loss | list[Loss] | Mapping[str, Loss]"
Metric: TypeAlias = "str | Callable[..., Any] | keras.metrics.Metric"
Metrics: TypeAlias = "Metric | Iterable[Any] | Mapping[str, Any]"
Callback: TypeAlias = "keras.callbacks.Callback | type[keras.callbacks.Callback]"
Callbacks: TypeAlias = "Callback | Iterable[Callback] | Mapping[str, Callback]"
ClassWeight: TypeAlias = "Mapping[Any, float] | list[Mapping[Any, float]] | Literal['balanced']"
Sizes: TypeAlias = int | Iterable[int]
RandomState: TypeAlias = int | np.random.RandomState
Engine: TypeAlias = Literal["auto", "numpy", "compiled", "keras"]
Scoring: TypeAlias = str | Callable[..., float]
Verbose: TypeAlias = int | Literal["auto"]


class Splitter(Protocol):
    """What divides rows, as scikit-learn's splitters do."""

    def split(self, X: Any, y: Any = None, groups: Any = None) -> Any:
        """Return pairs of positions of the rows to train on and of those to validate on."""

    def get_n_splits(self, *args: Any, **kwargs: Any) -> Any:
        """Return the number of these pairs."""


class FitArguments(TypedDict, total=False):
    """Further arguments of `fit`: those of ``keras.Model.fit``."""

    batch_size: Any
    callbacks: Any
    class_weight: Any
    epochs: Any
    initial_epoch: Any
    shuffle: Any
    steps_per_epoch: Any
    validation_batch_size: Any
    validation_data: Any
    validation_freq: Any
    validation_split: Any
    validation_steps: Any
    verbose: Any


class PredictArguments(TypedDict, total=False):
    """Further arguments of `predict`: those of ``keras.Model.predict``."""

    batch_size: Any
    callbacks: Any
    steps: Any
    verbose: Any


class RoutedParams(TypedDict, total=False):
    """Routed parameters of the ready-made estimators.

    A type checker can't know the names of a user's own classes: those of Keras's classes
    are here, and ``set_params`` takes all others. A test compares them with Keras.
    """

    optimizer__adam_beta_1: Any
    optimizer__adam_beta_2: Any
    optimizer__adam_lr_ratio: Any
    optimizer__adam_weight_decay: Any
    optimizer__amsgrad: Any
    optimizer__beta: Any
    optimizer__beta_1: Any
    optimizer__beta_2: Any
    optimizer__beta_2_decay: Any
    optimizer__centered: Any
    optimizer__clip_threshold: Any
    optimizer__clipnorm: Any
    optimizer__clipvalue: Any
    optimizer__dynamic_growth_steps: Any
    optimizer__ema_momentum: Any
    optimizer__ema_overwrite_frequency: Any
    optimizer__epsilon: Any
    optimizer__epsilon_1: Any
    optimizer__epsilon_2: Any
    optimizer__exclude_embeddings: Any
    optimizer__exclude_layers: Any
    optimizer__global_clipnorm: Any
    optimizer__gradient_accumulation_steps: Any
    optimizer__initial_accumulator_value: Any
    optimizer__initial_scale: Any
    optimizer__inner_optimizer: Any
    optimizer__l1_regularization_strength: Any
    optimizer__l2_regularization_strength: Any
    optimizer__l2_shrinkage_regularization_strength: Any
    optimizer__learning_rate: Any
    optimizer__learning_rate_power: Any
    optimizer__loss_scale_factor: Any
    optimizer__momentum: Any
    optimizer__muon_a: Any
    optimizer__muon_b: Any
    optimizer__muon_c: Any
    optimizer__name: Any
    optimizer__nesterov: Any
    optimizer__ns_steps: Any
    optimizer__optimizer_map: Any
    optimizer__relative_step: Any
    optimizer__rho: Any
    optimizer__rms_rate: Any
    optimizer__use_ema: Any
    optimizer__warmup_steps: Any
    optimizer__weight_decay: Any
    loss__alpha: Any
    loss__apply_class_balancing: Any
    loss__axis: Any
    loss__beta: Any
    loss__delta: Any
    loss__dtype: Any
    loss__fn: Any
    loss__from_logits: Any
    loss__gamma: Any
    loss__ignore_class: Any
    loss__label_smoothing: Any
    loss__margin: Any
    loss__name: Any
    loss__q: Any
    loss__reduction: Any
    loss__remove_diagonal: Any
    metrics__average: Any
    metrics__axis: Any
    metrics__beta: Any
    metrics__class_aggregation: Any
    metrics__class_id: Any
    metrics__confusion_matrix_cond: Any
    metrics__curve: Any
    metrics__dtype: Any
    metrics__fn: Any
    metrics__from_logits: Any
    metrics__from_sorted_ids: Any
    metrics__ignore_class: Any
    metrics__k: Any
    metrics__label_smoothing: Any
    metrics__label_weights: Any
    metrics__multi_label: Any
    metrics__name: Any
    metrics__num_classes: Any
    metrics__num_labels: Any
    metrics__num_regressors: Any
    metrics__num_thresholds: Any
    metrics__precision: Any
    metrics__recall: Any
    metrics__sensitivity: Any
    metrics__sparse_y_pred: Any
    metrics__sparse_y_true: Any
    metrics__specificity: Any
    metrics__summation_method: Any
    metrics__target_class_ids: Any
    metrics__threshold: Any
    metrics__thresholds: Any
    metrics__top_k: Any
    metrics__value: Any
    callbacks__add_history: Any
    callbacks__add_progbar: Any
    callbacks__append: Any
    callbacks__backup_dir: Any
    callbacks__baseline: Any
    callbacks__callbacks: Any
    callbacks__cooldown: Any
    callbacks__delete_checkpoint: Any
    callbacks__directory: Any
    callbacks__double_checkpoint: Any
    callbacks__embeddings_freq: Any
    callbacks__embeddings_metadata: Any
    callbacks__factor: Any
    callbacks__field: Any
    callbacks__filename: Any
    callbacks__filepath: Any
    callbacks__headers: Any
    callbacks__histogram_freq: Any
    callbacks__initial_value_threshold: Any
    callbacks__log_dir: Any
    callbacks__max_to_keep: Any
    callbacks__min_delta: Any
    callbacks__min_lr: Any
    callbacks__mode: Any
    callbacks__model: Any
    callbacks__monitor: Any
    callbacks__on_epoch_begin: Any
    callbacks__on_epoch_end: Any
    callbacks__on_train_batch_begin: Any
    callbacks__on_train_batch_end: Any
    callbacks__on_train_begin: Any
    callbacks__on_train_end: Any
    callbacks__path: Any
    callbacks__patience: Any
    callbacks__profile_batch: Any
    callbacks__raise_error: Any
    callbacks__restore_best_weights: Any
    callbacks__root: Any
    callbacks__save_best_only: Any
    callbacks__save_freq: Any
    callbacks__save_on_background: Any
    callbacks__save_weights_only: Any
    callbacks__schedule: Any
    callbacks__send_as_json: Any
    callbacks__separator: Any
    callbacks__start_from_epoch: Any
    callbacks__swap_on_epoch: Any
    callbacks__update_freq: Any
    callbacks__verbose: Any
    callbacks__write_graph: Any
    callbacks__write_images: Any
    callbacks__write_steps_per_second: Any
    fit__batch_size: Any
    fit__callbacks: Any
    fit__epochs: Any
    fit__initial_epoch: Any
    fit__shuffle: Any
    fit__steps_per_epoch: Any
    fit__validation_batch_size: Any
    fit__validation_data: Any
    fit__validation_freq: Any
    fit__validation_split: Any
    fit__validation_steps: Any
    fit__verbose: Any
    predict__batch_size: Any
    predict__callbacks: Any
    predict__steps: Any
    predict__verbose: Any
    score__force_finite: Any
    score__multioutput: Any
    score__normalize: Any
