"""a file of a saved model → its text, its values, a network's weights: plain data within limits, never code.

A file is looked at before it is read: how large it says that it is, which arrays it holds and of what shape. What is
not exactly what the model must have is refused, so that no file decides how much memory is taken; none is unpickled.
"""

from __future__ import annotations

import json
import math
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tschurn.models.graphs import ARCHITECTURES, Hyperparameters, Shape

MOST_BYTES = 256 << 20  # of a file, and of a network's weights together
_MOST_UNITS = 65_536
_LARGEST = 1e30
_HEADER = 1024  # bytes before an array in its file, at most
Shapes = dict[str, tuple[int, ...]]


def read_text(path: Path) -> str:
    """A file → its text. Raises OSError or ValueError: no plain file, too large, not UTF-8."""
    if not path.is_file():
        raise ValueError(f"{path.name} is missing or no plain file")
    if (size := path.stat().st_size) > MOST_BYTES:
        raise ValueError(f"{path.name} has {size:,} bytes, at most {MOST_BYTES:,} are read")
    return path.read_text(encoding="utf-8")


def read_note(path: Path) -> dict[str, Any]:
    """A JSON file → its object. Raises OSError or ValueError."""
    found = json.loads(read_text(path))
    if not isinstance(found, dict):
        raise ValueError(f"{path.name} holds no object")
    return found


def finite(values: Any) -> np.ndarray:
    """A list of numbers → a vector [n], float64. Raises ValueError where one is none, not a number, or beyond all that
    a model can have learned."""
    found = np.array(values, dtype=np.float64)
    if found.ndim != 1 or not (np.abs(found) <= _LARGEST).all():
        raise ValueError(f"expected a list of numbers up to {_LARGEST:g}")
    return found


def whole(value: Any, least: int, most: int) -> int:
    """A value → the same, if it is an integer from `least` to `most`. Raises ValueError."""
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise ValueError(f"expected an integer from {least} to {most}, found {str(value)[:40]}")
    return value


def network_of(note: Mapping[str, Any]) -> tuple[Hyperparameters, Shape]:
    """A network's note → its hyperparameters and shape. Raises ValueError, KeyError or TypeError."""
    h, shape = Hyperparameters(**note["hyperparameters"]), Shape(**note["shape"])
    if h.architecture not in ARCHITECTURES:
        raise ValueError(f"{str(h.architecture)[:40]!r} is no architecture")
    for size in (h.units, h.history_units, h.dense_units, h.batch_size, shape.days, shape.daily, shape.targets):
        whole(size, 1, _MOST_UNITS)
    whole(shape.history, 0, _MOST_UNITS)
    finite([h.dropout, h.input_dropout, h.learning_rate])
    return h, shape


def weight_shapes(h: Hyperparameters, shape: Shape) -> Shapes:
    """→ the arrays of a network of graphs.py by Keras's paths, and what shape each has."""
    units, dense = h.units, h.dense_units
    has_gru, has_lstm = h.architecture != "bilstm", "bilstm" in h.architecture
    found: Shapes = {}
    if has_gru:
        found |= _cell("gru/gru_cell", shape.daily, units, 3) | {"gru/gru_cell/bias": (2, 3 * units)}
    for direction in ("forward_lstm", "backward_lstm") if has_lstm else ():
        found |= _cell(f"bilstm/{direction}/lstm_cell", units if has_gru else shape.daily, units, 4)
    state = 2 * units if has_lstm else units
    if h.architecture == "causal_gru":
        state, dense = state + shape.daily, 2 * dense
    elif shape.history:
        state += h.history_units
        found |= _layer("history", shape.history, h.history_units)
    return found | _layer("dense", state, dense) | _layer("log_odds", dense, shape.targets)


def _cell(path: str, inputs: int, units: int, gates: int) -> Shapes:
    return {f"{path}/kernel": (inputs, gates * units), f"{path}/recurrent_kernel": (units, gates * units),
            f"{path}/bias": (gates * units,)}  # fmt: skip


def _layer(name: str, inputs: int, outputs: int) -> Shapes:
    return {f"{name}/kernel": (inputs, outputs), f"{name}/bias": (outputs,)}


def read_weights(path: Path, shapes: Shapes) -> dict[str, np.ndarray]:
    """A file of `np.savez` → its arrays, float32, which must be these and no others.

    Raises OSError, ValueError or zipfile.BadZipFile.
    """
    if not path.is_file():
        raise ValueError(f"{path.name} is missing or no plain file")
    if (bytes_ := 4 * sum(math.prod(shape) for shape in shapes.values())) > MOST_BYTES:
        raise ValueError(f"a network of {bytes_:,} bytes, at most {MOST_BYTES:,} are read")
    with zipfile.ZipFile(path) as archive:
        if sorted(archive.namelist()) != sorted(f"{name}.npy" for name in shapes):
            raise ValueError(f"{path.name} holds other arrays than such a network has")
        return {name: _array(archive, f"{name}.npy", shape) for name, shape in shapes.items()}


def _array(archive: zipfile.ZipFile, name: str, shape: tuple[int, ...]) -> np.ndarray:
    size = 4 * math.prod(shape)
    if archive.getinfo(name).file_size > size + _HEADER:
        raise ValueError(f"{name} is larger than {shape} of 32-bit numbers")
    with archive.open(name) as file:
        if np.lib.format.read_magic(file) != (1, 0):
            raise ValueError(f"{name} is no array of numbers")
        found, by_column, dtype = np.lib.format.read_array_header_1_0(file)
        if found != shape or dtype != np.float32:
            raise ValueError(f"{name} is {dtype} of shape {found}, expected float32 of {shape}")
        values = np.frombuffer(file.read(size), np.float32)
    if values.size != math.prod(shape) or not np.isfinite(values).all():
        raise ValueError(f"{name} holds too few numbers, or some that are none")
    return values.reshape(shape, order="F" if by_column else "C").copy()
