"""The same view under two models, side by side: what the old labels were, what the new ones are."""

from __future__ import annotations

from typing import Any

import numpy as np
from napari.layers import Image
from qtpy.QtCore import QObject, QPointF, QRectF, QSize, Qt, Signal
from qtpy.QtGui import QColor, QImage, QMouseEvent, QPainter, QPainterPath, QPaintEvent, QPen, QWheelEvent
from qtpy.QtWidgets import QDialog, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from napari_unet.core.base import Box, Index
from napari_unet.core.cells import Fate, Polygon, find_changes, trace_polygons
from napari_unet.session import OpenImage, read_plane
from napari_unet.ui.canvas import Canvas
from napari_unet.ui.canvas import layers as shown

COLOURS = {Fate.SAME: "#BBBBBB", Fate.RESHAPED: "#56B4E9", Fate.UNMATCHED: "#E69F00"}
_WIDTHS = {Fate.SAME: 1.0, Fate.RESHAPED: 2.0, Fate.UNMATCHED: 3.0}
_ZOOM = 1.25  # per notch of the wheel
_CLOSEST = 12.0  # px, the least that is shown across
_AROUND = 4.0  # how much wider than a cell the view on it is


class Comparer:
    """Opens the window for the trial that is undecided, and closes it once that is decided."""

    def __init__(self, canvas: Canvas, parent: QWidget) -> None:
        self._canvas, self._session, self._parent = canvas, canvas.session, parent
        self.window: Comparison | None = None

    def open(self) -> None:
        """Show what the canvas shows of the image on trial under both models."""
        images, trial = self._session.images, self._session.trial
        image = images.get(trial.key) if trial is not None else None
        cells = self._canvas.watch.find(image.key) if image is not None else None
        layer = next(iter(self._canvas.find_layers(image)), None) if image is not None else None
        if trial is None or image is None or cells is None or layer is None:
            return
        viewer = self._canvas.viewer
        plane = shown.shown_plane(viewer, layer, image.grid)
        box = shown.visible_box(viewer, cells, image.grid)
        rows, columns = box[-2:] if box is not None else [(0, side) for side in image.grid.label_shape[-2:]]

        def show(old: np.ndarray, new: np.ndarray) -> None:
            if trial is self._session.trial:
                self.close()
                pixels = _read_colours(layer, image, plane)
                names = trial.parent.stem, trial.model.stem
                self.window = opened = Comparison(self._parent, pixels, (old, new), names, (rows, columns))
                opened.finished.connect(lambda: self._forget(opened))
                opened.show()

        self._session.compare(plane, show)

    def refresh(self) -> None:
        """Close the window unless there is something to decide."""
        if self._session.trial is None:
            self.close()

    def close(self) -> None:
        """Close the window."""
        if self.window is not None:
            self.window.close()

    def _forget(self, closed: Comparison) -> None:
        if self.window is closed:
            self.window = None


class View(QObject):
    """Which part of the plane both panes show: its centre and how many screen pixels a pixel takes."""

    changed = Signal()

    def __init__(self, shape: tuple[int, int]) -> None:
        super().__init__()
        self.bounds = QRectF(0, 0, shape[1], shape[0])
        self.centre, self.zoom = self.bounds.center(), 0.0
        self.cursor: QPointF | None = None

    def fit(self, size: QSize, part: QRectF) -> None:
        """Show all of a part of the plane in panes of a size."""
        self.centre = part.center()
        self.zoom = min(size.width() / part.width(), size.height() / part.height())
        self.changed.emit()

    def magnify(self, factor: float, about: QPointF) -> None:
        """Zoom so that the place `about` stays where it is."""
        most = 4000 / _CLOSEST
        factor = min(max(self.zoom * factor, 0.02), most) / self.zoom
        self.zoom *= factor
        self.centre = about + (self.centre - about) / factor
        self.changed.emit()

    def move(self, by: QPointF) -> None:
        """Move the plane by screen pixels."""
        self.centre -= by / self.zoom
        self.changed.emit()

    def point(self, place: QPointF | None) -> None:
        """Show in both panes where the mouse is."""
        self.cursor = place
        self.changed.emit()


class Pane(QWidget):
    """One of the two: the image with outlines on it. Drag to move, wheel to zoom; both follow."""

    def __init__(self, name: str, view: View, image: QImage, outlines: dict[Fate, QPainterPath]) -> None:
        super().__init__(objectName=name)
        self.view, self.outlines, self._image = view, outlines, image
        self._grabbed: QPointF | None = None
        self.setMouseTracking(True)
        self.setCursor(Qt.CursorShape.CrossCursor)
        self.setMinimumSize(240, 240)
        view.changed.connect(self.update)

    def place(self, at: QPointF) -> QPointF:
        """Return where on the plane (x, y) a point of the widget is."""
        return self.view.centre + (at - QRectF(self.rect()).center()) / self.view.zoom

    def paintEvent(self, _event: QPaintEvent | None) -> None:  # noqa: N802 - Qt's name
        """Paint the image, the outlines from the plainest to the most telling, and the other's cursor."""
        if not self.view.zoom:
            return
        painter = QPainter(self)
        painter.fillRect(self.rect(), Qt.GlobalColor.black)
        painter.translate(QRectF(self.rect()).center())
        painter.scale(self.view.zoom, self.view.zoom)
        painter.translate(-self.view.centre)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, self.view.zoom < 1)
        painter.drawImage(self.view.bounds, self._image)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for fate, path in self.outlines.items():
            pen = QPen(QColor(COLOURS[fate]), _WIDTHS[fate])
            pen.setCosmetic(True)
            painter.setPen(pen)
            painter.drawPath(path)
        if self.view.cursor is not None and not self.underMouse():
            self._paint_cross(painter, self.view.cursor, 8 / self.view.zoom)

    def wheelEvent(self, event: QWheelEvent | None) -> None:  # noqa: N802 - Qt's name
        """Zoom both panes about the mouse."""
        if event is not None:
            self.view.magnify(_ZOOM ** (event.angleDelta().y() / 120), self.place(event.position()))

    def mousePressEvent(self, event: QMouseEvent | None) -> None:  # noqa: N802 - Qt's name
        """Take hold of the plane."""
        if event is not None:
            self._grabbed = event.position()

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:  # noqa: N802 - Qt's name
        """Move the plane where it is held; show the place in the other pane."""
        if event is None:
            return
        if self._grabbed is not None and event.buttons():
            self.view.move(event.position() - self._grabbed)
            self._grabbed = event.position()
        self.view.point(self.place(event.position()))

    def mouseReleaseEvent(self, _event: QMouseEvent | None) -> None:  # noqa: N802 - Qt's name
        """Let go of the plane."""
        self._grabbed = None

    def leaveEvent(self, _event: Any) -> None:  # noqa: N802 - Qt's name
        """Take the cross out of the other pane."""
        self.view.point(None)

    @staticmethod
    def _paint_cross(painter: QPainter, at: QPointF, size: float) -> None:
        pen = QPen(Qt.GlobalColor.white, 1)
        pen.setCosmetic(True)
        painter.setPen(pen)
        painter.drawLine(at - QPointF(size, 0), at + QPointF(size, 0))
        painter.drawLine(at - QPointF(0, size), at + QPointF(0, size))


class Comparison(QDialog):
    """A window beside napari's with a plane of an image under the old and the new model.

    `pixels` are (Y, X, 3) uint8; `old` and `new` labels (Y, X); `names` those of the two models; `box` is the
    part ((top, bottom), (left, right)) to begin with; what lies around it can be moved to.
    """

    def __init__(
        self,
        parent: QWidget,
        pixels: np.ndarray,
        labels: tuple[np.ndarray, np.ndarray],
        names: tuple[str, str],
        box: Box,
    ) -> None:
        super().__init__(parent, objectName="comparison")
        self.setWindowTitle("Compare the models")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        around = [_widen(span, size) for span, size in zip(box, pixels.shape, strict=False)]
        part = tuple(slice(*span) for span in around)
        old, new = (side[part] for side in labels)
        self.changes = find_changes(old, new)
        self._pixels = np.ascontiguousarray(pixels[part])  # QImage does not own what it shows
        height, width, _ = self._pixels.shape
        image = QImage(self._pixels.data, width, height, 3 * width, QImage.Format.Format_RGB888)
        self.view = View((height, width))
        rings = trace_polygons(old), trace_polygons(new)
        fates = self.changes.old, self.changes.new
        self.panes = tuple(
            Pane(name, self.view, image, _gather(rings[side], fates[side]))
            for side, name in enumerate(("before", "after"))
        )
        self._places = _find_places(rings, fates)
        self._visited = -1
        (top, bottom), (left, right) = box
        self._begin = QRectF(left - around[1][0], top - around[0][0], right - left, bottom - top)
        self.next_change = QPushButton("Next change", objectName="next_change")
        self.next_change.setToolTip("Show the next cell that is gone, new, or has another outline")
        self.next_change.setEnabled(bool(self._places))
        self.whole = QPushButton("Whole view", objectName="whole_view")
        self._lay_out(names)
        self.next_change.clicked.connect(self.visit_next)
        self.whole.clicked.connect(lambda: self.view.fit(self.panes[0].size(), self._begin))

    def visit_next(self) -> None:
        """Show the next cell that is not the same."""
        self._visited = (self._visited + 1) % len(self._places)
        place = self._places[self._visited]
        more = (_AROUND - 1) / 2 * max(place.width(), place.height(), _CLOSEST / _AROUND)
        self.view.fit(self.panes[0].size(), place.adjusted(-more, -more, more, more))

    def showEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        """Begin with what the canvas shows."""
        super().showEvent(event)
        self.view.fit(self.panes[0].size(), self._begin)

    def _lay_out(self, names: tuple[str, str]) -> None:
        panes = QHBoxLayout()
        for title, name, pane in zip(("Before", "After"), names, self.panes, strict=True):
            column = QVBoxLayout()
            column.addWidget(QLabel(f"<b>{title}</b>: {name}"))
            column.addWidget(pane, 1)
            panes.addLayout(column, 1)
        gone, other, same = (
            f"<span style='color:{COLOURS[fate]}'>■</span> {text}"
            for fate, text in (
                (Fate.UNMATCHED, "gone or new"),
                (Fate.RESHAPED, "another outline"),
                (Fate.SAME, "the same"),
            )
        )
        self.summary = QLabel(f"{self.changes.describe()}.", objectName="changes")
        below = QHBoxLayout()
        below.addWidget(QLabel(f"{gone} &nbsp; {other} &nbsp; {same}"))
        below.addStretch()
        below.addWidget(self.whole)
        below.addWidget(self.next_change)
        layout = QVBoxLayout(self)
        layout.addWidget(self.summary)
        layout.addLayout(panes, 1)
        layout.addLayout(below)
        self.resize(1000, 600)


def _widen(span: tuple[int, int], size: int) -> tuple[int, int]:
    """Return a side of a view with half as much again before and after it, for those who move it."""
    more = (span[1] - span[0]) // 2
    return max(span[0] - more, 0), min(span[1] + more, size)


def _read_colours(layer: Image, image: OpenImage, plane: Index) -> np.ndarray:
    """Return a plane of an image in the colours that its layer has, (Y, X, 3) uint8."""
    if layer.rgb:
        colours = read_plane(image.source.data, image.grid.axes, plane)[..., :3]
        return colours if colours.dtype == np.uint8 else _stretch(colours, colours.min(), colours.max())
    pixels = image.grid.plane(image.source.data, plane, image.channel)
    grey = pixels.mean(axis=-1)
    mixed = pixels.shape[-1] > 1 or isinstance(image.channel, tuple | list)
    low, high = (grey.min(), grey.max()) if mixed else layer.contrast_limits
    table = np.asarray(layer.colormap.map(np.linspace(0, 1, 256))[..., :3] * 255, np.uint8)
    return np.asarray(table[_stretch(grey, low, high)])


def _stretch(values: np.ndarray, low: float, high: float) -> np.ndarray:
    span = max(float(high) - float(low), 1e-12)
    return np.asarray(np.clip((values - float(low)) / span, 0, 1) * 255, np.uint8)


def _gather(rings: dict[int, list[Polygon]], fates: Any) -> dict[Fate, QPainterPath]:
    """Return the outlines of the cells of each fate as one path."""
    paths = {fate: QPainterPath() for fate in Fate}
    for label, polygons in rings.items():
        for ring in (ring for polygon in polygons for ring in polygon):
            first, *others = (QPointF(*map(float, corner)) for corner in ring)
            path = paths[fates[label]]
            path.moveTo(first)
            for corner in others:
                path.lineTo(corner)
            path.closeSubpath()
    return paths


def _find_places(rings: tuple[dict[int, list[Polygon]], ...], fates: tuple[Any, ...]) -> list[QRectF]:
    """Return the boxes of the cells that are not the same, those gone or new first, each place once."""
    places: list[QRectF] = []
    for fate in (Fate.UNMATCHED, Fate.RESHAPED):
        for side in (1, 0):
            for label, polygons in rings[side].items():
                corners = np.concatenate([polygon[0] for polygon in polygons])
                (left, top), (right, bottom) = corners.min(axis=0), corners.max(axis=0)
                box = QRectF(left, top, right - left, bottom - top)
                if fates[side][label] == fate and not any(p.contains(box.center()) for p in places):
                    places.append(box)
    return places
