import keras
import numpy as np
import pytest
from pydantic import ValidationError

from napari_unet import build_unet
from napari_unet.core.base.params import PRESETS, NetworkParams
from napari_unet.nn.unet import (
    build_network,
    context,
    fit_tile,
    fold_normalisation,
    output_side,
    skip_crops,
)


def test_the_reference_network_is_the_listing():
    network = build_unet((512, 512, 3))
    assert network.count_params() == 31_031_745
    assert network.output_shape == (None, 512, 512, 1)
    assert network.name == "unet"
    kinds = [type(layer).__name__ for layer in network.layers]
    assert kinds.count("Conv2D") == 19
    assert kinds.count("Conv2DTranspose") == kinds.count("MaxPooling2D") == kinds.count("Concatenate") == 4
    filters = [layer.filters for layer in network.layers if isinstance(layer, keras.layers.Conv2DTranspose)]
    assert filters == [512, 256, 128, 64]
    assert network.layers[-1].activation is keras.activations.sigmoid
    joined = network.get_layer("up4_join").input
    assert joined[0] is network.get_layer("up4_up").output
    assert joined[1] is network.get_layer("down4_conv2").output


def test_the_papers_network():
    params = PRESETS["unet-paper"].network
    network = build_network(params, (572, 572))
    assert network.output_shape == (None, 388, 388, 2)
    assert network.count_params() == 31_030_658
    convolutions = (keras.layers.Conv2D, keras.layers.Conv2DTranspose)
    assert sum(isinstance(layer, convolutions) for layer in network.layers) == 23
    assert skip_crops(params) == (88, 40, 16, 4)
    for name in ("down3_conv1", "bottleneck_conv2"):
        kernel = network.get_layer(name).kernel
        assert np.std(kernel) == pytest.approx(np.sqrt(2 / np.prod(kernel.shape[:3])), rel=0.02)


@pytest.mark.parametrize(("side", "output"), [(572, 388), (540, 356), (188, 4)])
def test_sizes_of_the_unpadded_network(side, output):
    assert output_side(PRESETS["unet-paper"].network, side) == output


@pytest.mark.parametrize("side", [187, 189, 172, 570])
def test_sizes_that_do_not_pool_evenly_are_explained(side):
    with pytest.raises(ValueError, match=r"pool|output"):
        output_side(PRESETS["unet-paper"].network, side)
    with pytest.raises(ValueError, match="multiple of 16"):
        build_unet((100, 100, 1))


@pytest.mark.parametrize(
    "options",
    [
        {"filters": 4, "depth": 1},
        {"filters": 3, "depth": 5, "classes": 4, "max_filters": 16},
        {"filters": 6, "depth": 2, "classes": 3, "activation": "softmax", "dropout": 0.5},
        {"filters": 4, "depth": 3, "padding": "valid"},
        {"filters": 4, "depth": 2, "stem": 3},
        {"filters": 4, "depth": 2, "stem": 3, "block": "residual", "classes": 3},
        {"filters": 4, "depth": 2, "block": "residual", "batch_normalisation": True, "max_filters": 8},
    ],
)
@pytest.mark.parametrize("channels", [1, 5])
def test_any_width_depth_channels_and_classes(options, channels):
    network = build_unet((None, None, channels), **options)
    params = NetworkParams(channels=channels, **options)
    assert network.count_params() == params.count_parameters()
    side, margin = fit_tile(params, 128)
    maps = network.predict_on_batch(np.zeros((1, side, side, channels), np.float32))
    assert maps.shape == (1, side - 2 * margin, side - 2 * margin, params.classes)


def test_options_out_of_range_are_refused():
    with pytest.raises(ValidationError):
        build_unet((64, 64, 1), depth=0)
    with pytest.raises(ValidationError):
        build_unet((64, 64, 1), padding="reflect")


@pytest.mark.parametrize(
    "params",
    [
        NetworkParams(filters=2, depth=2),
        NetworkParams(filters=2, depth=3),
        NetworkParams(filters=2, depth=1, stem=2, block="residual"),
        NetworkParams(filters=2, depth=2, stem=2, block="residual"),
    ],
)
def test_context_is_how_far_the_network_looks(params):
    """Positive weights let every connection through: a pixel counts if and only if it is within reach."""
    network = build_network(params)
    network.set_weights([np.abs(w) + 0.1 for w in network.get_weights()])
    before, after = context(params)
    side = 2 * (before + after + params.step)
    block = slice(side // 2, side // 2 + params.step)
    head = keras.Model(network.input, network.layers[-2].output)

    def look(column):
        image = np.zeros((1, side, side, 1), np.float32)
        image[0, side // 2, column] = 1
        return float(np.abs(head.predict_on_batch(image) - blank)[0, block, block].max())

    blank = head.predict_on_batch(np.zeros((1, side, side, 1), np.float32))
    assert look(block.start - before - 1) == 0
    assert look(block.stop + after) == 0
    nearest = range(block.start - before, block.start - before + params.step)
    assert any(look(column) > 0 for column in nearest)


def test_normalisation_is_folded_into_the_convolutions():
    params = NetworkParams(filters=4, depth=2, classes=3, stem=3, block="residual", batch_normalisation=True)
    network = build_network(params, dtype="float32")
    rng = np.random.default_rng(0)
    network.set_weights([w + 0.3 * rng.random(w.shape, np.float32) for w in network.get_weights()])
    bare, folded = fold_normalisation(network, params)
    assert not folded.batch_normalisation
    assert bare.count_params() == folded.count_parameters() < network.count_params()
    image = rng.random((1, 48, 64, 1), np.float32)
    np.testing.assert_allclose(np.asarray(bare(image)), np.asarray(network(image, training=False)), atol=1e-5)


def test_variants_that_do_not_go_together_are_refused():
    with pytest.raises(ValidationError, match="padding"):
        NetworkParams(stem=8, padding="valid")
    with pytest.raises(ValidationError, match="residual"):
        NetworkParams(batch_normalisation=True)
