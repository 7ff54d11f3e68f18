import numpy as np
import pytest
import zarr

from napari_unet.core.synthetic.scenes import render_nuclei
from napari_unet.jobs import plane
from napari_unet.jobs.region_jobs import Outline, estimate_job, segment_large_job, segment_view_job


@pytest.fixture(scope="module")
def scene():
    return render_nuclei((300, 260), objects=60, radius=9.0, seed=1).image


def test_the_job_for_what_is_seen(scene, tiny_model):
    image = np.stack([scene // 3, scene])[:, None]
    request = {
        **{"model": str(tiny_model), "image": image, "axes": "CZYX", "channel": 1, "pixel_size": None},
        **{"box": ((100, 200), (100, 200)), "scale": None},
    }
    said = []
    result = segment_view_job(request, lambda progress: said.append(progress.message), lambda: False)
    (top, bottom), (left, right) = result["window"]
    assert result["labels"].shape == (bottom - top, right - left)
    rows, columns = result["doubts"].points[:, 1:].T
    assert ((rows >= top) & (rows < bottom) & (columns >= left) & (columns < right)).all()
    assert rows.max() > bottom - top
    assert result["scales"] == [1.0]
    assert "tile" in said[-1]


def test_the_jobs_for_all_of_a_large_image(scene, tiny_model, tmp_path, monkeypatch):
    monkeypatch.setattr(plane, "_IN_MEMORY", 0)
    image = zarr.create_array(tmp_path / "image.zarr", shape=scene.shape, dtype=scene.dtype, chunks=(64, 64))
    image[...] = scene
    request = {"model": str(tiny_model), "axes": "YX", "channel": None, "pixel_size": None}
    estimated = estimate_job({**request, "image": Outline.of(image)}, print, lambda: False)
    assert "GB of memory" in estimated["needs"]
    output = tmp_path / "cells.zarr"
    asked = {**request, "image": image, "output": str(output)}
    result = segment_large_job(asked, lambda progress: None, lambda: False)
    assert result["cells"] == zarr.open_array(output / "0")[...].max() > 20
