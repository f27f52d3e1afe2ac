"""a network's weights and its input → log-odds, in plain NumPy.

Keras trains; this scores. A user is scored in about half a millisecond, where Keras takes a hundred to begin; nothing
is compiled, and in bulk it is faster.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
from threadpoolctl import threadpool_limits

Result = TypeVar("Result")
Weights = Mapping[str, np.ndarray]  # by Keras's paths, such as gru/gru_cell/kernel


@np.errstate(over="ignore", invalid="ignore")  # of a network that diverged; who asks sees it by what comes out
def forward(
    architecture: str, weights: Weights, inputs: np.ndarray | list[np.ndarray],
    asked: tuple[np.ndarray, np.ndarray] | None = None,
) -> np.ndarray:  # fmt: skip
    """Inputs as of the Keras graph (graphs.py), n of them → log-odds [n × targets].

    asked: of causal_gru, which lives and which days of theirs to answer for → [those × targets].
    """
    days, past = inputs if isinstance(inputs, list) else (inputs, None)
    by_day = np.ascontiguousarray(days.transpose(1, 0, 2))  # a day is what is computed at a time
    if architecture == "causal_gru":
        life, day = asked
        state = np.concatenate([_gru(weights, by_day)[day, life], days[life, day]], axis=1)
    elif architecture == "gru":
        state = _gru(weights, by_day)[-1]
    else:
        state = _bilstm(weights, _gru(weights, by_day) if architecture == "gru_bilstm" else by_day)
    return head(weights, state, past)


def head(weights: Weights, state: np.ndarray, past: np.ndarray | None) -> np.ndarray:
    """What the days left [n × units], and history → log-odds [n × targets]."""
    if past is not None:
        state = np.concatenate([state, _dense(weights, "history", past)], axis=1)
    return _linear(weights, "log_odds", _dense(weights, "dense", state))


_threads: int | None = None


def use_threads(threads: int) -> None:
    """How many threads scoring takes from now on; unless told, as many as this process may use cores."""
    global _threads
    _threads = threads


def in_blocks(work: Callable[[slice], Result], n: int, size: int) -> list[Result]:
    """What `work` makes of each block of `size` of n things, in order, on several threads."""
    blocks = [slice(start, min(start + size, n)) for start in range(0, n, size)]
    threads = min(len(blocks), _threads or _cores())
    if threads <= 1:
        return [work(block) for block in blocks]
    # A block on a core, not a product on all. The limit is the process's or, of some builds of BLAS, each thread's own.
    with (
        threadpool_limits(1, "blas"),
        ThreadPoolExecutor(threads, initializer=threadpool_limits, initargs=(1, "blas")) as pool,
    ):
        return list(pool.map(work, blocks))


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _gru(weights: Weights, x: np.ndarray) -> np.ndarray:
    """[days × n × channels] → states [days × n × units]; the GRU of Cho et al. 2014, reset after the product."""
    kernel, recurrent, (bias, after) = (weights[f"gru/gru_cell/{k}"] for k in ("kernel", "recurrent_kernel", "bias"))
    units = len(recurrent)
    told = x @ kernel
    told += bias
    states = np.empty((*x.shape[:2], units), dtype=np.float32)
    state = np.zeros((x.shape[1], units), dtype=np.float32)
    kept = np.empty_like(told[0])
    for day, now in enumerate(told):
        state = gru_step(now, state, recurrent, after, kept, states[day])
    return states


def gru_step(
    now: np.ndarray, state: np.ndarray, recurrent: np.ndarray, after: np.ndarray, kept: np.ndarray, out: np.ndarray
) -> np.ndarray:
    """A day's input times the kernel [n × 3 · units] and the state before it → the state after it, in `out`.

    `now` and `kept` (alike) are overwritten.
    """
    units = len(recurrent)
    np.matmul(state, recurrent, out=kept)
    kept += after
    gates, new = now[:, : 2 * units], now[:, 2 * units :]
    gates += kept[:, : 2 * units]
    _sigmoid(gates)
    kept[:, 2 * units :] *= gates[:, units:]
    new += kept[:, 2 * units :]
    np.tanh(new, out=new)
    state = np.subtract(state, new, out=out)
    state *= gates[:, :units]
    state += new
    return state


def _bilstm(weights: Weights, x: np.ndarray) -> np.ndarray:
    """[days × n × channels] → the last states of both directions [n × 2 · units]."""
    return np.concatenate([_lstm(weights, "forward_lstm", x), _lstm(weights, "backward_lstm", x[::-1])], axis=1)


def _lstm(weights: Weights, direction: str, x: np.ndarray) -> np.ndarray:
    """[days × n × channels] → the last state [n × units]; the LSTM of Gers, Schmidhuber and Cummins 2000."""
    path = f"bilstm/{direction}/lstm_cell"
    kernel, recurrent, bias = (weights[f"{path}/{k}"] for k in ("kernel", "recurrent_kernel", "bias"))
    units = len(recurrent)
    told = x @ kernel
    told += bias
    state, memory = (np.zeros((x.shape[1], units), dtype=np.float32) for _ in range(2))
    kept = np.empty_like(told[0])
    for now in told:
        lstm_step(now, state, memory, recurrent, kept)
    return state


def lstm_step(now: np.ndarray, state: np.ndarray, memory: np.ndarray, recurrent: np.ndarray, kept: np.ndarray) -> None:
    """A day's input times the kernel [n × 4 · units], state and memory before it → those after it, in place.

    `now` and `kept` (alike) are overwritten.
    """
    units = len(recurrent)
    now += np.matmul(state, recurrent, out=kept)
    let_in, keep, new, let_out = (now[:, k * units : (k + 1) * units] for k in range(4))
    _sigmoid(now[:, : 2 * units])
    _sigmoid(let_out)
    np.tanh(new, out=new)
    memory *= keep
    new *= let_in
    memory += new
    np.tanh(memory, out=state)
    state *= let_out


def _sigmoid(x: np.ndarray) -> None:
    """In place; by tanh, which NumPy computes several values at a time."""
    x *= 0.5
    np.tanh(x, out=x)
    x *= 0.5
    x += 0.5


def _linear(weights: Weights, name: str, x: np.ndarray) -> np.ndarray:
    return x @ weights[f"{name}/kernel"] + weights[f"{name}/bias"]


def _dense(weights: Weights, name: str, x: np.ndarray) -> np.ndarray:
    return np.maximum(_linear(weights, name, x), 0)
