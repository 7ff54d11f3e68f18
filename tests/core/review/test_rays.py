import numpy as np
import pytest

from napari_unet.core.review.rays import ANGLES, STEPS, SWING, Rays, find_path


def test_a_ring_in_the_plane_is_found_and_filled() -> None:
    rows, columns = np.indices((64, 64))
    away = np.hypot(rows - 30, columns - 34)
    rays = Rays((30.0, 34.0), reach=24.0)
    path = find_path(1 - np.exp(-((rays.sample(away) - 12) ** 2)))
    np.testing.assert_allclose(rays.radii[path], 12, atol=rays.step)
    inside = rays.fill(path, away.shape)
    assert inside.sum() == pytest.approx(np.pi * 12**2, rel=0.1)
    assert not inside[away > 14].any()


def test_a_path_swings_no_further_than_allowed_even_where_that_costs() -> None:
    cost = np.ones((ANGLES, STEPS))
    cost[:, 10] = 0
    cost[20, :] = [0.0 if step == 40 else 1.0 for step in range(STEPS)]
    path = find_path(cost)
    assert np.abs(np.diff(np.append(path, path[0]))).max() <= SWING


def test_rays_stop_at_what_is_not_free_and_at_the_border() -> None:
    free = np.ones((40, 40), bool)
    free[:, 30:] = False
    rays = Rays((20.0, 20.0), reach=48.0)
    clear = rays.count_clear(free)
    assert clear[0] == pytest.approx(10, abs=1.5)  # to the right, the wall
    assert clear[ANGLES // 2] == pytest.approx(20, abs=1.5)  # to the left, the border
    assert Rays((20.0, 20.0), reach=4.0).count_clear(free).tolist() == [STEPS] * ANGLES
