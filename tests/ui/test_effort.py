"""How much less there is to do with our tools than with napari's alone; `make benchmark-effort` shows it.

The same scene of typical errors is repaired in the real window, by mouse and keys, in two ways. Each is that
of somebody who knows the tools well and repairs one kind of error after the other.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from scipy import ndimage
from skimage.measure import find_contours

from napari_unet.core.metrics import evaluate
from napari_unet.ui.demo import Hands

KINDS = ("merged", "split", "missed", "false", "outline", "right")
EACH = 5
BRUSH = 10  # px, as napari comes
LINE = 2  # px, to cut with
SLOT = (54, 92)  # rows and columns for each error
RADIUS = 17.0
BRIGHT, DIM, DARK = 200, 80, 20
MOST = 0.56
"""The events with our tools, in parts of those with napari's."""


@dataclass
class Scene:
    """An image, the true cells in it, and by kind of error the true ids, or a point in each false cell."""

    image: np.ndarray
    truth: np.ndarray
    errors: dict[str, list]

    def cell(self, label: int) -> np.ndarray:
        """Where a true cell is."""
        return self.truth == label


def draw_scene(seed: int = 0) -> Scene:
    """Draw 30 places, 5 of each kind, in random order."""
    rng = np.random.default_rng(seed)
    shape = (SLOT[0] * len(KINDS), SLOT[1] * EACH)
    scene = Scene(np.full(shape, DARK, np.uint8), np.zeros(shape, np.int32), {kind: [] for kind in KINDS})
    for slot, kind in enumerate(rng.permutation(np.repeat(KINDS, EACH))):
        row, column = divmod(slot, EACH)
        centre = np.array([(row + 0.5) * SLOT[0], (column + 0.5) * SLOT[1]])
        scene.errors[kind] += list(_draw(scene, str(kind), centre, len(scene.errors[kind]), rng))
    return scene


def _draw(scene: Scene, kind: str, centre: np.ndarray, number: int, rng: np.random.Generator) -> Iterator:
    image, truth, beside = scene.image, scene.truth, np.array([0, 15])
    if kind == "false":
        image[_blob(image.shape, centre, 9, rng)] = BRIGHT
        yield centre
        return
    if kind == "merged":
        pair = [centre - beside, centre + beside]
        cells = [_blob(image.shape, at, RADIUS - 1, rng) for at in pair]
        y, x = np.indices(image.shape)
        near = [np.hypot(y - at[0], x - at[1]) for at in pair]
        labels = [int(truth.max()) + 1, int(truth.max()) + 2]
        both = cells[0] & cells[1]
        truth[cells[0] & (~both | (near[0] <= near[1]))] = labels[0]
        truth[cells[1] & (~both | (near[0] > near[1]))] = labels[1]
        image[cells[0] | cells[1]] = BRIGHT
        yield tuple(labels)
        return
    cell = _blob(image.shape, centre, RADIUS, rng)
    label = int(truth.max()) + 1
    truth[cell] = label
    image[cell] = DIM if kind == "missed" else BRIGHT
    columns = np.arange(image.shape[1])[None] - centre[1]
    if kind == "split":
        image[cell & (np.abs(columns - rng.uniform(-3, 3)) < 1)] = DIM
    if kind == "outline" and number % 2 == 0:
        image[cell & (columns > 3)] = DIM
    elif kind == "outline":
        image[_blob(image.shape, centre + beside * 5 / 3, 12, rng) & ~cell] = BRIGHT
    yield label


def _blob(shape: Sequence[int], centre: np.ndarray, radius: float, rng: np.random.Generator) -> np.ndarray:
    """A cell with a smooth, irregular outline."""
    y, x = np.indices(shape)
    angle = np.arctan2(y - centre[0], x - centre[1])
    waves = sum(
        part * np.cos(order * angle + rng.uniform(0, 2 * np.pi))
        for order, part in ((2, 0.08), (3, 0.05), (5, 0.03))
    )
    return np.hypot(y - centre[0], x - centre[1]) < radius * (1 + waves)


@dataclass
class Effort:
    """What was done: presses and releases of the mouse, keys, and px of the screen that the pointer went."""

    events: int = 0
    stroked: float = 0.0
    moved: float = 0.0


class CountingHands(Hands):
    """Hands that keep count by the kind of error that they are `about`.

    A click is a press and a release, and so is a stroke, however long. A key counts once, held down or not.
    """

    def __init__(self, viewer) -> None:
        super().__init__(viewer)
        self.about = ""
        self.efforts: dict[str, Effort] = {}
        self._place = None

    @property
    def effort(self) -> Effort:
        return self.efforts.setdefault(self.about, Effort())

    def press(self, key: Qt.Key) -> None:
        super().press(key)
        self.effort.events += 1

    def hold(self, key: Qt.Key, times: int) -> None:
        """Hold a key down until it has come so many times."""
        for _ in range(times):
            super().press(key)
        self.effort.events += 1

    def pick(self, layer, point: Sequence[float]) -> None:
        """Hold down L, which picks a label by a click and then goes back to what was done before."""
        self.canvas.setFocus()
        QTest.keyPress(self.canvas, Qt.Key.Key_L)
        QTest.qWait(600)  # shorter, it would stay
        self.drag(layer, [point])
        QTest.keyRelease(self.canvas, Qt.Key.Key_L)
        self.effort.events += 1

    def drag(self, layer, points: Sequence[Sequence[float]]) -> None:
        super().drag(layer, points)
        places = [self.locate(layer, point) for point in points]
        steps = [np.hypot(b.x() - a.x(), b.y() - a.y()) for a, b in pairwise(places)]
        came = self._place or places[0]
        self.effort.events += 2
        self.effort.stroked += sum(steps)
        self.effort.moved += sum(steps) + np.hypot(places[0].x() - came.x(), places[0].y() - came.y())
        self._place = places[-1]


def middle(mask: np.ndarray) -> tuple[int, int]:
    """The point deepest in a mask."""
    depth = ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    row, column = np.unravel_index(depth.argmax(), depth.shape)
    return int(row), int(column)


def contour(mask: np.ndarray, every: int = 5) -> list[tuple[float, float]]:
    """The outline of a mask as a hand draws it."""
    line = max(find_contours(np.pad(mask, 1).astype(float), 0.5), key=len) - 1
    return [tuple(point) for point in line[::every]]


def sweep(target: np.ndarray, allowed: np.ndarray, brush: float = BRUSH) -> list[tuple[float, float]]:
    """One stroke of a brush all over a target, along its edge, then to and fro, that stays where it may."""
    radius = brush / 2
    depth = ndimage.distance_transform_edt(np.pad(allowed, 1, constant_values=True))[1:-1, 1:-1]
    reach = (depth > radius) & (ndimage.distance_transform_edt(~target) < radius)
    pieces, _ = ndimage.label(reach)
    reach = pieces == np.bincount(pieces[reach]).argmax()
    path = contour(ndimage.binary_erosion(reach, border_value=1) | reach)
    rows = np.unique(np.nonzero(reach)[0])
    for number, row in enumerate(rows[:: max(1, round(radius))]):
        columns = np.flatnonzero(reach[row])
        ends = [(row, columns[0]), (row, columns[-1])]
        path += ends if number % 2 == 0 else ends[::-1]
    return path


def repair_by_tools(hands: CountingHands, layer, scene: Scene) -> None:
    """Split by clicks, merge by strokes, delete by clicks, draw around, extend and shave: ours."""
    key = Qt.Key
    _do(hands, scene, "merged", key.Key_S, lambda pair: [middle(np.isin(scene.truth, pair))], layer)
    _do(hands, scene, "split", key.Key_J, lambda cell: _across(scene.cell(cell)), layer)
    _do(hands, scene, "missed", key.Key_N, lambda cell: contour(scene.cell(cell)), layer)
    _do(hands, scene, "false", key.Key_D, lambda point: [point], layer)
    _do(hands, scene, "outline", key.Key_G, lambda cell: _improve(layer.data, scene, cell), layer)


def _do(hands, scene: Scene, kind: str, key: Qt.Key, stroke: Callable, layer) -> None:
    hands.about = kind
    hands.press(key)
    for error in scene.errors[kind]:
        hands.drag(layer, stroke(error))


def _across(cell: np.ndarray) -> list[tuple[float, float]]:
    row, column = ndimage.center_of_mass(cell)
    return [(row, column - 9), (row, column + 9)]


def _improve(labels: np.ndarray, scene: Scene, cell: int) -> list[tuple[float, float]]:
    """Out of what there is of a cell over what is missing, or from outside over what is too much."""
    truth = scene.cell(cell)
    missing, extra = truth & (labels == 0), _extra(labels, truth)
    if missing.sum() > extra.sum():
        return [middle(truth & (labels > 0)), *sweep(missing, truth)]
    path = sweep(extra, ~truth)
    away = max(path, key=lambda point: ndimage.distance_transform_edt(~truth)[_pixel(point)])
    row, column = away
    return [(row, column + BRUSH), *path]


def _extra(labels: np.ndarray, truth: np.ndarray) -> np.ndarray:
    return (labels == labels[middle(truth & (labels > 0))]) & ~truth


def _pixel(point: Sequence[float]) -> tuple[int, int]:
    return round(point[0]), round(point[1])


def repair_by_napari(hands: CountingHands, layer, scene: Scene) -> None:
    """The fewest events with the brush, the eraser, the bucket, the picker and new labels that we could find.

    Merged cells: a thin line erased between them, then one of them filled with a new label. Split ones: both
    pieces filled with a new label, which takes less than to pick the label of one. Missed ones: a new label,
    and one stroke of the thick brush all over the cell. False ones: filled with background. Outlines: the
    label picked while L is held down, and what is missing painted; or what is too much erased.
    """
    key = Qt.Key
    hands.about = "merged"
    hands.press(key.Key_1)
    hands.hold(key.Key_BracketLeft, BRUSH - LINE)
    for first, second in scene.errors["merged"]:
        hands.drag(layer, _border(scene.cell(first), scene.cell(second)))
    hands.press(key.Key_4)
    for number, (_, second) in enumerate(scene.errors["merged"]):
        if number:  # the label that is selected to begin with is a new one
            hands.press(key.Key_M)
        hands.drag(layer, [middle(scene.cell(second) & (layer.data > 0))])
    hands.about = "split"
    for cell in scene.errors["split"]:
        hands.press(key.Key_M)
        for end in _across(scene.cell(cell)):
            hands.drag(layer, [end])
    hands.about = "false"
    hands.press(key.Key_X)
    for point in scene.errors["false"]:
        hands.drag(layer, [point])
    hands.about = "missed"
    hands.press(key.Key_2)
    hands.hold(key.Key_BracketRight, BRUSH - LINE)
    for cell in scene.errors["missed"]:
        hands.press(key.Key_M)
        hands.drag(layer, sweep(scene.cell(cell), scene.cell(cell)))
    hands.about = "outline"
    small = [cell for cell in scene.errors["outline"] if (layer.data[scene.cell(cell)] == 0).mean() > 0.1]
    for cell in small:
        truth = scene.cell(cell)
        hands.pick(layer, middle(truth & (layer.data > 0)))
        hands.drag(layer, sweep(truth & (layer.data == 0), truth))
    hands.press(key.Key_1)
    for cell in set(scene.errors["outline"]) - set(small):
        truth = scene.cell(cell)
        hands.drag(layer, sweep(_extra(layer.data, truth), ~truth))


def _border(first: np.ndarray, second: np.ndarray) -> list[tuple[float, float]]:
    """A line between two cells that touch, from background to background."""
    here = ndimage.binary_dilation(first) & second
    rows, columns = np.nonzero(here)
    ends = rows.argmin(), rows.argmax()
    top, bottom = ((rows[end], columns[end]) for end in ends)
    inner = [(row, columns[rows == row].mean()) for row in np.unique(rows)[::3]]
    return [(top[0] - 3, top[1]), *inner, (bottom[0] + 3, bottom[1])]


def repair(window, scene: Scene, way: Callable) -> dict[str, Effort]:
    """Repair the scene, check that each cell is right then and that nothing else is there; take all back."""
    layer, hands = window.labels, CountingHands(window.viewer)
    before = layer.data.copy()
    way(hands, layer, scene)
    repaired = evaluate(layer.data, scene.truth)
    assert repaired.ap90 == 1, repaired
    here = np.nonzero(layer.data != before)
    layer.data_setitem(here, before[here])
    window.settle()
    return hands.efforts


def describe(efforts: dict[str, dict[str, Effort]]) -> str:
    """A table of the events, and of the pointer's way, by kind of error and way."""
    kinds = [kind for kind in KINDS if kind != "right"]
    lines = ["| | " + " | ".join([*kinds, "all", "strokes, px", "pointer, px"]) + " |", "|---" * 9 + "|"]
    for way, by_kind in efforts.items():
        every = [by_kind[kind] for kind in kinds]
        sums = [sum(getattr(effort, name) for effort in every) for name in ("events", "stroked", "moved")]
        cells = [*(str(effort.events) for effort in every), *(f"{total:.0f}" for total in sums)]
        lines.append(f"| {way} | {' | '.join(cells)} |")
    return "\n".join(lines)


def test_our_tools_take_fewer_events_than_those_of_napari(window):
    scene = draw_scene()
    window.add_image(scene.image)
    found = evaluate(window.segment().data, scene.truth)
    assert (found.merged, found.missed, found.false) == (EACH, EACH, EACH)
    assert found.split >= EACH
    assert found.ap90 < 0.4
    ways = {"our tools": repair_by_tools, "napari alone": repair_by_napari}
    efforts = {name: repair(window, scene, way) for name, way in ways.items()}
    ours, theirs = (sum(effort.events for effort in way.values()) for way in efforts.values())
    print(f"\n{describe(efforts)}\n{ours / theirs:.2f} of the events")
    assert ours <= MOST * theirs
