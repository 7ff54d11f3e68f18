"""What an image is taken for when it is opened: what the user said, or its layer, its file, a guess."""

import numpy as np
import pytest
import tifffile

from napari_unet.core.base.errors import InputError
from napari_unet.core.review.review import Review
from napari_unet.session.image import open_image
from napari_unet.session.source import Source
from napari_unet.session.training_images import gather_corrections
from napari_unet.store.project import Project

DATA = np.arange(3 * 8 * 9, dtype=np.uint16).reshape(3, 8, 9)


@pytest.fixture
def project(tmp_path):
    return Project.open(tmp_path / "project")


@pytest.fixture
def open_again(project):
    """A function that opens an image as the only one, as in a new session."""
    images = []

    def open_one(data=DATA, **options):
        for image in images:
            image.writer.close()
        images.append(open_image(project, Source(id="1", name="plate", data=data, **options), {}))
        return images[-1]

    yield open_one
    for image in images:
        image.writer.close()


def name(image, axes):
    """Do what the user's word does, but for opening the image again."""
    image.plan(axes or image.guess)
    image.named = axes
    image.remember()


def correct(image):
    """Put a review with one mark on the disk."""
    review = Review.of(np.zeros(image.grid.label_shape, np.int32))
    review.marked[..., 0, 0] = True
    image.record.begin_review(review.prediction, review.labels, review.marked, model="nuclei")
    image.writer.flush()


def test_the_user_goes_before_the_layer_the_file_and_the_guess(open_again, tmp_path):
    path = str(tmp_path / "stack.tif")
    tifffile.imwrite(path, DATA, imagej=True, metadata={"axes": "TYX"})
    assert open_again().grid.axes == "ZYX"
    assert open_again(path=path).grid.axes == "TYX"
    image = open_again(path=path, axes="CYX")
    assert (image.grid.axes, image.guess) == ("CYX", "CYX")
    name(image, "ZYX")
    image = open_again(path=path, axes="CYX")
    assert (image.grid.axes, image.guess) == ("ZYX", "CYX")
    name(image, None)
    assert open_again(path=path, axes="CYX").grid.axes == "CYX"


def test_what_was_said_is_forgotten_where_it_no_longer_fits(open_again):
    name(open_again(), "CYX")
    colours = np.moveaxis(DATA, 0, -1).copy()
    assert open_again(colours, rgb=True).grid.axes == "YXS"
    image = open_again()
    image.first.remember(named="nonsense")
    assert open_again().grid.axes == "ZYX"


@pytest.mark.parametrize(
    ("rgb", "axes", "words"),
    [(False, "YXZ", "end with YX"), (False, "YXS", "use C"), (True, "ZYX", "YXS"), (True, "YXC", "YXS")],
)
def test_a_window_shows_rows_and_columns_last(open_again, rgb, axes, words):
    image = open_again(np.moveaxis(DATA, 0, -1).copy() if rgb else DATA, rgb=rgb)
    with pytest.raises(InputError, match=words):
        image.plan(axes)
    assert image.plan(image.guess.lower()) == image.plan(None) == image.grid


def test_corrections_stay_with_the_axes_that_they_were_made_under(open_again, project):
    image = open_again()
    correct(image)
    name(image, "CYX")
    other = open_again()
    assert other.record.key != image.record.key
    assert other.review is None
    correct(other)
    assert open_again().review.shape == (8, 9)
    name(other, None)
    back = open_again()
    assert back.record.key == image.record.key
    assert back.review.shape == (3, 8, 9)
    assert back.review.marked[:, 0, 0].all()
    assert len(project.images()) == 2


def test_time_and_depth_share_their_corrections(open_again):
    image = open_again()
    correct(image)
    name(image, "TYX")
    again = open_again()
    assert again.grid.axes == "TYX"
    assert again.review.marked.any()


def test_channels_of_equal_shapes_are_told_apart(open_again):
    data = np.arange(3 * 3 * 8 * 9, dtype=np.uint16).reshape(3, 3, 8, 9)
    image = open_again(data, axes="CZYX")
    correct(image)
    assert open_again(data, axes="ZCYX").review is None
    assert open_again(data, axes="CZYX").review is not None


def test_the_channels_looked_at_are_remembered_and_teach(open_again, project):
    image = open_again(axes="CYX")
    image.channel = (0, 2)
    image.remember()
    correct(image)
    image = open_again(axes="CYX")
    assert image.channel == (0, 2)
    (plane,) = gather_corrections(project, image, [image], 1).planes
    np.testing.assert_array_equal(plane.image, DATA[1])
    assert plane.axes == "YX"
    first = open_again(DATA[0].copy())
    correct(first)
    first.review = first.record.load_review()
    image.writer.close()
    planes = gather_corrections(project, first, [first, image], None).planes
    combined = image.grid.plane(DATA, (), (0, 2))[..., 0]
    np.testing.assert_array_equal(planes[1].image, combined)


@pytest.mark.parametrize("channel", ["none", 7, {"a": 1}, [0, 9]])
def test_channels_that_are_not_there_any_more_are_forgotten(open_again, channel):
    open_again(axes="CYX").record.remember(channel=channel)
    assert open_again(axes="CYX").channel is None
