"""The dock widget: three steps from an image to a better model."""

from __future__ import annotations

from pathlib import Path
from threading import Thread
from typing import Any

from napari.layers import Image, Layer
from qtpy.QtCore import QEvent, QObject, QTimer
from qtpy.QtWidgets import QVBoxLayout, QWidget
from superqt.utils import signals_blocked

from napari_unet.core.base import Box, InputError, Progress
from napari_unet.session import Activity, OpenImage, Session
from napari_unet.store import Project
from napari_unet.ui.canvas import EditWatch, ReviewedOverlay, ToolBox, Walk
from napari_unet.ui.canvas import layers as shown
from napari_unet.ui.common import (
    PANEL,
    Poster,
    RunBar,
    ScrollColumn,
    ask_for_images,
    open_images,
    paint_later,
    preload,
    set_look,
    spare_the_first_labels,
)
from napari_unet.ui.panel.compare import Comparer
from napari_unet.ui.panel.correct import CorrectStep
from napari_unet.ui.panel.fine_tune import FineTuneStep
from napari_unet.ui.panel.guide import explain_no_learning, find_next_step, greet
from napari_unet.ui.panel.keys import bind_keys, unbind_keys
from napari_unet.ui.panel.masks import MasksBar
from napari_unet.ui.panel.region import RegionBar, Scopes
from napari_unet.ui.panel.results import ResultsStep
from napari_unet.ui.panel.segment import SegmentStep
from napari_unet.worker import Worker


class UNetPanel(QWidget):
    """Segment, correct, fine-tune: one panel, which always says what is happening and what to press next.

    `project` and `worker` default to the user's project and a new worker process.
    """

    def __init__(
        self, napari_viewer: Any, *, project: Project | None = None, worker: Worker | None = None
    ) -> None:
        super().__init__()
        self.viewer = getattr(napari_viewer, "__wrapped__", napari_viewer)
        poster = Poster(self)
        self.session = Session(project or Project.open(), worker or Worker(), poster.post, poster.post_gently)
        self.run_bar = RunBar()
        self.step1, self.step2, self.step3 = SegmentStep(), CorrectStep(), FineTuneStep()
        self.region = RegionBar()
        self.scopes = Scopes(self.viewer, self.session, self.step1)
        self.overlay = ReviewedOverlay(self.viewer)
        self.watch = EditWatch(self.viewer, self.session.images, self)
        self.comparer = Comparer(self.viewer, self.session, self.watch, self)
        self.tools = ToolBox(self.viewer, self.watch, self.session.images)
        self.walk = Walk(self.viewer, self.session.images, self.watch, self.tools, lambda: self.image)
        self.masks = MasksBar(self.viewer, self.session, self.watch, self.tools.history, lambda: self.layer)
        self.step4 = ResultsStep(self.viewer, self.session, lambda: self.layer)
        self._refresh_timer = QTimer(self, singleShot=True, interval=0)
        self._refresh_timer.timeout.connect(self.refresh)
        self._lay_out()
        self._connect_controls()
        self._connect_session()
        self._connect_viewer()
        bind_keys(self.viewer, self)
        self.destroyed.connect(_ending(self.session, self.watch, self.tools, self.viewer))
        self.session.start()
        Thread(target=preload, daemon=True).start()
        self._fill_images()
        self.refresh()
        spare_the_first_labels()

    @property
    def layer(self) -> Image | None:
        """The image layer that the panel is about."""
        layer = self.step1.layer
        return layer if layer is not None and layer in self.viewer.layers else None

    @property
    def image(self) -> OpenImage | None:
        """The same image in the session, None where it is not open yet."""
        return self.session.images.find(shown.source_of(self.layer)) if self.layer is not None else None

    def segment(self) -> None:
        """Segment the chosen image, or what of it is chosen."""
        layer = self.layer
        if layer is not None and self.step1.segment.isEnabled():
            self.scopes.segment(layer, self.image)

    def mark_reviewed(self) -> None:
        """Mark what the canvas shows of the labels as right."""
        self._with_view(self.session.images.mark_reviewed)

    def unmark(self) -> None:
        """Take the mark off what the canvas shows."""
        self._with_view(self.session.images.unmark)

    def fine_tune(self, *, anyway: bool = False) -> None:
        """Learn from the corrections, `anyway` where they do not seem to fit the image."""
        image, effort = self.image, self.step3.chosen_effort
        if image is not None and self.step3.fine_tune.isEnabled():
            self.step3.plot.clear()
            self.session.fine_tune(
                image.key,
                channel=self.step1.channel_number,
                seconds=effort.seconds,
                steps=effort.steps,
                anyway=anyway,
            )

    def open_files(self) -> None:
        """Ask for image files and show them."""
        open_images(self.viewer, ask_for_images(self), self.session.runner)

    def refresh(self) -> None:
        """Show the session as it is now."""
        session, layer, image = self.session, self.layer, self.image
        busy = session.run is not None
        learning = session.runner.activity is Activity.LEARNING
        entry = session.model_entry
        self.step1.show_models(session.models, session.chosen, image.model if image is not None else None)
        self.step1.show_image(image, entry.card.network.channels if entry else 1)
        self.step1.axes.field.setEnabled(not busy)
        ready = layer is not None and session.model is not None and not self.step1.axes.problem
        self.step1.segment.setEnabled(ready and not busy)
        self.step2.show_image(image)
        self.region.show_image(session, image)
        self.masks.show_image(image, busy=busy)
        self.step4.show_image(image)
        self.tools.image = image
        self.walk.refresh()
        reason = explain_no_learning(image)
        self.step3.fine_tune.setEnabled(not reason and not busy)
        self.step3.show_reason(reason)
        self.step3.show_doubt(session.doubted and not busy)
        trial = None if learning else session.trial
        if trial is not None and self.step3.keep.isHidden():
            self.column.show_control(self.step3.keep)
        self.step3.show_trial(trial)
        for button in (self.step3.compare, self.step3.keep, self.step3.roll_back):
            button.setEnabled(not busy)
        self.step3.show_pace(session.pace)
        self.step3.images.show_teachers(session.teachers.known)
        self.comparer.refresh()
        self.step3.plot.setVisible(bool(self.step3.plot.points) or learning)
        if busy:
            self.run_bar.show_busy()
        else:
            self.run_bar.show_idle()
        hint, pointed = find_next_step(session, image, has_layer=layer is not None)
        if self.step1.axes.problem and not busy:
            hint, pointed = "Next: mend the axes, or press Escape.", "axes"
        self.run_bar.say(session.notice or greet(session), hint, is_error=session.is_error)
        if image is not None and image.review is not None and self.overlay.layer is None:
            with signals_blocked(self.step2.show_reviewed):  # the user has removed the layer
                self.step2.show_reviewed.setChecked(False)
        for candidate in (
            self.step1.segment,
            self.step2.next_to_fix,
            self.step3.fine_tune,
            self.step3.compare,
            self.step3.keep,
        ):
            set_look(candidate, "next", candidate.objectName() == pointed)

    def event(self, event: QEvent | None) -> bool:
        """Go away for good when napari takes the panel out of its dock."""
        if event is not None and event.type() == QEvent.Type.ParentChange and self.parent() is None:
            self.deleteLater()
        return super().event(event)

    def showEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        """Look out for the closing of the window that the panel is in."""
        self.window().installEventFilter(self)
        self.masks.watch(self.window())
        super().showEvent(event)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:  # noqa: N802 - Qt's name
        """Take what was corrected last before the window closes."""
        if event is not None and event.type() == QEvent.Type.Close:
            self.watch.flush()
        return super().eventFilter(watched, event)

    def _lay_out(self) -> None:
        steps = QWidget()
        column = QVBoxLayout(steps)
        column.setContentsMargins(0, 0, 0, 0)
        for step in (self.step1, self.masks, self.step2, self.region, self.step3, self.step4):
            column.addWidget(step)
        self.step1.add_beside_segment(self.masks.use)
        column.addStretch()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 6, 6, 6)
        layout.addWidget(self.run_bar)
        self.column = ScrollColumn(steps)
        layout.addWidget(self.column, 1)
        self.setStyleSheet(PANEL)

    def _connect_controls(self) -> None:
        self.step1.open.clicked.connect(self.open_files)
        self.step1.image.currentIndexChanged.connect(self._choose)
        self.step1.axes.named.connect(self._name_axes)
        self.step1.axes.edited.connect(self.refresh)
        self.step1.channel_chosen.connect(self._choose_channel)
        self.step1.scope_chosen.connect(lambda: self.scopes.choose(self.image))
        self.step1.model.activated.connect(self._use_model)
        self.step1.careful.toggled.connect(self._look)
        self.step1.segment.clicked.connect(self.segment)
        self.run_bar.cancel.clicked.connect(self.session.runner.cancel)
        self.step2.tool_pressed.connect(self.tools.toggle)
        self.tools.changed.connect(self.step2.show_tool)
        self.step2.next_to_fix.clicked.connect(self.walk.visit_next)
        self.step2.take.clicked.connect(self.walk.take)
        self.step2.accept_place.clicked.connect(self.walk.accept)
        self.step2.mark.clicked.connect(self.mark_reviewed)
        self.step2.unmark.clicked.connect(self.unmark)
        self.region.connect_session(self.session, lambda: self.image)
        self.step2.show_reviewed.toggled.connect(self._show_overlay)
        self.step3.fine_tune.clicked.connect(lambda: self.fine_tune())
        self.step3.anyway.clicked.connect(lambda: self.fine_tune(anyway=True))
        self.step3.compare.clicked.connect(self.comparer.open)
        self.step3.images.chosen.connect(self.session.teachers.choose)
        self.step3.keep.clicked.connect(self.session.keep)
        self.step3.roll_back.clicked.connect(self.session.roll_back)

    def _connect_session(self) -> None:
        runner, images = self.session.runner, self.session.images
        runner.changed.connect(self._refresh_soon)
        runner.progress.connect(self._show_progress)
        images.labels_replaced.connect(self._show_labels)
        images.put_away.connect(self._hide_labels)
        images.measured.connect(self._show_features)
        images.reviewed.connect(self._tint)
        images.flushing.connect(self.watch.flush)

    def _connect_viewer(self) -> None:
        events = self.viewer.layers.events
        events.inserted.connect(self._on_inserted)
        events.removing.connect(self._on_removing)
        events.removed.connect(self._on_removed)
        events.reordered.connect(self._fill_images)
        self.viewer.layers.selection.events.active.connect(self._follow_selection)

    def _refresh_soon(self) -> None:
        self._refresh_timer.start()

    def _use_model(self) -> None:
        chosen: str | Path | None = self.step1.model.currentData()
        if chosen is not None:
            self.session.choose(chosen)

    def _look(self) -> None:
        self.session.views = self.step1.views

    def _name_axes(self, axes: str | None) -> None:
        if self.layer is not None:
            self.session.images.name_axes(shown.source_of(self.layer), axes)

    def _choose_channel(self) -> None:
        if self.image is not None:
            self.image.channel = self.step1.channel_number
        self.refresh()

    def _fill_images(self, _event: object = None) -> None:
        layers, before = shown.image_layers(self.viewer), self.step1.layer
        chosen = before if before in layers else (layers[-1] if layers else None)
        self.step1.show_images(layers, chosen)
        if chosen is not before:
            self._choose()

    def _choose(self) -> None:
        if self.layer is not None:
            self.session.images.open(shown.source_of(self.layer), self.scopes.welcome)
        self.refresh()

    def _choose_layer(self, layer: Image) -> None:
        self.step1.show_images(shown.image_layers(self.viewer), layer)
        self._choose()

    def _on_inserted(self, event: Any) -> None:
        if isinstance(event.value, Image):
            event.value.events.name.connect(self._fill_images)
            self._choose_layer(event.value)

    def _on_removing(self, event: Any) -> None:
        layer = self.viewer.layers[event.index]
        if self.watch.follows(layer):
            self.watch.flush()
            self.watch.remove(layer)

    def _on_removed(self, _event: Any) -> None:
        self._fill_images()
        for key, image in list(self.session.images.items()):
            if self.watch.find(key) is None and not self._layers_of(image):
                self.session.images.close(key)
        self._refresh_soon()

    def _follow_selection(self, event: Any) -> None:
        layer: Layer | None = event.value
        if isinstance(layer, Image):
            image_layer: Image | None = layer
        else:
            keys = [shown.key_of(layer, role) for role in ("image", "cells")] if layer is not None else []
            image = self.session.images.get(next(filter(None, keys), ""))
            image_layer = next(iter(self._layers_of(image)), None) if image is not None else None
        if image_layer is not None and image_layer is not self.step1.layer:
            self._choose_layer(image_layer)

    def _layers_of(self, image: OpenImage) -> list[Image]:
        layers = shown.image_layers(self.viewer)
        return [layer for layer in layers if self.session.images.find(shown.source_of(layer)) is image]

    def _show_labels(self, key: str, labels: Any) -> None:
        image = self.session.images[key]
        layer, over = self.watch.find(key), next(iter(self._layers_of(image)), None)
        if layer is None and over is not None:
            layer = shown.make_labels(over, image, labels)
            layer.name = shown.free_name(self.viewer, layer.name)
            paint_later(self)
            self.viewer.layers.insert(self.viewer.layers.index(over) + 1, layer)
            self.viewer.layers.selection.active = layer
            self.watch.add(layer)
            self.tools.history.follow(layer)
        elif layer is not None:
            shown.replace_labels(layer, image, labels)
        self._show_overlay()

    def _hide_labels(self, key: str) -> None:
        layer = self.watch.find(key)
        if layer is not None:
            self.overlay.hide()
            self.walk.outline.remove()
            self.watch.remove(layer)
            shown.remove_soon(self.viewer, layer)

    def _show_features(self, key: str) -> None:
        layer = self.watch.find(key)
        if layer is not None:
            layer.features = shown.features_of(self.session.images[key])

    def _show_progress(self, progress: Progress) -> None:
        self.run_bar.show_progress(progress)
        self.step3.show_progress(progress)

    def _show_overlay(self) -> None:
        image, layer = self.image, self.layer
        if self.step2.show_reviewed.isChecked() and layer is not None and image is not None and image.review:
            self.overlay.show(layer, image)
        else:
            self.overlay.hide()

    def _tint(self, key: str, box: Box) -> None:
        self.overlay.update(self.session.images[key], box)

    def _with_view(self, action: Any) -> None:
        image = self.image
        layer = self.watch.find(image.key) if image is not None else None
        if image is None or layer is None:
            return
        self.watch.flush()
        try:
            box = shown.view_of(self.viewer, layer, image.grid)
        except InputError as error:
            self.session.runner.refuse(str(error))
        else:
            self.tools.history.note(layer, action(image.key, box))


def _ending(session: Session, watch: EditWatch, tools: ToolBox, viewer: Any) -> Any:
    """Return what ends a panel's work once its widgets are gone; it keeps all three in being until then."""

    def end() -> None:
        runner, images = session.runner, session.images
        shown_here = (
            *(runner.changed, runner.progress, session.regions.cells_written),
            *(images.labels_replaced, images.put_away, images.measured, images.reviewed, images.visited),
            images.closed,
        )
        for signal in shown_here:
            signal.disconnect()
        unbind_keys(viewer)
        tools.stop()
        session.close()
        watch.stop()

    return end
