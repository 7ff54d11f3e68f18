import keras
import numpy as np
import pytest

from napari_unet.nn.losses import WeightedCrossEntropy, WeightedSoftmaxCrossEntropy

rng = np.random.default_rng(0)


def test_the_energy_is_the_weighted_mean_of_minus_log_p():
    target = rng.integers(0, 2, (2, 5, 6, 3)).astype(np.float32)
    weight = rng.uniform(0, 5, target.shape).astype(np.float32)
    p = rng.uniform(0.01, 0.99, target.shape).astype(np.float32)
    expected = -(weight * np.log(np.where(target == 1, p, 1 - p))).sum() / weight.sum()
    loss = float(WeightedCrossEntropy()(np.concatenate([target, weight], -1), p))
    assert loss == pytest.approx(expected, rel=1e-5)


def test_the_softmax_energy_takes_the_true_class_only():
    classes = rng.integers(0, 2, (2, 5, 6))
    weight = rng.uniform(0, 5, classes.shape).astype(np.float32)
    first = rng.uniform(0.01, 0.99, classes.shape).astype(np.float32)
    p = np.stack([first, 1 - first], -1)
    true = np.take_along_axis(p, classes[..., None], -1)[..., 0]
    pairs = np.concatenate([np.eye(2, dtype=np.float32)[classes], np.stack([weight, weight], -1)], -1)
    expected = -(weight * np.log(true)).sum() / weight.sum()
    assert float(WeightedSoftmaxCrossEntropy()(pairs, p)) == pytest.approx(expected, rel=1e-5)


def test_a_pixel_of_weight_zero_has_no_influence_on_loss_or_gradient():
    target = rng.integers(0, 2, (1, 8, 8, 1)).astype(np.float32)
    weight = (rng.random(target.shape) < 0.5).astype(np.float32)
    flipped = np.where(weight == 0, 1 - target, target)
    images = rng.random((1, 8, 8, 1)).astype(np.float32)
    weights = []
    for truth in (target, flipped):
        keras.utils.set_random_seed(0)
        network = keras.Sequential(
            [keras.Input((8, 8, 1)), keras.layers.Conv2D(1, 3, padding="same", activation="sigmoid")]
        )
        network.compile("sgd", WeightedCrossEntropy(), jit_compile=False)
        network.train_on_batch(images, np.concatenate([truth, weight], -1))
        weights.append(network.get_weights())
    for first, second in zip(*weights, strict=True):
        np.testing.assert_array_equal(first, second)


def test_extreme_probabilities_and_no_weight_at_all_stay_finite():
    certain = np.array([[[[0.0], [1.0]]]], np.float32)
    wrong = np.concatenate([1 - certain, np.ones_like(certain)], -1)
    assert np.isfinite(float(WeightedCrossEntropy()(wrong, certain)))
    assert float(WeightedCrossEntropy()(wrong * [1, 0], certain)) == 0
