"""The one module that may name TensorFlow: which backend runs, and how to run it fast.

All others take ``keras`` from here, so that it starts the right way. ``KERAS_BACKEND`` chooses another
backend.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from time import perf_counter

from napari_unet.core.base import InputError

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


@contextmanager
def _silence_start_up() -> Iterator[None]:
    """Keep from standard error what TensorFlow's C++ side says before its own log level counts."""
    sys.stderr.flush()
    try:
        kept = os.dup(2)
    except OSError:  # a windowed program on Windows has no standard error
        yield
        return
    with open(os.devnull, "wb") as nowhere:  # noqa: PTH123 - a device, not a path
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


@contextmanager
def _bind_symbols_apart() -> Iterator[None]:
    """Keep TensorFlow's copy of LLVM from those of OpenGL drivers.

    TensorFlow's wheels export it to the whole process. Mesa's software renderer brings another one, and
    whichever comes second calls into the first and crashes: napari's window and TensorFlow in one process,
    as in napari's console, would not survive each other.
    """
    if not hasattr(os, "RTLD_DEEPBIND") or "tensorflow" in sys.modules:
        yield
        return
    sys.modules.setdefault("tensorflow.python.pywrap_dlopen_global_flags", None)  # type: ignore[arg-type]
    flags = sys.getdlopenflags()
    sys.setdlopenflags(os.RTLD_NOW | os.RTLD_DEEPBIND)
    try:
        yield
    finally:
        sys.setdlopenflags(flags)


def _explain_missing(error: Exception) -> InputError:
    asked = os.environ["KERAS_BACKEND"]
    return InputError(
        f"KERAS_BACKEND asks for {asked!r}, which is not installed here ({error}): install it, or set "
        "KERAS_BACKEND to tensorflow."
    )


with _silence_start_up():
    if os.environ["KERAS_BACKEND"] == "tensorflow":
        with _bind_symbols_apart():
            import tensorflow as tf
        tf.config.list_physical_devices("GPU")
        tf.zeros(())
    try:
        import keras as keras
    except (ImportError, ValueError) as error:
        if os.environ["KERAS_BACKEND"] == "tensorflow":
            raise
        raise _explain_missing(error) from error

import numpy as np  # noqa: E402
from numpy.typing import NDArray  # noqa: E402

Forward = Callable[[NDArray[np.float32]], NDArray[np.float32]]

_forked: list[bool] = []
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=lambda: _forked.append(True))


def check_fork() -> None:
    """Raise InputError in a process that was forked from one with a network, where it would wait for ever."""
    if _forked:
        raise InputError(
            "A network cannot be used in a forked process: start processes with multiprocessing's 'spawn'."
        )


@contextmanager
def own_settings() -> Iterator[None]:
    """Put Keras' global settings to what our networks are made for, and back to the user's own afterwards."""
    config = keras.config
    layout, number, policy = config.image_data_format(), config.floatx(), config.dtype_policy()
    config.set_image_data_format("channels_last")
    config.set_floatx("float32")
    config.set_dtype_policy("float32")
    try:
        yield
    finally:
        config.set_image_data_format(layout)
        config.set_floatx(number)
        config.set_dtype_policy(policy)


_ONEDNN_OUT_OF_MEMORY = "Status: 1,"
_BFLOAT16_FLAGS = {"amx_bf16", "avx512_bf16"}


def backend_name() -> str:
    """Return the name of the Keras backend in use."""
    return str(keras.backend.backend())


def has_gpu() -> bool:
    """Return whether the backend sees an accelerator."""
    if backend_name() == "tensorflow":
        return bool(tf.config.list_physical_devices("GPU"))
    if backend_name() == "torch":  # whose devices Keras does not list
        import torch

        return bool(torch.cuda.is_available())
    return any("cpu" not in device.lower() for device in keras.distribution.list_devices())


_chosen_policies: list[str] = []


def use_policy(policy: str) -> None:
    """Give networks that are built or loaded from now on a dtype policy, or the one that is "fastest"."""
    _chosen_policies[:] = [] if policy == "fastest" else [policy]


def fast_policy() -> str:
    """Return the dtype policy that runs fastest here, or the one that was chosen."""
    return _chosen_policies[0] if _chosen_policies else _find_fast_policy()


@cache
def _find_fast_policy() -> str:
    """Return ``mixed_bfloat16`` or ``float32``.

    On a CPU bfloat16 pays only with instructions for it. Linux lists them; elsewhere a convolution is timed
    both ways. JAX has no fast bfloat16 convolution on CPUs.
    """
    if has_gpu():
        return "mixed_bfloat16"
    if backend_name() == "jax":
        return "float32"
    cpu_info = Path("/proc/cpuinfo")
    if cpu_info.exists():
        flags = next((line for line in cpu_info.read_text().splitlines() if line.startswith("flags")), "")
        return "mixed_bfloat16" if _BFLOAT16_FLAGS & set(flags.split()) else "float32"
    seconds = {policy: _time_convolution(policy) for policy in ("mixed_bfloat16", "float32")}
    return min(seconds, key=lambda policy: seconds[policy])


def _time_convolution(policy: str) -> float:
    layer = keras.layers.Conv2D(32, 3, padding="same", dtype=policy)
    inputs = keras.Input((128, 128, 32))
    forward = compile_forward(keras.Model(inputs, layer(inputs)))
    tile = np.zeros((1, 128, 128, 32), np.float32)
    forward(tile)
    start = perf_counter()
    for _ in range(3):
        forward(tile)
    return perf_counter() - start


_COMPILED = "_napari_unet_forward"


def compile_forward(network: keras.Model) -> Forward:
    """Return a function from a float32 batch (B, Y, X, C) to the network's float32 output.

    Under TensorFlow this is one traced function for all tile shapes, about half the cost of ``predict``, and
    a batch for which there is not enough memory raises MemoryError. A network is compiled once, whatever its
    weights become.
    """
    kept = vars(network)  # past Keras, which would look for layers in it; ends with the network
    if _COMPILED not in kept:
        kept[_COMPILED] = _compile(network)
    forward: Forward = kept[_COMPILED]
    return forward


def _compile(network: keras.Model) -> Forward:
    if backend_name() == "tensorflow":
        signature = [tf.TensorSpec((None, None, None, network.input_shape[-1]), tf.float32)]
        with own_settings():
            traced = tf.function(lambda batch: network(batch, training=False), input_signature=signature)
            traced.get_concrete_function()

        def forward_traced(batch: NDArray[np.float32]) -> NDArray[np.float32]:
            check_fork()
            try:
                return np.asarray(traced(tf.constant(batch)), np.float32)
            except (tf.errors.ResourceExhaustedError, tf.errors.AbortedError) as error:
                if isinstance(error, tf.errors.AbortedError) and _ONEDNN_OUT_OF_MEMORY not in str(error):
                    raise
                raise MemoryError("not enough memory for the network") from error

        return forward_traced

    def forward(batch: NDArray[np.float32]) -> NDArray[np.float32]:
        check_fork()
        with own_settings():
            return np.asarray(keras.ops.convert_to_numpy(network.predict_on_batch(batch)), np.float32)

    return forward
