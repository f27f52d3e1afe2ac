"""hyperparameters and shapes → a compiled Keras graph, whose values are set, and averaged, without compiling again.

Written for Keras 3: the same code runs on TensorFlow and on JAX (KERAS_BACKEND).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import keras

WINDOW_ARCHITECTURES = ("gru", "bilstm", "gru_bilstm")
ARCHITECTURES = (*WINDOW_ARCHITECTURES, "causal_gru")
_UNROLLED_DAYS = 14  # up to which a graph without a loop over days compiles no longer, and trains a little faster
# Of the moving average of the weights: about the last hundred updates count.
_MEMORY = 0.99


@dataclass(frozen=True)
class Hyperparameters:
    """What the experiment and the search choose.

    batch_size: in windows (see causal.py for lives). learning_rate: of Adam. input_dropout: share of the inputs that a
    training step does without, the same ones on all days.
    """

    architecture: str = "gru"
    scaling: str = "log1p_standard"
    units: int = 64
    history_units: int = 32
    dense_units: int = 32
    dropout: float = 0.2
    input_dropout: float = 0.0
    learning_rate: float = 6e-3
    batch_size: int = 512


@dataclass(frozen=True)
class Shape:
    """Of the inputs: days, channels of a day, columns of history (0: none); and how many targets come out."""

    days: int
    daily: int
    history: int
    targets: int


class Graph:
    """A compiled network that any fit of the same structure may begin anew."""

    def __init__(self, structure: Hyperparameters, shape: Shape) -> None:
        import keras

        self._structure, self._shape = structure, shape
        self.model = _model(structure, shape)
        optimizer = keras.optimizers.Adam(1e-3, clipnorm=1.0)
        # XLA takes longer to compile a long loop over days than it saves
        on_tensorflow = keras.backend.backend() == "tensorflow"
        self.model.compile(optimizer, _known_log_loss, jit_compile=False if on_tensorflow else "auto")
        optimizer.build(self.model.trainable_variables)
        self._optimizer_at_birth = [_array(v) for v in optimizer.variables]

    def begin(self, hyperparameters: Hyperparameters, seed: int) -> None:
        """Give the network the values that it is born with under this seed: weights, dropout's random state, the
        optimizer's state; and its rates."""
        import keras

        keras.utils.set_random_seed(seed)
        born = _model(self._structure, self._shape)
        _assign(self.model.variables, [_array(v) for v in born.variables])
        _assign(self.model.optimizer.variables, self._optimizer_at_birth)
        self.model.optimizer.learning_rate = hyperparameters.learning_rate
        for layer in self.model.layers:
            if layer.name.startswith("drop"):
                layer.rate.assign(hyperparameters.input_dropout if "input" in layer.name else hyperparameters.dropout)


class Averaged:
    """The moving average of a network's weights over its updates (Polyak and Juditsky 1992), which moves less from
    epoch to epoch, and is better, than the weights themselves."""

    def __init__(self, model: keras.Model) -> None:
        self._model = model
        self._updates = 0
        self.weights = [_array(v) for v in model.trainable_variables]

    def update(self) -> None:
        """After each training step. Early on the average forgets faster, so that it is not held back by birth."""
        self._updates += 1
        memory = min(_MEMORY, (1 + self._updates) / (10 + self._updates))
        for average, variable in zip(self.weights, self._model.trainable_variables, strict=True):
            average *= memory
            average += (1 - memory) * _array(variable)

    def by_path(self) -> dict[str, np.ndarray]:
        """→ a copy of the average by Keras's paths, such as gru/gru_cell/kernel."""
        return {v.path: w.copy() for v, w in zip(self._model.trainable_variables, self.weights, strict=True)}

    def is_finite(self) -> bool:
        """False once training has diverged."""
        return all(np.isfinite(weights).all() for weights in self.weights)


def graph(hyperparameters: Hyperparameters, shape: Shape) -> Graph:
    """Compiling takes longer than an epoch, so one graph serves every fit of the same structure: seed, scaling, rates
    and batch size do not enter it."""
    h = hyperparameters
    structure = Hyperparameters(h.architecture, units=h.units, history_units=h.history_units, dense_units=h.dense_units)
    return _compiled(structure, shape)


@lru_cache(maxsize=4)
def _compiled(structure: Hyperparameters, shape: Shape) -> Graph:
    return Graph(structure, shape)


def _model(h: Hyperparameters, shape: Shape) -> keras.Model:
    return _causal(h, shape) if h.architecture == "causal_gru" else _windowed(h, shape)


def _windowed(h: Hyperparameters, shape: Shape) -> keras.Model:
    """[days × daily] (and history) → log-odds [targets]."""
    import keras
    from keras import layers

    window = keras.Input((shape.days, shape.daily))
    inputs = [window]
    dropout = _dropout_layer()
    days = dropout("drop_input_days", whole_days=True)(window)
    unroll = shape.days <= _UNROLLED_DAYS

    def gru(x: Any, every_day: bool) -> Any:
        return layers.GRU(h.units, return_sequences=every_day, unroll=unroll, name="gru")(x)

    def bilstm(x: Any) -> Any:
        return layers.Bidirectional(layers.LSTM(h.units, unroll=unroll, name="lstm"), name="bilstm")(x)

    if h.architecture == "gru":
        state = gru(days, every_day=False)
    else:
        state = bilstm(gru(days, every_day=True) if h.architecture == "gru_bilstm" else days)
    if shape.history:
        past = keras.Input((shape.history,))
        inputs.append(past)
        known = dropout("drop_input_history")(past)
        state = layers.Concatenate()([state, layers.Dense(h.history_units, activation="relu", name="history")(known)])
    state = dropout("drop_state")(state)
    state = layers.Dense(h.dense_units, activation="relu", name="dense")(state)
    # one input is given as it is, several as a list
    inputs = inputs if shape.history else window
    return keras.Model(inputs, layers.Dense(shape.targets, name="log_odds")(dropout("drop_dense")(state)))


def _causal(h: Hyperparameters, shape: Shape) -> keras.Model:
    """[days × daily] → log-odds [days × targets]; what comes out for a day has seen that day and those before it."""
    import keras
    from keras import layers

    life = keras.Input((shape.days, shape.daily))
    dropout = _dropout_layer()
    days = dropout("drop_input_days", whole_days=True)(life)
    state = layers.GRU(h.units, return_sequences=True, name="gru")(days)
    state = layers.Concatenate()([state, dropout("drop_days")(days)])
    state = layers.Dense(2 * h.dense_units, activation="relu", name="dense")(state)
    return keras.Model(life, layers.Dense(shape.targets, name="log_odds")(dropout("drop_dense")(state)))


@lru_cache(maxsize=1)
def _dropout_layer() -> type[keras.layers.Layer]:
    """→ dropout whose rate is a variable, so that another rate needs no other graph."""
    import keras
    from keras import ops

    class Dropout(keras.layers.Layer):
        """whole_days: an input is dropped on all days or on none."""

        def __init__(self, name: str, whole_days: bool = False) -> None:
            super().__init__(name=name)
            self._whole_days = whole_days
            self._random = keras.random.SeedGenerator()
            self.rate = self.add_weight(shape=(), initializer="zeros", trainable=False, name="rate")

        def call(self, x: Any, training: bool = False) -> Any:
            if not training:
                return x
            shape = ops.shape(x)
            drawn = (shape[0], 1, shape[2]) if self._whole_days else shape
            kept = keras.random.uniform(drawn, dtype=x.dtype, seed=self._random) >= self.rate
            return x * ops.cast(kept, x.dtype) / (1 - self.rate)

        def compute_output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
            return shape

    return Dropout


def _known_log_loss(y: Any, log_odds: Any) -> Any:
    """Binary log loss [... × targets] where the label is known (y ≥ 0), in proportion to how many of the batch are."""
    from keras import ops

    known = ops.cast(y >= 0, log_odds.dtype)
    loss = ops.maximum(log_odds, 0.0) - log_odds * y + ops.log1p(ops.exp(-ops.abs(log_odds)))
    return ops.where(y >= 0, loss, 0.0) / (ops.mean(known) + 1e-6)


def _assign(variables: Sequence[Any], values: Sequence[np.ndarray]) -> None:
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def _array(variable: Any) -> np.ndarray:
    value = variable.value  # of TensorFlow or of JAX; Keras's own way to NumPy warns under NumPy 2
    return np.array(value.numpy() if hasattr(value, "numpy") else value)
