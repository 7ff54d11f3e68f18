"""A network in ONNX, for programs without Keras, and the proof that it computes the same there."""

from __future__ import annotations

import contextlib
import io
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_unet.core.base import InputError

if TYPE_CHECKING:
    from napari_unet.nn.backend import keras

TOLERANCE = 1e-3
"""Largest difference of an output map, which is 0 to 1, that is the same for a user."""
_MISSING = (
    "ONNX needs the packages onnx, tf2onnx and onnxruntime: install them with pip install "
    "'napari-unet[exchange]'."
)


def encode_onnx(network: keras.Model, tiles: npt.NDArray[np.float32]) -> tuple[bytes, int]:
    """Return a network as the content of an ONNX file, for images of any size, and its opset's version.

    Inputs and outputs are those of the network: (batch, Y, X, channels), float32. It is run by onnxruntime on
    `tiles`, and refused where any map differs by more than `TOLERANCE`. Raises InputError for that, and where
    packages are missing.
    """
    try:
        import onnx
        import onnxruntime
        import tf2onnx  # noqa: F401 - what Keras exports with
    except ImportError as error:
        raise InputError(_MISSING) from error
    expected = np.asarray(network(tiles))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.onnx")
        # Keras says where it has written it, and asks NumPy for a name that is to mean something else.
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            network.export(path, format="onnx", verbose=False)
        content = path.read_bytes()
    found = _run(onnxruntime, content, tiles)
    difference = float(np.abs(found - expected).max())
    if not difference <= TOLERANCE:
        raise InputError(
            f"The model does not compute the same in ONNX (maps differ by {difference:.2g}): share its "
            ".keras file instead."
        )
    return content, max(entry.version for entry in onnx.load_from_string(content).opset_import)


def _run(onnxruntime: Any, content: bytes, tiles: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {session.get_inputs()[0].name: tiles})[0])
