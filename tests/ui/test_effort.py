"""How much less there is to do with our tools than with napari's alone; `make benchmark-effort` shows it.

The same scene of typical errors is repaired in the real window, by mouse and keys, in three ways: with our
tools by one key for each error, pressed over it, with the same tools by clicks and strokes, and with napari's
tools alone. Each is that of somebody who knows the tools well and repairs one kind of error after the other.
Another test repairs what the bundled model really gets wrong in a rendered image out of focus, in one more
way: by a walk over the places of "Next to fix" that takes what is suggested there where that is right, and by
our tools what is left.
"""

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from scipy import ndimage
from scipy.sparse.csgraph import connected_components
from skimage.measure import find_contours

from napari_unet.core.cells.metrics import evaluate
from napari_unet.core.synthetic.scenes import render_nuclei
from napari_unet.models.registry import find_model
from napari_unet.ui.panel.demo import Hands

KINDS = ("merged", "split", "missed", "false", "outline", "right")
EACH = 5
BRUSH = 10  # px, as napari comes
LINE = 2  # px, to cut with
SLOT = (54, 92)  # rows and columns for each error
RADIUS = 17.0
BRIGHT, DIM, DARK = 200, 80, 20
MOST = {"one key each": 1 / 3, "clicks and strokes": 0.56}
"""The events with our tools, in parts of those with napari's."""
SEED = 1
BLUR, NOISE = 2.5, 0.15  # px; of the standard deviation
WRONG = ("merged", "split", "missed", "false", "redrawn")


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

    def press_over(self, layer, point: Sequence[float], key: Qt.Key) -> None:
        """Press a key while the pointer is over a point."""
        self.point(layer, point)
        self._go(self.locate(layer, point))
        self.press(key)

    def drag(self, layer, points: Sequence[Sequence[float]]) -> None:
        super().drag(layer, points)
        places = [self.locate(layer, point) for point in points]
        steps = [np.hypot(b.x() - a.x(), b.y() - a.y()) for a, b in pairwise(places)]
        self._go(places[0])
        self.effort.events += 2
        self.effort.stroked += sum(steps)
        self.effort.moved += sum(steps)
        self._place = places[-1]

    def _go(self, place) -> None:
        came = self._place or place
        self.effort.moved += np.hypot(place.x() - came.x(), place.y() - came.y())
        self._place = place


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


def repair_by_keys(hands: CountingHands, layer, scene: Scene) -> None:
    """The key of each tool once to take it up, then once over each error.

    A cell that lacks a part is outlined anew; one with an appendix is cut at its neck, and the piece deleted.
    """
    key = Qt.Key
    long = [cell for cell in scene.errors["outline"] if _extra(layer.data, scene.cell(cell)).sum() > 50]
    short = [cell for cell in scene.errors["outline"] if cell not in long]
    pieces = {cell: middle(_extra(layer.data, scene.cell(cell))) for cell in long}

    def each(tool: Qt.Key, *errors: tuple[str, list]) -> None:
        for number, (kind, points) in enumerate(errors):
            hands.about = kind
            if number == 0:
                hands.take_up(tool)
            for point in points:
                hands.press_over(layer, point, tool)

    def seen(cells: Sequence[int]) -> list:
        return [middle(scene.cell(cell) & (layer.data > 0)) for cell in cells]

    pairs = [middle(np.isin(scene.truth, pair)) for pair in scene.errors["merged"]]
    each(key.Key_S, ("merged", pairs), ("outline", seen(long)))
    each(key.Key_J, ("split", seen(scene.errors["split"])))
    missed = [middle(scene.cell(cell)) for cell in scene.errors["missed"]]
    each(key.Key_N, ("missed", missed), ("outline", seen(short)))
    each(key.Key_D, ("false", scene.errors["false"]), ("outline", list(pieces.values())))


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
    hands.take_up(key)
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
    window.hands.press(Qt.Key.Key_Escape)  # not counted: the scene is as before for whoever comes next
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
    ways = {
        "one key each": repair_by_keys,
        "clicks and strokes": repair_by_tools,
        "napari alone": repair_by_napari,
    }
    efforts = {name: repair(window, scene, way) for name, way in ways.items()}
    print(f"\n{describe(efforts)}")
    events = {name: sum(effort.events for effort in way.values()) for name, way in efforts.items()}
    for way, most in MOST.items():
        assert events[way] <= most * events["napari alone"], way


def blur(scene, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A rendered image, out of focus and grainy, and the true cells."""
    rng = np.random.default_rng(seed)
    image = ndimage.gaussian_filter(scene.image.astype(float), BLUR)
    image += rng.normal(0, NOISE * image.std(), image.shape)
    return np.clip(image, 0, np.iinfo(scene.image.dtype).max).astype(scene.image.dtype), scene.labels


@dataclass
class Errors:
    """By kind, the (true ids, predicted ids) of cells that have to do with each other, not all right."""

    truth: np.ndarray
    found: dict[str, list[tuple[list[int], list[int]]]]

    @classmethod
    def find(cls, labels: np.ndarray, truth: np.ndarray) -> "Errors":
        true_ids, true = np.unique(truth, return_inverse=True)
        ids, predicted = np.unique(labels, return_inverse=True)
        table = np.zeros((true_ids.size, ids.size), int)
        np.add.at(table, (true.ravel(), predicted.ravel()), 1)
        areas, true_areas = table.sum(axis=0), table.sum(axis=1, keepdims=True)
        related = 2 * table > np.minimum(areas, true_areas)
        fits = 2 * table > areas + true_areas - table
        related[0], related[:, 0], fits[0], fits[:, 0] = False, False, False, False
        graph = np.block([[np.zeros((true_ids.size,) * 2), related], [related.T, np.zeros((ids.size,) * 2)]])
        _, groups = connected_components(graph, directed=False)
        found: dict[str, list] = {kind: [] for kind in WRONG}
        for group in np.unique(groups):
            rows, columns = (np.flatnonzero(side == group) for side in np.split(groups, [true_ids.size]))
            rows, columns = rows[rows > 0], columns[columns > 0]
            if fits[np.ix_(rows, columns)].sum() * 2 < rows.size + columns.size:
                kind = cls._name(rows.size, columns.size)
                found[kind].append((true_ids[rows].tolist(), ids[columns].tolist()))
        return cls(truth, found)

    @staticmethod
    def _name(true: int, predicted: int) -> str:
        if not true or not predicted:
            return "missed" if true else "false"
        if (true, predicted) == (2, 1):
            return "merged"
        return "split" if true == 1 and predicted > 1 else "redrawn"

    def __len__(self) -> int:
        return sum(map(len, self.found.values()))


def mend_by_tools(hands: CountingHands, layer, errors: Errors) -> None:
    """Split by a line, merge by a stroke, draw around, delete by a click; draw anew what is else wrong."""
    key, truth, found = Qt.Key, errors.truth, errors.found

    def each(kinds: Sequence[str], tool: Qt.Key, strokes: Callable) -> None:
        errors = [(kind, *error) for kind in kinds for error in found[kind]]
        for number, (kind, true, predicted) in enumerate(errors):
            hands.about = kind
            if number == 0:
                hands.take_up(tool)
            for stroke in strokes(true, predicted):
                hands.drag(layer, stroke)

    each(["merged"], key.Key_S, lambda true, _: [_border(*(truth == cell for cell in true))])
    each(["split"], key.Key_J, lambda _, old: [[middle(layer.data == cell) for cell in old]])
    each(["false", "redrawn"], key.Key_D, lambda _, old: [[middle(layer.data == cell)] for cell in old])
    each(["missed", "redrawn"], key.Key_N, lambda true, _: [contour(truth == cell) for cell in true])


def mend_by_keys(hands: CountingHands, layer, errors: Errors) -> None:
    """One key over each error; taken back by another where that was of no use, and mended by strokes then."""
    key, truth = Qt.Key, errors.truth
    tools = {
        "merged": (key.Key_S, lambda _, old: layer.data == old[0]),
        "split": (
            key.Key_J,
            lambda _, old: layer.data == min(old, key=lambda one: (layer.data == one).sum()),
        ),
        "missed": (key.Key_N, lambda true, _: truth == true[0]),
        "redrawn": (key.Key_N, lambda true, old: (truth == true[0]) & (layer.data == old[0])),
        "false": (key.Key_D, lambda _, old: layer.data == old[0]),
    }
    armed = None
    for kind, (tool, where) in tools.items():
        hands.about = kind
        for true, old in errors.found[kind]:
            mask = where(true, old)
            if len(true) > 2 or not mask.any():
                continue
            if tool is not armed:
                hands.take_up(tool)
                armed = tool
            before, wrong = layer.data.copy(), len(Errors.find(layer.data, truth))
            hands.press_over(layer, middle(mask), tool)
            if (layer.data != before).any() and len(Errors.find(layer.data, truth)) >= wrong:
                hands.canvas.setFocus()
                QTest.keyClick(hands.canvas, key.Key_Z, Qt.KeyboardModifier.ControlModifier)
                hands.effort.events += 1
                np.testing.assert_array_equal(layer.data, before)
    left = Errors.find(layer.data, truth)
    if len(left):
        hands.press(key.Key_Escape)  # so that the next key takes a tool up
        mend_by_tools(hands, layer, left)


def mend_by_napari(hands: CountingHands, layer, errors: Errors) -> None:
    """Cut with a thin eraser and fill, fill pieces alike or with background, paint with the thick brush."""
    key, truth, found = Qt.Key, errors.truth, errors.found
    if found["merged"]:
        hands.about = "merged"
        hands.press(key.Key_1)
        hands.hold(key.Key_BracketLeft, BRUSH - LINE)
        for true, _ in found["merged"]:
            hands.drag(layer, _border(*(truth == cell for cell in true)))
        hands.press(key.Key_4)
        for true, _ in found["merged"]:
            hands.press(key.Key_M)
            hands.drag(layer, [middle((truth == true[1]) & (layer.data > 0))])
        hands.hold(key.Key_BracketRight, BRUSH - LINE)
    for kind in ("split", "false", "redrawn"):
        hands.about = kind
        for number, (_, predicted) in enumerate(found[kind]):
            if number == 0:
                hands.press(key.Key_4)
            if kind == "split":
                hands.press(key.Key_M)
            elif layer.selected_label != 0:
                hands.press(key.Key_X)
            for cell in predicted:
                hands.drag(layer, [middle(layer.data == cell)])
    for kind in ("redrawn", "missed"):
        hands.about = kind
        cells = [cell for true, _ in found[kind] for cell in true]
        for number, cell in enumerate(cells):
            if number == 0:
                hands.press(key.Key_2)
            hands.press(key.Key_M)
            hands.drag(layer, sweep(truth == cell, truth == cell))


def mend_by_walk(window, hands: CountingHands, truth: np.ndarray) -> tuple[int, int]:
    """Go from place to place as long as there are suggestions, take what is right, pass over what is not.

    Returns how many suggestions there were, and how many were taken.
    """
    hands.about = "walk"
    seen = taken = 0
    _press(window, hands, Qt.Key.Key_N, Qt.KeyboardModifier.ShiftModifier)
    while (place := window.panel.canvas.image.open_place) is not None and place.suggestion is not None:
        layer, seen = window.labels, seen + 1
        mended = layer.data.copy()
        place.suggestion.plan(mended, iter(range(10**6, 2 * 10**6))).apply(mended)
        if len(Errors.find(mended, truth)) < len(Errors.find(layer.data, truth)):
            _press(window, hands, Qt.Key.Key_T)
            taken += 1
        else:
            _press(window, hands, Qt.Key.Key_N, Qt.KeyboardModifier.ShiftModifier)
    _press(window, hands, Qt.Key.Key_R, Qt.KeyboardModifier.ControlModifier)  # the whole image
    return seen, taken


def _press(window, hands: CountingHands, key: Qt.Key, modifier=Qt.KeyboardModifier.NoModifier) -> None:
    hands.canvas.setFocus()
    QTest.keyClick(hands.canvas, key, modifier)
    hands.effort.events += 1
    window.wait(lambda: window.panel.canvas.image.tour is not None)
    window.settle()


@pytest.fixture
def bundled_model() -> Path:
    """The model that ships, found before the windows of these tests are told that none does."""
    return find_model("nuclei")


def test_suggestions_save_events_where_the_bundled_model_errs(bundled_model, open_window, project):
    for path in project.models_folder.glob("*.keras"):
        path.unlink()
    shutil.copy(bundled_model, project.models_folder)
    window = open_window("napari_unet.jobs.table")
    image, truth = blur(render_nuclei((768, 1024), objects=520, seed=SEED), SEED)
    window.add_image(image)
    window.hands.click(window.panel.step1.segment)
    window.wait(lambda: window.panel.session.run is None and window.panel.canvas.image.counts)
    window.settle()
    before, efforts = window.labels.data.copy(), {}
    wrong, seen, taken = len(Errors.find(before, truth)), 0, 0
    ways = {"napari alone": mend_by_napari, "one key each": mend_by_keys}
    for way in ("napari alone", "our tools", "one key each", "suggestions"):
        hands, layer = CountingHands(window.viewer), window.labels
        window.viewer.reset_view()
        if way == "suggestions":
            seen, taken = mend_by_walk(window, hands, truth)
        mend = ways.get(way, mend_by_tools)
        mend(hands, layer, Errors.find(layer.data, truth))
        assert len(Errors.find(layer.data, truth)) <= 1, way  # a brush is too thick for the smallest cell
        window.hands.press(Qt.Key.Key_Escape)
        every = hands.efforts.values()
        efforts[way] = Effort(sum(one.events for one in every), moved=sum(one.moved for one in every))
        here = np.nonzero(layer.data != before)
        layer.data_setitem(here, before[here])
        window.settle()
    print(f"\n{wrong} errors, {seen} suggestions seen, {taken} taken; {efforts}")
    assert taken > 0
    assert efforts["suggestions"].events < efforts["napari alone"].events
    assert efforts["one key each"].events < efforts["our tools"].events
    assert efforts["suggestions"].moved < efforts["our tools"].moved
