"""Rendered microscopy scenes whose true labels are known: samples to try, and material to train and test on.

Every function is a pure function of its arguments: one seed, one scene. Geometry comes first (who owns which
pixel), then what a microscope would make of it (texture, blur, background, noise). The arithmetic is float64
throughout, so that rounding to grey values gives the same scene on every machine.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree
from skimage.measure import regionprops

from napari_unet.core.base import Float64, Labels
from napari_unet.core.synthetic.outlines import (
    Grid,
    Outline,
    anywhere,
    divide,
    draw_outline,
    own_pixels,
    pixel_grid,
    place_outlines,
    wander,
)


@dataclass(frozen=True, slots=True)
class Scene:
    """An image and its truth.

    `labels` is int32, has the shape of `image`, and is 0 where there is no object. `axes` names the axes with
    the letters of TZYX; `pixel_size` is the size of a pixel along Y and X and `z_step` the distance between
    planes, both in micrometres.
    """

    image: NDArray[np.uint8] | NDArray[np.uint16]
    labels: Labels
    axes: str
    pixel_size: float
    z_step: float | None = None


def render_nuclei(
    shape: tuple[int, int] = (512, 512), *, objects: int = 110, radius: float = 14.0, seed: int = 0
) -> Scene:
    """Fluorescent nuclei in a plane: many touch, some lie out of focus, the light falls off to one side.

    `shape` is (Y, X) in pixels, `radius` the mean radius in pixels. Returns a uint16 image. Where
    the field is too full for `objects` nuclei, fewer are placed.
    """
    rng = np.random.default_rng(seed)
    outlines = place_outlines(rng, shape, objects, radius, touching=0.6, aspect=1.35)
    grid = pixel_grid(shape)
    signal = _through_lens(_glow(rng, outlines, grid), 1.2)
    ghosts = [draw_outline(rng, anywhere(rng, shape), radius, 1.3) for _ in range(max(1, objects // 7))]
    signal += 0.4 * ndimage.gaussian_filter(_glow(rng, ghosts, grid), 0.45 * radius)
    image = _photograph(rng, signal * _illumination(rng, shape))
    return Scene(image, own_pixels(dict(enumerate(outlines, start=1)), grid), "YX", 0.5)


def render_timelapse(
    shape: tuple[int, int, int] = (10, 192, 192), *, objects: int = 24, radius: float = 11.0, seed: int = 0
) -> Scene:
    """Nuclei that wander over time; halfway, one divides.

    `shape` is (T, Y, X). A nucleus keeps its label for as long as it lives; the two daughters get the two
    labels after the last one. Returns a uint16 image.
    """
    rng = np.random.default_rng(seed)
    field = shape[1:]
    grid, light = pixel_grid(field), _illumination(rng, field)
    living = dict(enumerate(place_outlines(rng, field, objects, radius, touching=0.35, aspect=1.3), start=1))
    middle = np.array(field) / 2
    mother = min(living, key=lambda name: float(np.hypot(*(np.array(living[name].centre) - middle))))
    names = range(1, len(living) + 3)
    looks = {name: int(rng.integers(2**31)) for name in names}
    looks[names[-1]] = looks[names[-2]] = looks[mother]
    velocity = {name: rng.normal(0, 0.13 * radius, 2) for name in names}
    images, truths = [], []
    for frame in range(shape[0]):
        if frame == shape[0] // 2:
            living = divide(living, mother, daughters=(names[-2], names[-1]))
        signal = np.zeros(field)
        for name, outline in living.items():
            signal += _glow(np.random.default_rng(looks[name]), [outline], grid)
        images.append(_photograph(rng, _through_lens(signal, 1.2) * light))
        truths.append(own_pixels(living, grid))
        living = wander(rng, living, velocity, field)
    return Scene(np.stack(images), np.stack(truths), "TYX", 0.65)


def render_stack(
    shape: tuple[int, int, int] = (20, 160, 160), *, objects: int = 60, radius: float = 12.0, seed: int = 0
) -> Scene:
    """Ellipsoidal nuclei in a volume, blurred along Z far more than in the plane, dimmer with depth.

    `shape` is (Z, Y, X), `radius` the mean radius in pixels of the plane; planes lie two pixels apart.
    Returns a uint16 image.
    """
    rng = np.random.default_rng(seed)
    spacing = np.array([2.0, 1.0, 1.0])
    grid = np.indices(shape, dtype=np.float64) * spacing.reshape(3, 1, 1, 1)
    grid = grid + [0.08 * radius * _noise(rng, shape, (2.5, 5.0, 5.0)) for _ in range(3)]
    nearest, labels = np.ones(shape), np.zeros(shape, np.int32)
    signal, texture = np.zeros(shape), _noise(rng, shape, (0.9, 1.8, 1.8))
    placed: list[tuple[Float64, float]] = []
    for _ in range(objects * 40):
        size, centre = radius * rng.uniform(0.75, 1.2), rng.uniform(0, 1, 3) * shape * spacing
        if len(placed) == objects or any(np.linalg.norm(centre - c) < 0.8 * (size + s) for c, s in placed):
            continue
        placed.append((centre, size))
        axes = np.linalg.qr(rng.normal(size=(3, 3)))[0] / (size * rng.uniform(0.78, 1.3, (3, 1)))
        depth = np.sqrt((np.tensordot(axes, grid - centre.reshape(3, 1, 1, 1), axes=1) ** 2).sum(axis=0))
        owned = depth < nearest
        labels[owned], nearest[owned] = len(placed), depth[owned]
        signal += rng.lognormal(0, 0.25) * _dome(depth) * (1 + 0.3 * texture)
    signal = ndimage.gaussian_filter(signal, (1.2, 1.2, 1.2)) + 0.3 * ndimage.gaussian_filter(
        signal, (3, 6, 6)
    )
    dimming = np.exp(-0.025 * np.arange(shape[0])).reshape(-1, 1, 1)
    image = _photograph(rng, signal * dimming * _illumination(rng, shape[1:]))
    return Scene(image, labels, "ZYX", 0.4, 0.8)


def render_cells(
    shape: tuple[int, int] = (512, 512), *, objects: int = 60, radius: float = 26.0, seed: int = 0
) -> Scene:
    """Adherent cells as in phase contrast: grey on grey, bright halos, granules, an uneven background.

    `shape` is (Y, X) in pixels, `radius` the mean radius in pixels. Returns a uint8 image. Grey values follow
    the optics: phase minus its own surroundings, which is what a phase ring shows and where halos come from.
    """
    rng = np.random.default_rng(seed)
    outlines = place_outlines(rng, shape, objects, radius, touching=0.75, aspect=2.0)
    rows, columns = pixel_grid(shape)
    bend = [0.22 * radius * _noise(rng, shape, (0.5 * radius, 0.5 * radius)) for _ in range(2)]
    ruffle = [0.9 * _noise(rng, shape, (3.0, 3.0)) for _ in range(2)]
    grid = rows + bend[0] + ruffle[0], columns + bend[1] + ruffle[1]
    labels = own_pixels(dict(enumerate(outlines, start=1)), grid, bend=radius)
    grains = 0.8 * _noise(rng, shape, (1.0, 1.0)) + 0.6 * _noise(rng, shape, (2.2, 2.2))
    phase = 0.03 * _noise(rng, shape, (2.0, 2.0)) + 0.12 * _noise(rng, shape, (30.0, 30.0))
    for name, outline in enumerate(outlines, start=1):
        window = outline.window(shape, bend=radius)
        v, u, depth = outline.local(grid[0][window], grid[1][window])
        depth = np.where(labels[window] == name, depth, np.maximum(depth, 1.0))
        phase[window] += _cell_phase(rng, v, u, depth, grains[window])
    ringed = phase - 0.85 * ndimage.gaussian_filter(phase, 0.3 * radius)
    slope = 0.3 * (_illumination(rng, shape) - 0.8)
    image = ndimage.gaussian_filter(0.5 + slope - 0.24 * ringed, 0.9) + rng.normal(0, 0.014, shape)
    return Scene(_to_uint8(image), labels, "YX", 0.32)


def render_membranes(shape: tuple[int, int] = (512, 512), *, objects: int = 90, seed: int = 0) -> Scene:
    """Neurites cut across, as in an electron micrograph: dark membranes, mitochondria, vesicles, noise.

    `shape` is (Y, X) in pixels; `objects` is about the number of profiles. Labels are the profiles without
    their membranes. Returns a uint8 image.
    """
    rng = np.random.default_rng(seed)
    scale = float(np.sqrt(shape[0] * shape[1] / objects))
    rows, columns = pixel_grid(shape)
    bend = [0.1 * scale * _noise(rng, shape, (0.3 * scale, 0.3 * scale)) for _ in range(2)]
    owner, gap = _profiles(rng, shape, objects, np.stack([rows + bend[0], columns + bend[1]], axis=-1))
    width = 2.2 + 0.7 * _noise(rng, shape, (12.0, 12.0)).clip(-1.5, 2.5)
    labels = _pieces(np.where(gap > width, owner, 0))
    tones = rng.normal(0.68, 0.045, int(owner.max()) + 1)
    cytoplasm = tones[owner] + 0.035 * _noise(rng, shape, (1.0, 1.0)) + 0.03 * _noise(rng, shape, (5.0, 5.0))
    faintness = (0.75 + 0.25 * _noise(rng, shape, (14.0, 14.0))).clip(0.2, 1.0)
    image = cytoplasm - 0.42 * faintness * np.exp(-((gap / width) ** 4))
    for name in range(1, int(labels.max()) + 1):
        _add_organelles(rng, image, labels == name, scale)
    image = ndimage.gaussian_filter(image, 0.8) + 0.02 * _noise(rng, shape, (40.0, 40.0))
    return Scene(_to_uint8(image + rng.normal(0, 0.045, shape)), labels, "YX", 0.004)


def _pieces(owner: NDArray[np.int64]) -> Labels:
    """Connected pieces of the owned areas, numbered from 1; specks of a few pixels are left out."""
    labels, count = np.zeros(owner.shape, np.int32), 0
    for region in regionprops(owner):
        pieces = ndimage.label(region.image)[0]
        for piece in regionprops(pieces):
            if piece.area >= 40:
                count += 1
                labels[region.slice][piece.slice][piece.image] = count
    return labels


def _noise(rng: np.random.Generator, shape: tuple[int, ...], sigma: tuple[float, ...]) -> Float64:
    """Smooth random field with zero mean and unit variance."""
    field = ndimage.gaussian_filter(rng.normal(size=shape), sigma, mode="wrap")
    return np.asarray((field - field.mean()) / field.std())


def _dome(depth: Float64) -> Float64:
    """Thickness of a flattened body: 1 inside, falling steeply to 0 at the outline."""
    return np.asarray((1 - depth**2).clip(0, None) ** 0.4)


def _glow(rng: np.random.Generator, outlines: Iterable[Outline], grid: Grid) -> Float64:
    """Sum of the light of fluorescent nuclei: grainy chromatin, dark nucleoli, each as bright as it is."""
    shape = (grid[0].shape[0], grid[0].shape[1])
    light = np.zeros(shape)
    for outline in outlines:
        window = outline.window(shape)
        v, u, depth = outline.local(grid[0][window], grid[1][window])
        chromatin = _noise(rng, (48, 48), (1.6, 1.6)) + 0.5 * _noise(rng, (48, 48), (4.0, 4.0))
        texture = ndimage.map_coordinates(chromatin, [24 + 16 * v, 24 + 16 * u], order=1, mode="wrap")
        body = rng.lognormal(-0.1, 0.38) * _dome(depth) * (1 + 0.16 * texture)
        for _ in range(int(rng.integers(0, 4))):
            y, x = rng.uniform(-0.5, 0.5, 2)
            body *= 1 - 0.45 * np.exp(-((v - y) ** 2 + (u - x) ** 2) / (2 * 0.14**2))
        light[window] += body
    return light


def _cell_phase(rng: np.random.Generator, v: Float64, u: Float64, depth: Float64, grains: Float64) -> Float64:
    """Phase shift of one cell: body, denser rim, nucleus with nucleoli, granules around the nucleus."""
    body = (1 - depth**2).clip(0, None) ** 0.4 * rng.lognormal(0, 0.25)
    y, x = rng.uniform(-0.2, 0.2, 2)
    away = np.hypot(v - y, u - x) / 0.42
    nucleus = 0.12 * _dome(away) - 0.3 * np.exp(-(((away - 1) / 0.13) ** 2))
    for _ in range(int(rng.integers(1, 4))):
        dy, dx = rng.uniform(-0.2, 0.2, 2)
        nucleus += 0.6 * np.exp(-((v - y - dy) ** 2 + (u - x - dx) ** 2) / (2 * 0.07**2))
    granules = grains * (0.1 + 0.17 * np.exp(-(((away - 1.3) / 0.3) ** 2)))
    within = (1 - depth).clip(0, 0.1) / 0.1
    return np.asarray(body + within * (nucleus + granules))


def _profiles(
    rng: np.random.Generator, shape: tuple[int, int], objects: int, points: Float64
) -> tuple[NDArray[np.int64], Float64]:
    """Who owns each point (from 1), and how far it is, in pixels, from the seam with the next profile.

    A profile is the union of a few neighbouring Voronoi cells: this gives the winding shapes and the mix of
    sizes that single Voronoi cells lack.
    """
    seeds = rng.uniform(-0.1, 1.1, (int(objects * 1.44 * 4), 2)) * shape
    hubs = rng.uniform(-0.1, 1.1, (int(objects * 1.44), 2)) * shape
    jitter = rng.normal(0, 0.1 * np.sqrt(shape[0] * shape[1] / objects), seeds.shape)
    groups = np.asarray(cKDTree(hubs).query(seeds + jitter)[1])
    distances, neighbours = map(np.asarray, cKDTree(seeds).query(points, k=14))
    owners = groups[neighbours]
    apart = np.linalg.norm(seeds[neighbours] - seeds[neighbours[..., :1]], axis=-1)
    foreign = owners != owners[..., :1]
    seam = np.divide(
        distances**2 - distances[..., :1] ** 2, 2 * apart, out=np.full(apart.shape, np.inf), where=foreign
    )
    return owners[..., 0] + 1, seam.min(axis=-1)


def _add_organelles(
    rng: np.random.Generator, image: Float64, profile: NDArray[np.bool_], scale: float
) -> None:
    """Draw mitochondria and vesicles, in place, where the profile has room for them."""
    room = ndimage.distance_transform_edt(np.pad(profile, 1))[1:-1, 1:-1]
    rows, columns = pixel_grid((profile.shape[0], profile.shape[1]))
    for _ in range(int(rng.integers(0, 3))):
        places = np.argwhere(room > 0.17 * scale)
        if not len(places):
            break
        centre = places[rng.integers(len(places))]
        size = min(0.26 * scale, 0.85 * room[tuple(centre)])
        body = Outline(
            (float(centre[0]), float(centre[1])), (0.7 * size, size), float(rng.uniform(0, np.pi)), ()
        )
        window = body.window((profile.shape[0], profile.shape[1]))
        v, _u, depth = body.local(rows[window], columns[window])
        cristae = 0.06 * np.sin(2 * np.pi * v * body.radii[0] / 4.5)
        image[window] -= _dome(depth) * (0.17 + cristae) + 0.2 * np.exp(-(((depth - 0.95) * size / 1.6) ** 2))
        room[window] = np.minimum(room[window], (depth - 1).clip(0, None) * size)
    for row, column in rng.permutation(np.argwhere(room > 5))[: int(rng.poisson(4))]:
        window = slice(row - 5, row + 6), slice(column - 5, column + 6)
        away = np.hypot(rows[window] - row, columns[window] - column)
        image[window] -= 0.25 * np.exp(-((away - 2.6) ** 2))


def _through_lens(signal: Float64, sigma: float) -> Float64:
    """In-focus blur plus the wide skirt of light from above and below the plane of focus."""
    skirt = ndimage.gaussian_filter(signal, 14 * sigma)
    return np.asarray(ndimage.gaussian_filter(signal, sigma) + 0.22 * skirt)


def _illumination(rng: np.random.Generator, shape: tuple[int, int]) -> Float64:
    """Light over the field: about 1 at a place off the centre, about half of it in the far corner."""
    rows, columns = np.indices(shape) / np.reshape(shape, (2, 1, 1))
    y, x = rng.uniform(0.3, 0.7, 2)
    return np.asarray(1.0 / (1.0 + 1.1 * ((rows - y) ** 2 + (columns - x) ** 2)))


def _photograph(rng: np.random.Generator, signal: Float64) -> NDArray[np.uint16]:
    """A scientific camera: shot noise on signal and background, read noise, an offset of 100."""
    photons = rng.poisson(28.0 + 230.0 * signal)
    counts = 100.0 + 2.2 * photons + rng.normal(0, 5.0, signal.shape)
    return np.rint(counts).clip(0, 65535).astype(np.uint16)


def _to_uint8(image: Float64) -> NDArray[np.uint8]:
    return np.rint(255 * image).clip(0, 255).astype(np.uint8)
