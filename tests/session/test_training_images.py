import numpy as np
import tifffile

from napari_unet.core.review.review import Review
from napari_unet.io.hashing import hash_image
from napari_unet.session.image import open_image
from napari_unet.session.source import Source
from napari_unet.session.training_images import gather_corrections
from napari_unet.store.project import Project


def review(shape):
    """Labels of which one pixel on every plane is marked as reviewed."""
    labels = np.zeros(shape, np.int32)
    marked = np.zeros(shape, np.bool_)
    marked[..., 0, 0] = True
    return Review(labels, labels.copy(), marked)


def test_each_plane_names_the_image_that_it_is_of(tmp_path):
    project = Project.open(tmp_path / "project")
    stack = np.arange(3 * 8 * 9, dtype=np.uint8).reshape(3, 8, 9)
    earlier = np.arange(72, dtype=np.uint16).reshape(8, 9)
    tifffile.imwrite(tmp_path / "earlier.tif", earlier)
    record = project.image(
        earlier,
        name="earlier",
        source=str(tmp_path / "earlier.tif"),
        context={"axes": "YX", "pixel_size": None},
    )
    done = review(earlier.shape)
    record.begin_review(done.prediction, done.labels, done.marked, model="nuclei")
    image = open_image(project, Source(id="1", name="stack", data=stack, axes="ZYX"), {})
    image.review = review(stack.shape)
    assert len(gather_corrections(project, image, [image], None).planes) == 3
    planes = gather_corrections(project, image, [image], None, taught=[hash_image(earlier)]).planes
    assert [plane.image.shape for plane in planes] == [(8, 9)] * 4
    assert [plane.hash for plane in planes] == [hash_image(stack)] * 3 + [hash_image(earlier)]
