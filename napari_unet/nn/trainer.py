"""Weight updates: one step at a time, with a running mean of the weights and a way back from NaN."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.learning import Batch, Sampler
from napari_unet.nn.backend import backend_name, check_fork, keras, own_settings
from napari_unet.nn.losses import WeightedCrossEntropy, WeightedSoftmaxCrossEntropy

_KEEP_EVERY = 25
_AVERAGE_EVERY = 5
_GRADIENT_NORM = 1.0
_OPTIMIZERS = {
    "adam": lambda: keras.optimizers.Adam(1e-3, global_clipnorm=_GRADIENT_NORM),
    "sgd": lambda: keras.optimizers.SGD(1e-3, momentum=0.99, global_clipnorm=_GRADIENT_NORM),
}


def cosine_rate(peak: float, progress: float, warm_up: float) -> float:
    """Return the learning rate at ``progress`` (0 to 1): linear up to ``warm_up``, then a cosine to 0."""
    if progress < warm_up:
        return peak * max(progress, 1e-3) / warm_up
    rest = min((progress - warm_up) / max(1 - warm_up, 1e-9), 1.0)
    return peak * 0.5 * (1 + math.cos(math.pi * rest))


class Trainer:
    """Updates a network on a sampler's batches, the same way for the same network, sampler and rates."""

    def __init__(
        self, network: keras.Model, sampler: Sampler, *, average: float = 0.99, optimizer: str = "adam"
    ) -> None:
        self.network, self.step = network, 0
        self._sampler, self._momentum = sampler, average**_AVERAGE_EVERY
        softmax = network.layers[-1].activation is keras.activations.softmax
        loss = WeightedSoftmaxCrossEntropy() if softmax else WeightedCrossEntropy()
        with own_settings():
            network.compile(_OPTIMIZERS[optimizer](), loss=loss, jit_compile=backend_name() == "jax")
            network.optimizer.build(network.trainable_variables)
        self._average = network.get_weights()
        self._good = self._state()
        self._damping = 1.0
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="sampler")
        self._next = self._pool.submit(sampler.draw, 0)

    def close(self) -> None:
        """Stop drawing samples."""
        self._pool.shutdown(cancel_futures=True)

    def update(self, rate: float) -> float:
        """Make one weight update at learning ``rate`` and return the loss.

        After a loss that is not a number the last good state comes back, with half the rate from then on.
        """
        batch: Batch = self._next.result()
        self._next = self._pool.submit(self._sampler.draw, self.step + 1)
        self.network.optimizer.learning_rate.assign(rate * self._damping)
        check_fork()
        with own_settings():
            loss = float(np.asarray(self.network.train_on_batch(batch.inputs, batch.targets)))
        self.step += 1
        if not math.isfinite(loss):
            self._restore(self._good)
            self._damping /= 2
            return math.nan
        if self.step % _AVERAGE_EVERY == 0:
            self._update_average()
        if self.step % _KEEP_EVERY == 0 and all(np.isfinite(w).all() for w in self._average):
            self._good = self._state()
        return loss

    def _update_average(self) -> None:
        momentum = min(self._momentum, self.step / (self.step + 10 * _AVERAGE_EVERY))
        for mean, weight in zip(self._average, self.network.get_weights(), strict=True):
            mean *= momentum
            mean += (1 - momentum) * weight

    @contextmanager
    def averaged(self) -> Iterator[keras.Model]:
        """Lend the network with the running mean as its weights."""
        weights = self.network.get_weights()
        self.network.set_weights(self._average)
        try:
            yield self.network
        finally:
            self.network.set_weights(weights)

    def _state(self) -> dict[str, list[NDArray[np.generic]]]:
        variables = [np.copy(keras.ops.convert_to_numpy(v)) for v in self.network.optimizer.variables]
        return {
            "weights": self.network.get_weights(),
            "average": [mean.copy() for mean in self._average],
            "optimizer": variables,
        }

    def _restore(self, state: dict[str, list[NDArray[np.generic]]]) -> None:
        self.network.set_weights(state["weights"])
        self._average = [mean.copy() for mean in state["average"]]
        for variable, value in zip(self.network.optimizer.variables, state["optimizer"], strict=True):
            variable.assign(value)

    def save(self, path: Path) -> None:
        """Write the whole state of the training to ``path`` (.npz), all or nothing."""
        state = {f"{key}{i}": a for key, arrays in self._state().items() for i, a in enumerate(arrays)}
        state |= {"step": np.array(self.step), "damping": np.array(self._damping)}
        partial = path.with_suffix(".partial")
        with partial.open("wb") as file:
            np.savez(file, allow_pickle=False, **state)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)

    def resume(self, path: Path) -> None:
        """Go on from a state that ``save`` wrote."""
        with np.load(path) as saved:
            self.step, self._damping = int(saved["step"]), float(saved["damping"])
            counts = {key: len(arrays) for key, arrays in self._good.items()}
            self._good = {key: [saved[f"{key}{i}"] for i in range(n)] for key, n in counts.items()}
        self._restore(self._good)
        self._next = self._pool.submit(self._sampler.draw, self.step)
