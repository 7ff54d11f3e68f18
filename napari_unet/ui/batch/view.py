"""The Batch view: many images, segmented by processes of their own, while the window stays free."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from napari.layers import Image
from qtpy.QtCore import QEvent, QTimer
from qtpy.QtWidgets import QFileDialog, QGridLayout, QGroupBox, QPushButton, QVBoxLayout, QWidget

from napari_unet.core.base import AUTO, InputError
from napari_unet.io import LayerData
from napari_unet.jobs import Outcome
from napari_unet.models import find_models
from napari_unet.session import NO_IMAGES, BatchSession
from napari_unet.ui import find_panel, join_panel
from napari_unet.ui.batch.list import FileList
from napari_unet.ui.batch.options import OptionsForm
from napari_unet.ui.canvas import METADATA, image_layers
from napari_unet.ui.common import (
    PANEL,
    Poster,
    RunBar,
    ask_for_images,
    paint_later,
    set_look,
    spare_the_first_labels,
)
from napari_unet.worker import Worker

WIDTH = 320
_FOLDER = "labels"  # for the results, beside the images, until the user chooses another


class BatchView(QWidget):
    """Segments many image files: choose them, choose where the labels go, press Start.

    The models are those of the panel in the same viewer and the user's. `worker` runs the batch; it defaults
    to a process of its own.
    """

    def __init__(self, napari_viewer: Any, *, worker: Worker | None = None) -> None:
        super().__init__()
        self.viewer = getattr(napari_viewer, "__wrapped__", napari_viewer)
        self.session = BatchSession(Poster(self).post, worker)
        self.run_bar, self.files, self.options = RunBar("batch_"), FileList(), OptionsForm()
        self.run_bar.cancel.setToolTip("Stop; what is finished stays, and Start goes on from there")
        self.add_button = _button("Add files…", "batch_add_files", "Add image files")
        self.folder_button = _button("Add folder…", "batch_add_folder", "Add all images in a folder")
        self.opened_button = _button(
            "Add open images", "batch_add_open", "Add the images that are open in napari"
        )
        self.remove_button = _button(
            "Remove", "batch_remove", "Take the selected images off the list (Delete)"
        )
        self.start_button = _button("Start", "batch_start", "Segment all images of the list")
        self._lay_out()
        self._connect()
        self.destroyed.connect(_ending(self.session))
        self.refresh()
        spare_the_first_labels()

    def add_open_images(self) -> None:
        """Add the files of the images that are open in napari."""
        layers = image_layers(self.viewer)
        paths = {layer.name: _path_of(layer) for layer in layers}
        homeless = [name for name, path in paths.items() if path is None]
        if not layers:
            self.session.refuse("No image is open in napari: drop files on the list instead.")
            return
        self.session.add(
            [path for path in paths.values() if path is not None],
            [f"'{name}' comes from no file: save it first, then add the file." for name in homeless],
        )

    def start(self) -> None:
        """Segment the images of the list."""
        if not self.session.outcomes:
            self.session.refuse(NO_IMAGES)
            return
        try:
            order = self.options.read_order()
        except InputError as error:
            self.session.refuse(str(error))
        else:
            self.session.start(order)

    def refresh(self) -> None:
        """Show the session as it is now."""
        session, running = self.session, self.session.running
        for widget in (self.add_button, self.folder_button, self.opened_button, self.options):
            widget.setEnabled(not running)
        self.files.takes_files = not running
        self.remove_button.setEnabled(not running and bool(self.files.selected))
        self.start_button.setEnabled(not running)
        if running:
            self.run_bar.show_busy()
            self.run_bar.show_progress(session.progress)
        else:
            self.run_bar.show_idle()
        hint, pointed = self._find_next_step()
        self.run_bar.say(session.notice or self._greet(), hint, is_error=session.is_error)
        for button in (self.add_button, self.options.choose, self.start_button):
            set_look(button, "next", button is pointed)

    def event(self, event: QEvent | None) -> bool:
        """Go away for good when napari takes the view out of its dock."""
        if event is not None and event.type() == QEvent.Type.ParentChange and self.parent() is None:
            self.deleteLater()
        return super().event(event)

    def showEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        """Look which models there are, and stand beside the panel."""
        if not self.options.models:
            QTimer.singleShot(0, self._join_panel)
        self._offer_models()
        super().showEvent(event)

    def _lay_out(self) -> None:
        buttons = QGridLayout()
        buttons.setSpacing(4)
        for number, button in enumerate(
            (self.add_button, self.folder_button, self.opened_button, self.remove_button)
        ):
            buttons.addWidget(button, *divmod(number, 2))
        images = QGroupBox("1  Images")
        column = QVBoxLayout(images)
        column.addWidget(self.files, 1)
        column.addLayout(buttons)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 6, 6, 6)
        layout.addWidget(self.run_bar)
        layout.addWidget(images, 1)
        layout.addWidget(self.options)
        layout.addWidget(self.start_button)
        self.setMinimumWidth(WIDTH)
        self.setStyleSheet(PANEL)

    def _connect(self) -> None:
        session, files = self.session, self.files
        self.add_button.clicked.connect(self._add_files)
        self.folder_button.clicked.connect(self._add_folder)
        self.opened_button.clicked.connect(self.add_open_images)
        self.remove_button.clicked.connect(lambda: session.remove(files.selected))
        self.start_button.clicked.connect(self.start)
        self.run_bar.cancel.clicked.connect(session.cancel)
        files.dropped.connect(session.add)
        files.removal_wanted.connect(session.remove)
        files.open_wanted.connect(lambda file: session.read_result(file, self._show_layers))
        files.itemSelectionChanged.connect(self._explain_selected)
        self.options.edited.connect(self.refresh)
        session.listed.connect(self._show_files)
        session.told.connect(self._show_outcomes)
        session.changed.connect(self.refresh)

    def _join_panel(self) -> None:
        join_panel(self, find_panel(self.viewer))

    def _offer_models(self) -> None:
        panel = find_panel(self.viewer)
        if panel is not None:
            self.options.show_models(panel.session.models, panel.session.chosen)
        else:
            self.options.show_models(find_models(), AUTO)

    def _add_files(self) -> None:
        self.session.add(map(Path, ask_for_images(self)))

    def _add_folder(self) -> None:
        name = QFileDialog.getExistingDirectory(self, "Add a folder of images")
        if name:
            self.session.add([Path(name)])

    def _show_files(self) -> None:
        self.files.show_files(self.session.outcomes.values())
        first = next(iter(self.session.outcomes), None)
        self.options.suggest_output(first.parent / _FOLDER if first is not None else None)

    def _show_outcomes(self, outcomes: Sequence[Outcome]) -> None:
        self.files.show_outcomes(outcomes)

    def _explain_selected(self) -> None:
        """Say why an image failed that is selected, or what else there is to say about it."""
        if not self.session.running:
            chosen = [self.session.outcomes[file] for file in self.files.selected]
            if len(chosen) == 1 and chosen[0].error:
                self.session.refuse(chosen[0].error)
            elif len(chosen) == 1:
                self.session.say(_describe(chosen[0]))
        self.refresh()

    def _greet(self) -> str:
        count = len(self.session.outcomes)
        if not count:
            return "Segment many images: all files of a folder, or as many folders as you like."
        return f"{count} image{'s' * (count != 1)} to segment."

    def _find_next_step(self) -> tuple[str, QPushButton | None]:
        """Return what the user can do next, and the button for it."""
        session = self.session
        if session.running:
            return "You can go on working meanwhile.", None
        if not session.outcomes:
            return "Next: drop images on the list, or press Add files.", self.add_button
        if not self.options.output.text():
            return "Next: choose a folder for the labels.", self.options.choose
        if all(outcome.status != "waiting" for outcome in session.outcomes.values()):
            return "Double-click an image to see its cells.", None
        return "Next: press Start.", self.start_button

    def _show_layers(self, layers: Sequence[LayerData]) -> None:
        """Show an image and its labels on top of all, and hide those that were shown before."""
        for layer in self.viewer.layers:
            if layer.metadata.get(METADATA, {}).get("batch"):
                layer.visible = False
        paint_later(self)
        for data, options, kind in layers:
            mark = {"metadata": {METADATA: {"batch": True}}}
            getattr(self.viewer, f"add_{kind}")(data, **options, **mark)
        self.viewer.reset_view()


def _describe(outcome: Outcome) -> str:
    """Say what was found in an image."""
    if outcome.cells is None:
        return f"{outcome.file.name}: not segmented yet."
    cells = f"{outcome.cells or 'no'} cell{'s' * (outcome.cells != 1)}."
    return " ".join(filter(None, (f"{outcome.file.name}: {cells}", outcome.notes)))


def _path_of(layer: Image) -> Path | None:
    """Return the file that an image comes from."""
    path = layer.source.path or layer.metadata.get(METADATA, {}).get("path")
    return Path(path) if path and Path(path).exists() else None


def _button(text: str, name: str, tip: str) -> QPushButton:
    button = QPushButton(text, objectName=name)
    button.setToolTip(tip)
    return button


def _ending(session: BatchSession) -> Callable[[], None]:
    """Return what ends a view's work once its widgets are gone."""

    def end() -> None:
        for signal in (session.listed, session.told, session.changed):
            signal.disconnect()
        session.close()

    return end
