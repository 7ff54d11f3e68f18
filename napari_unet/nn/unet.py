"""The U-Net of Ronneberger, Fischer and Brox (2015).

``build_unet(input_shape)`` is the reference network; its options reach the paper's unpadded network and
all others. The order of the functions is the order of the data: down, across, up.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from napari_unet.core.base import NetworkParams
from napari_unet.nn.backend import keras, own_settings

layers = keras.layers

Options = dict[str, Any]


def conv_blocks(x: keras.KerasTensor, filters: int, name: str, options: Options) -> keras.KerasTensor:
    """Apply two 3x3 convolutions, each followed by a ReLU."""
    for index in (1, 2):
        x = layers.Conv2D(filters, 3, activation="relu", name=f"{name}_conv{index}", **options)(x)
    return x


def residual_blocks(x: keras.KerasTensor, filters: int, name: str, options: Options) -> keras.KerasTensor:
    """Apply two 3x3 convolutions and add the input before the last ReLU (He et al., CVPR 2016).

    Where the number of filters changes, a 1x1 convolution brings the input to it.
    """
    dtype = options["dtype"]
    convolution = {name: option for name, option in options.items() if name != "normalised"}

    def convolve(x: keras.KerasTensor, index: int) -> keras.KerasTensor:
        normalised = options["normalised"]
        x = layers.Conv2D(filters, 3, name=f"{name}_conv{index}", use_bias=not normalised, **convolution)(x)
        return layers.BatchNormalization(name=f"{name}_norm{index}", dtype=dtype)(x) if normalised else x

    y = layers.ReLU(name=f"{name}_relu1", dtype=dtype)(convolve(x, 1))
    y = convolve(y, 2)
    if x.shape[-1] != filters:
        x = layers.Conv2D(filters, 1, name=f"{name}_shortcut", **convolution)(x)
    return layers.ReLU(name=f"{name}_relu2", dtype=dtype)(layers.Add(name=f"{name}_add", dtype=dtype)([x, y]))


def apply_block(x: keras.KerasTensor, filters: int, name: str, options: Options) -> keras.KerasTensor:
    """Apply the two convolutions of one level, as the options say."""
    return (residual_blocks if "normalised" in options else conv_blocks)(x, filters, name, options)


def contracting_block(
    x: keras.KerasTensor, filters: int, name: str, options: Options
) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    """Return the features of this level and the same halved by 2x2 max-pooling."""
    features = apply_block(x, filters, name, options)
    return features, layers.MaxPooling2D(2, name=f"{name}_pool", dtype=options["dtype"])(features)


def expanding_block(
    x: keras.KerasTensor, skip: keras.KerasTensor, filters: int, crop: int, name: str, options: Options
) -> keras.KerasTensor:
    """Double ``x`` by a 2x2 transposed convolution, join the skip (cropped per side), convolve twice."""
    return apply_block(join_skip(x, skip, filters, crop, name, options), filters, name, options)


def join_skip(
    x: keras.KerasTensor, skip: keras.KerasTensor, filters: int, crop: int, name: str, options: Options
) -> keras.KerasTensor:
    """Double ``x`` by a 2x2 transposed convolution and join the skip, cropped per side, to it."""
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
    return layers.Concatenate(name=f"{name}_join", dtype=options["dtype"])([up, skip])


def contracting_stem(
    x: keras.KerasTensor, stem: int, filters: int, options: Options
) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    """Return thin features at full resolution, and ``filters`` of them halved by a 2x2 convolution."""
    fine = layers.Conv2D(stem, 3, activation="relu", name="stem_conv1", **options)(x)
    half = layers.Conv2D(filters, 2, strides=2, activation="relu", name="stem_down", **options)(fine)
    return fine, half


def expanding_stem(
    x: keras.KerasTensor, fine: keras.KerasTensor, stem: int, options: Options
) -> keras.KerasTensor:
    """Double ``x`` to full resolution, join the thin features, convolve once."""
    joined = join_skip(x, fine, stem, 0, "stem", options)
    return layers.Conv2D(stem, 3, activation="relu", name="stem_conv2", **options)(joined)


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
    stem: int = 0,
    block: Literal["plain", "residual"] = "plain",
    batch_normalisation: bool = False,
    dtype: str | None = None,
) -> keras.Model:
    """Build a U-Net named ``unet`` for images of ``input_shape`` (Y, X, channels).

    The defaults give 31,031,745 parameters for (512, 512, 3). Y and X may be None; with ``padding="same"``
    they must be multiples of 2^depth (twice that with a ``stem``), with ``"valid"`` (the paper's) every
    pooled size must be even and the output is smaller: 572 gives 388 at depth 4. ``dtype`` is a Keras dtype
    policy for the body; the head is always float32. Raises pydantic's ValidationError (a ValueError) for
    options out of range and ValueError for sizes that do not pool evenly.
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
        stem=stem,
        block=block,
        batch_normalisation=batch_normalisation,
    )
    return build_network(params, input_shape[:2], dtype=dtype)


@own_settings()
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
    options: Options = {"padding": params.padding, "kernel_initializer": params.initializer, "dtype": dtype}
    inner = options | ({"normalised": params.batch_normalisation} if params.block == "residual" else {})
    inputs = x = keras.Input((*shape, params.channels))
    skips = []
    *contracting, bottleneck = params.level_filters
    if params.stem:
        fine, x = contracting_stem(x, params.stem, contracting[0], options)
    for level, width in enumerate(contracting, start=1):
        skip, x = contracting_block(x, width, f"down{level}", inner)
        skips.append(skip)
    x = apply_block(x, bottleneck, "bottleneck", inner)
    if params.dropout:
        x = layers.Dropout(params.dropout, name="dropout", dtype=dtype)(x)
    crops = skip_crops(params)
    for level in range(params.depth, 0, -1):
        x = expanding_block(
            x, skips[level - 1], contracting[level - 1], crops[level - 1], f"up{level}", inner
        )
    if params.stem:
        x = expanding_stem(x, fine, params.stem, options)
    head = layers.Conv2D(params.classes, 1, activation=params.activation, dtype="float32", name="maps")
    return keras.Model(inputs, head(x), name="unet")


def fold_normalisation(network: keras.Model, params: NetworkParams) -> tuple[keras.Model, NetworkParams]:
    """Return an equal network without batch normalisation, for predicting and fine-tuning, and its params.

    What the normalisation does after training - a scale and a shift for each filter - becomes part of the
    weights and biases of the convolution before it (Jacob et al., CVPR 2018, 3.2).
    """
    folded = params.model_copy(update={"batch_normalisation": False})
    bare = build_network(folded)
    for layer in bare.layers:
        if not layer.weights:
            continue
        source = network.get_layer(layer.name)
        weights = source.get_weights()
        name = layer.name.replace("_conv", "_norm")
        if params.batch_normalisation and len(weights) == 1:
            norm = network.get_layer(name)
            scale, shift, mean, variance = norm.get_weights()
            factor = scale / np.sqrt(variance + norm.epsilon)
            weights = [weights[0] * factor, shift - mean * factor]
        layer.set_weights(weights)
    return bare, folded


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
    for _ in range(params.halvings):
        size -= lost
        if size <= 0 or size % 2:
            raise ValueError(
                f"A side of {side} px cannot be pooled {params.halvings} times: {_size_rule(params)}."
            )
        size //= 2
    size -= lost
    for _ in range(params.halvings):
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
    start, stop = 0, params.step
    if params.stem:  # one convolution after the join and one before it, at full resolution
        inner = _input_interval(params, (start - 1) // 2, -(-(stop + 1) // 2))
        start, stop = min(start - 1, 2 * inner[0]) - 1, max(stop + 1, 2 * inner[1]) + 1
    else:
        start, stop = _input_interval(params, start, stop)
    step = params.step
    return -(start // step) * step, -(-(stop - step) // step) * step


def _input_interval(params: NetworkParams, start: int, stop: int, level: int = 0) -> tuple[int, int]:
    """Return the half-open input interval, at this level's resolution, behind an output interval."""
    if level < params.depth:
        start, stop = start - 2, stop + 2
        below = _input_interval(params, start // 2, -(-stop // 2), level + 1)
        start, stop = min(start, 2 * below[0]), max(stop, 2 * below[1])
    return start - 2, stop + 2
