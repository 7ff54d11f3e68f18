"""The U-Net of Ronneberger, Fischer and Brox (2015).

``build_unet(input_shape)`` is the reference network; its options reach the paper's unpadded network and
all others. The order of the functions is the order of the data: down, across, up.
"""

from __future__ import annotations

from typing import Any, Literal

from napari_unet.core.params import NetworkParams
from napari_unet.nn.backend import keras

layers = keras.layers

Options = dict[str, Any]


def conv_blocks(x: keras.KerasTensor, filters: int, name: str, options: Options) -> keras.KerasTensor:
    """Apply two 3x3 convolutions, each followed by a ReLU."""
    for index in (1, 2):
        x = layers.Conv2D(filters, 3, activation="relu", name=f"{name}_conv{index}", **options)(x)
    return x


def contracting_block(
    x: keras.KerasTensor, filters: int, name: str, options: Options
) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    """Return the features of this level and the same halved by 2x2 max-pooling."""
    features = conv_blocks(x, filters, name, options)
    return features, layers.MaxPooling2D(2, name=f"{name}_pool", dtype=options["dtype"])(features)


def expanding_block(
    x: keras.KerasTensor, skip: keras.KerasTensor, filters: int, crop: int, name: str, options: Options
) -> keras.KerasTensor:
    """Double ``x`` by a 2x2 transposed convolution, join the skip (cropped per side), convolve twice."""
    up = layers.Conv2DTranspose(
        filters,
        2,
        strides=2,
        name=f"{name}_up",
        dtype=options["dtype"],
        kernel_initializer=options["kernel_initializer"],
    )(x)
    if crop:
        skip = layers.Cropping2D(crop, name=f"{name}_crop", dtype=options["dtype"])(skip)
    joined = layers.Concatenate(name=f"{name}_join", dtype=options["dtype"])([up, skip])
    return conv_blocks(joined, filters, name, options)


def build_unet(
    input_shape: tuple[int | None, int | None, int],
    *,
    filters: int = 64,
    depth: int = 4,
    classes: int = 1,
    padding: Literal["same", "valid"] = "same",
    activation: Literal["sigmoid", "softmax"] = "sigmoid",
    dropout: float = 0.0,
    initializer: Literal["glorot_uniform", "he_normal"] = "glorot_uniform",
    max_filters: int | None = None,
    dtype: str | None = None,
) -> keras.Model:
    """Build a U-Net named ``unet`` for images of ``input_shape`` (Y, X, channels).

    The defaults give 31,031,745 parameters for (512, 512, 3). Y and X may be None; with ``padding="same"``
    they must be multiples of 2^depth, with ``"valid"`` (the paper's) every pooled size must be even and the
    output is smaller: 572 gives 388 at depth 4. ``dtype`` is a Keras dtype policy for the body; the head
    is always float32. Raises pydantic's ValidationError (a ValueError) for options out of range and
    ValueError for sizes that do not pool evenly.
    """
    params = NetworkParams(
        channels=input_shape[-1],
        filters=filters,
        max_filters=max_filters,
        depth=depth,
        classes=classes,
        padding=padding,
        activation=activation,
        dropout=dropout,
        initializer=initializer,
    )
    return build_network(params, input_shape[:2], dtype=dtype)


def build_network(
    params: NetworkParams,
    shape: tuple[int | None, int | None] = (None, None),
    *,
    dtype: str | None = None,
) -> keras.Model:
    """Build the U-Net described by ``params`` for images of ``shape`` (Y, X); None means any size."""
    for side in shape:
        if side is not None:
            output_side(params, side)
    options = {"padding": params.padding, "kernel_initializer": params.initializer, "dtype": dtype}
    inputs = x = keras.Input((*shape, params.channels))
    skips = []
    *contracting, bottleneck = params.level_filters
    for level, width in enumerate(contracting, start=1):
        skip, x = contracting_block(x, width, f"down{level}", options)
        skips.append(skip)
    x = conv_blocks(x, bottleneck, "bottleneck", options)
    if params.dropout:
        x = layers.Dropout(params.dropout, name="dropout", dtype=dtype)(x)
    crops = skip_crops(params)
    for level in range(params.depth, 0, -1):
        x = expanding_block(
            x, skips[level - 1], contracting[level - 1], crops[level - 1], f"up{level}", options
        )
    head = layers.Conv2D(params.classes, 1, activation=params.activation, dtype="float32", name="maps")
    return keras.Model(inputs, head(x), name="unet")


def skip_crops(params: NetworkParams) -> tuple[int, ...]:
    """Return the pixels cropped from each side of the skips, top level first (paper: 88, 40, 16, 4)."""
    if params.padding == "same":
        return (0,) * params.depth
    crops, lost = [], 4
    for _ in range(params.depth):
        crops.append(lost)
        lost = 2 * lost + 8
    return tuple(reversed(crops))


def output_side(params: NetworkParams, side: int) -> int:
    """Return the output's side in px for an input ``side``; ValueError where a pooling would not be even."""
    lost = 4 if params.padding == "valid" else 0
    size = side
    for _ in range(params.depth):
        size -= lost
        if size <= 0 or size % 2:
            raise ValueError(
                f"A side of {side} px cannot be pooled {params.depth} times: {_size_rule(params)}."
            )
        size //= 2
    size -= lost
    for _ in range(params.depth):
        size = 2 * size - lost
    if size <= 0:
        raise ValueError(f"A side of {side} px leaves no output: {_size_rule(params)}.")
    return size


def fit_tile(params: NetworkParams, side: int) -> tuple[int, int]:
    """Return the largest tile side up to ``side`` px that pools evenly (or the smallest above it, if none
    does), and how many px its output loses on each side.
    """
    for candidate in [*range(side, 0, -1), *range(side, side + 1024)]:
        try:
            return candidate, (candidate - output_side(params, candidate)) // 2
        except ValueError:
            continue
    raise ValueError(f"No tile near {side} px fits the network.")


def _size_rule(params: NetworkParams) -> str:
    if params.padding == "same":
        return f"use a multiple of {params.step}"
    return "use a size n for which every level is even, such as 188, 204, ... at depth 4"


def context(params: NetworkParams) -> tuple[int, int]:
    """Return how far before and after an aligned output block the network looks, in px.

    Both are multiples of the pooling step, so that tiles with this halo stay on the pooling grid. Found by
    following the interval of pixels that one block of the output depends on back to the input.
    """
    start, stop = _input_interval(params, 0, params.step)
    step = params.step
    return -(start // step) * step, -(-(stop - step) // step) * step


def _input_interval(params: NetworkParams, start: int, stop: int, level: int = 0) -> tuple[int, int]:
    """Return the half-open input interval, at this level's resolution, behind an output interval."""
    if level < params.depth:
        start, stop = start - 2, stop + 2
        below = _input_interval(params, start // 2, -(-stop // 2), level + 1)
        start, stop = min(start, 2 * below[0]), max(stop, 2 * below[1])
    return start - 2, stop + 2
