"""The pixel-weighted cross-entropy of the paper, for maps of probabilities and for classes."""

from __future__ import annotations

from napari_unet.nn.backend import keras

ops = keras.ops

_EPSILON = 1e-6


@keras.saving.register_keras_serializable("napari_unet")
class WeightedCrossEntropy(keras.losses.Loss):
    """Energy - sum w (t log p + (1 - t) log(1 - p)) / sum w, over independent maps in [0, 1].

    The last axis of ``y_true`` (B, y, x, 2K) holds K targets, then their K weights; targets may be soft.
    Where the weight is 0 a pixel has no influence at all.
    """

    def __init__(self, name: str = "weighted_cross_entropy") -> None:
        super().__init__(name=name, reduction=None)

    def call(self, y_true: keras.KerasTensor, y_pred: keras.KerasTensor) -> keras.KerasTensor:
        """Return the energy, one number."""
        target, weight = ops.split(ops.cast(y_true, "float32"), 2, axis=-1)
        p = ops.clip(ops.cast(y_pred, "float32"), _EPSILON, 1 - _EPSILON)
        energy = -(target * ops.log(p) + (1 - target) * ops.log(1 - p))
        return ops.sum(weight * energy) / ops.maximum(ops.sum(weight), 1.0)


@keras.saving.register_keras_serializable("napari_unet")
class WeightedSoftmaxCrossEntropy(keras.losses.Loss):
    """Energy - sum w log p_l / sum w, where p_l is the softmax of the true class (paper, equation 1).

    ``y_true`` (B, y, x, 2K) holds K one-hot classes, then the pixel's weight repeated K times.
    """

    def __init__(self, name: str = "weighted_softmax_cross_entropy") -> None:
        super().__init__(name=name, reduction=None)

    def call(self, y_true: keras.KerasTensor, y_pred: keras.KerasTensor) -> keras.KerasTensor:
        """Return the energy, one number."""
        target, weight = ops.split(ops.cast(y_true, "float32"), 2, axis=-1)
        p = ops.clip(ops.cast(y_pred, "float32"), _EPSILON, 1.0)
        energy = -ops.sum(target * ops.log(p), axis=-1)
        return ops.sum(weight[..., 0] * energy) / ops.maximum(ops.sum(weight[..., 0]), 1.0)
