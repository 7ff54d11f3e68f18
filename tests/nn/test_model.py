import numpy as np
import pytest

from napari_unet.core.base.errors import InputError
from napari_unet.core.base.params import OUTPUT_MAPS, PRESETS, NetworkParams
from napari_unet.core.image.tiling import mirror_indices
from napari_unet.nn import model as predictor
from napari_unet.nn.backend import compile_forward
from napari_unet.nn.model import Model
from napari_unet.nn.unet import build_network

from .conftest import TINY


@pytest.mark.parametrize(
    "params",
    [
        TINY,
        NetworkParams(filters=4, depth=3, classes=2),
        NetworkParams(filters=2, depth=4, padding="valid"),
        NetworkParams(filters=2, depth=2, stem=2, block="residual"),
    ],
)
@pytest.mark.parametrize("shape", [(37, 150), (200, 90)])
def test_tiled_equals_untiled(params, shape, tiny_card, monkeypatch):
    """Any size, any tile size: the stitched maps are those of the network on the whole mirrored image."""
    network = build_network(params, dtype="float32")
    card = tiny_card.model_copy(update={"network": params, "outputs": OUTPUT_MAPS[: params.classes]})
    plane = np.random.default_rng(0).random((*shape, 1), np.float32)
    monkeypatch.setattr(predictor, "TILE_AREA", 150 * 150)
    tiled = Model(network, card).predict_maps(plane)

    step = params.step
    halo = (92, 96) if params.padding == "valid" else (predictor.BORDER,) * 2
    sides = [-(-size // step) * step for size in shape]
    rows, columns = (
        mirror_indices((-halo[0], side + halo[1]), size) for side, size in zip(sides, shape, strict=True)
    )
    whole = np.asarray(network(plane[np.ix_(rows, columns)][None]))[0]
    if params.padding == "same":
        whole = whole[halo[0] :, halo[0] :]
    np.testing.assert_allclose(tiled, whole[: shape[0], : shape[1]], atol=1e-5)


def test_the_papers_network_predicts_images_of_any_size(tiny_card):
    params = PRESETS["unet-paper"].network.model_copy(update={"filters": 2})
    card = tiny_card.model_copy(update={"network": params, "outputs": ("background", "foreground")})
    model = Model(build_network(params), card)
    maps = model.predict_maps(np.random.default_rng(0).random((50, 301, 1), np.float32))
    assert maps.shape == (50, 301, 2)
    np.testing.assert_allclose(maps.sum(-1), 1, atol=1e-5)
    assert model.label(maps).shape == (50, 301)


def test_maps_come_back_at_the_images_own_resolution(tiny_card):
    model = Model(build_network(TINY), tiny_card)
    plane = np.random.default_rng(0).random((61, 90, 1), np.float32)
    for scale in (0.3, 1, 2.5):
        assert model.predict_maps(plane, scale=scale).shape == (61, 90, 3)


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 300, 1), (5, 3, 1)])
def test_the_smallest_images_are_segmented(shape, tiny_card):
    model = Model(build_network(TINY), tiny_card)
    labels = model.segment_plane(np.random.default_rng(0).random(shape))
    assert labels.shape == shape[:2]
    assert labels.dtype == np.int32


def test_every_tile_is_reported_and_may_end_the_run(tiny_card, monkeypatch):
    monkeypatch.setattr(predictor, "TILE_AREA", 90 * 90)
    model = Model(build_network(TINY), tiny_card)
    seen = []
    plane = np.zeros((64, 64, 1), np.float32)
    model.predict_maps(plane, on_tile=lambda done, total: seen.append((done, total)))
    assert seen == [(done, len(seen)) for done in range(1, len(seen) + 1)]
    assert len(seen) > 1

    def stop(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        model.predict_maps(plane, on_tile=stop)


def test_half_precision_changes_almost_no_pixel(tiny_card):
    exact = build_network(TINY, dtype="float32")
    fast = build_network(TINY, dtype="mixed_bfloat16")
    fast.set_weights(exact.get_weights())
    plane = np.random.default_rng(0).random((96, 96, 1), np.float32)
    a, b = (Model(network, tiny_card).predict_maps(plane) for network in (exact, fast))
    assert np.abs(a - b).max() < 0.05
    assert b.dtype == np.float32


def test_cells_of_an_unknown_size_are_seen_at_a_scale_that_fits(monkeypatch, tiny_card):
    """At a wrong scale this network breaks cells into quarters."""
    from napari_unet.core.cells.targets import target_maps

    truth = np.zeros((120, 120), np.int32)
    truth[10:50, 10:50], truth[60:100, 20:60], truth[20:60, 70:110] = 1, 2, 3
    rows, columns = np.indices(truth.shape) // 20
    quarters = np.where(truth > 0, 1 + rows * 10 + columns, 0).astype(np.int32)

    def predict_maps(self, plane, *, scale=1.0, on_tile=None):
        return target_maps(truth if scale < 0.8 else quarters, tiny_card.outputs)

    monkeypatch.setattr(Model, "predict_maps", predict_maps)
    network, image = build_network(tiny_card.network), np.zeros((120, 120, 1), np.float32)
    card = tiny_card.model_copy(update={"size_range": (10.0, 18.0)})
    assert Model(network, tiny_card).predict(image).labels.max() > 3
    prediction = Model(network, card).predict(image)
    assert prediction.scale < 0.8
    assert prediction.labels.max() == 3
    physical = Model(network, card.model_copy(update={"pixel_size": 1.0}))
    assert physical.predict(image, pixel_size=1.0).scale == 1
    assert physical.predict(image, pixel_size=0.5).scale == 0.5


def test_a_known_scale_is_not_searched_for(monkeypatch, tiny_card):
    seen = []

    def predict_maps(self, plane, *, scale=1.0, on_tile=None):
        seen.append(scale)
        return np.zeros((*plane.shape[:2], 3), np.float32)

    monkeypatch.setattr(Model, "predict_maps", predict_maps)
    card = tiny_card.model_copy(update={"size_range": (10.0, 18.0)})
    model = Model(build_network(tiny_card.network), card)
    assert model.predict(np.zeros((60, 60, 1), np.float32), scale=2.5).scale == 2.5
    assert seen == [2.5]


def test_eight_views_draw_a_turned_image_as_they_draw_the_image(tiny_card):
    plane = np.random.default_rng(0).random((40, 72, 1), np.float32)
    one = Model(build_network(tiny_card.network), tiny_card)
    eight = one.with_views(8)
    for turn in (lambda x: np.rot90(x), lambda x: x[:, ::-1]):
        np.testing.assert_allclose(
            eight.predict_maps(turn(plane)), turn(eight.predict_maps(plane)), atol=2e-3
        )
        assert np.abs(one.predict_maps(turn(plane)) - turn(one.predict_maps(plane))).max() > 1e-2


def test_a_network_is_compiled_once_and_follows_its_weights(tiny_card):
    network = build_network(tiny_card.network)
    forward, tile = compile_forward(network), np.random.default_rng(0).random((1, 32, 32, 1), np.float32)
    before = forward(tile)
    network.set_weights([weight * 0.5 for weight in network.get_weights()])
    assert compile_forward(network) is forward
    assert np.abs(forward(tile) - before).max() > 0.01


def test_views_that_cannot_be_had_are_explained(tiny_card):
    model = Model(build_network(tiny_card.network), tiny_card)
    with pytest.raises(InputError, match="1 to 8"):
        model.with_views(9)
    valid = NetworkParams(filters=2, padding="valid", classes=2, activation="softmax")
    unpadded = Model(build_network(valid), tiny_card.model_copy(update={"network": valid}))
    with pytest.raises(InputError, match="no padding"):
        unpadded.with_views(2)


class Hungry:
    """A network that asks for terabytes where a tile has more than `most` pixels."""

    input_shape = (None, None, None, 1)

    def __init__(self, most):
        self.most = most

    def __call__(self, batch, training):
        import tensorflow as tf

        def waste(pixels):  # what is raised here comes out as TensorFlow's ResourceExhaustedError
            np.empty((min(pixels.size // self.most, 1), 1 << 50))
            return pixels

        return tf.ensure_shape(tf.numpy_function(waste, [batch], tf.float32), (None, None, None, 1))


def test_where_memory_does_not_suffice_tiles_are_halved_and_the_run_goes_on(tiny_card, caplog):
    card = tiny_card.model_copy(update={"network": TINY.model_copy(update={"classes": 1})})
    plane = np.random.default_rng(0).random((300, 170, 1), np.float32)
    seen = []
    model = Model(Hungry(110 * 110), card)
    maps = model.predict_maps(plane, on_tile=lambda done, total: seen.append((done, total)))
    np.testing.assert_array_equal(maps, plane)
    assert seen[-1][0] == seen[-1][1] == len(seen) > 4
    assert "half its side" in caplog.text
    with pytest.raises(InputError, match="not enough memory"):
        Model(Hungry(1), card).predict_maps(plane)
