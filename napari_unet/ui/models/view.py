"""The Models view: which models there are, where they come from, what each brought - and their files."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from qtpy.QtCore import QEvent, QFileSystemWatcher, Qt, QTimer
from qtpy.QtWidgets import (
    QFileDialog,
    QHBoxLayout,
    QPushButton,
    QSplitter,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)
from superqt.utils import signals_blocked

from napari_unet.core.base import Cancelled, InputError
from napari_unet.jobs import VerifyRequest
from napari_unet.models import ModelEntry, Version, find_children, library, models_folder, search_folders
from napari_unet.session import Background, Session
from napari_unet.store import Project
from napari_unet.ui import find_panel, join_panel
from napari_unet.ui.common import PANEL, Poster, Sentence
from napari_unet.ui.models.list import Comparison, ModelTree
from napari_unet.worker import JobError, Worker

logger = logging.getLogger("napari_unet")

COMPARED = 2  # models that fit side by side
_LOOKING = "Looking for models…"
_SETTLE = 200  # ms from a change in a folder to a look into it
_FILES = f"Models (*{library.ENDING})"


class ModelsView(QWidget):
    """Lists the models as a family tree; two that are selected are compared side by side.

    It is about the project of the panel that is open in the same viewer, else about `project`, which defaults
    to the user's. `worker` checks what is imported; it defaults to the panel's, or to a new one while that
    is at work.
    """

    def __init__(
        self, napari_viewer: Any, *, project: Project | None = None, worker: Worker | None = None
    ) -> None:
        super().__init__()
        self.viewer = getattr(napari_viewer, "__wrapped__", napari_viewer)
        self.tree, self.comparison, self.status = ModelTree(), Comparison(), Sentence("models_status")
        self.import_button = _button("Import…", "import_model", "Check a model file and add a copy of it")
        self.export_button = _button("Export…", "export_model", "Write the selected model to one file")
        self.rename_button = _button("Rename", "rename_model", "Give the selected model another name (F2)")
        self.delete_button = _button("Delete", "delete_model", "Delete the selected model for good")
        self.versions: list[Version] = []
        self._condemned: Path | None = None
        self._new: Path | None = None
        self._worker = worker
        self._own_workers: list[Worker] = []
        post = Poster(self).post
        self._background, self._checks = Background(post), Background(post)
        self._watcher = QFileSystemWatcher(self)
        self._timer = QTimer(self, singleShot=True, interval=_SETTLE)
        self._lay_out()
        self._connect()
        self.folder = self._find_folder(project)

    def refresh(self) -> None:
        """Look, in the background, which models there are, and show them."""
        known = set(self._watcher.directories())
        folders = {str(folder) for folder in search_folders([self.folder]) if folder.is_dir()}
        if folders - known:
            self._watcher.addPaths(sorted(folders - known))
        self._do(lambda: library.find_versions([self.folder]), self._show)

    def import_file(self) -> None:
        """Ask for a model file and add a copy of it to the project's models, once it has been checked."""
        name, _ = QFileDialog.getOpenFileName(self, "Import a model", "", _FILES)
        if not name:
            return
        source = Path(name)
        self.status.say(f"Checking {source.name}…")
        self.import_button.setEnabled(False)
        worker = self._find_worker()

        def check_and_add() -> Path:
            digest = worker.submit(VerifyRequest(source)).result()
            name = library.free_name(source.stem, [self.folder])
            return library.add_model(source, digest, name, self.folder)

        self._checks.do(check_and_add, self._imported, self._not_imported)

    def export_file(self) -> None:
        """Ask for a place and write the selected model there."""
        version = self._chosen()
        if version is None:
            return
        name, _ = QFileDialog.getSaveFileName(self, "Export a model", f"{version.card.name}.keras", _FILES)
        if name:
            target = Path(name)
            path = (
                target if target.suffix == library.ENDING else target.with_name(target.name + library.ENDING)
            )
            self._do(
                lambda: library.export_model(version.entry.path, path),
                lambda path: self.status.say(f"'{version.card.name}' is written to {path}."),
            )

    def begin_rename(self) -> None:
        """Let the user type another name for the selected model, in its place in the list."""
        version = self._chosen()
        if version is None:
            return
        if version.entry.bundled:
            self._refuse(f"'{version.card.name}' ships with napari-unet and cannot be renamed.")
        else:
            self.tree.begin_rename(version.entry.path)

    def delete(self) -> None:
        """Delete the selected model, at the second press."""
        version = self._chosen()
        if version is None or self._is_busy_with(version.entry):
            return
        if not version.entry.bundled and self._condemned != version.entry.path:
            self._condemned = version.entry.path
            self.delete_button.setText("Delete for good")
            self.status.say(f"Press again to delete '{version.card.name}' for good.")
            return
        try:
            library.delete_model(version.entry)
        except InputError as error:
            self._refuse(str(error))
            return
        children = [child.card.name for child in find_children(version.sha256, self.versions)]
        rest = f" Fine-tuned from it and still there: {', '.join(children)}." if children else ""
        self.status.say(f"'{version.card.name}' is deleted.{rest}")
        self._tell_panel()
        self.refresh()

    def event(self, event: QEvent | None) -> bool:
        """Go away for good when napari takes the view out of its dock."""
        if event is not None and event.type() == QEvent.Type.ParentChange and self.parent() is None:
            self.deleteLater()
        return super().event(event)

    def showEvent(self, event: Any) -> None:  # noqa: N802 - Qt's name
        """Look again which models there are: not every drive tells of changes."""
        if not self.versions:
            self.status.say(_LOOKING)
            QTimer.singleShot(0, self._join_panel)
        self.refresh()
        super().showEvent(event)

    def _lay_out(self) -> None:
        buttons = QHBoxLayout()
        buttons.setSpacing(4)
        for button in (self.import_button, self.export_button, self.rename_button, self.delete_button):
            buttons.addWidget(button)
        parts = QSplitter(Qt.Orientation.Vertical)
        parts.addWidget(self.tree)
        parts.addWidget(self.comparison)
        parts.setChildrenCollapsible(False)
        parts.setStretchFactor(0, 1)
        parts.setStretchFactor(1, 2)
        self.comparison.hide()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 6, 6, 6)
        layout.addWidget(self.status)
        layout.addLayout(buttons)
        layout.addWidget(parts, 1)
        self.setStyleSheet(PANEL)

    def _connect(self) -> None:
        self.import_button.clicked.connect(self.import_file)
        self.export_button.clicked.connect(self.export_file)
        self.rename_button.clicked.connect(self.begin_rename)
        self.delete_button.clicked.connect(self.delete)
        self.tree.itemSelectionChanged.connect(self._show_selected)
        self.tree.itemChanged.connect(self._rename)
        self.tree.rename_wanted.connect(self.begin_rename)
        self._watcher.directoryChanged.connect(lambda _: self._timer.start())
        self._timer.timeout.connect(self._follow_folder)
        self.destroyed.connect(_ending((self._background, self._checks), self._own_workers))

    def _join_panel(self) -> None:
        join_panel(self, find_panel(self.viewer))

    def _find_folder(self, project: Project | None) -> Path:
        session = self._session()
        try:
            return (session.project if session else project or Project.open()).models_folder
        except InputError as error:
            self._refuse(str(error))
            return models_folder()

    def _session(self) -> Session | None:
        panel = find_panel(self.viewer)
        return panel.session if panel is not None else None

    def _find_worker(self) -> Worker:
        session = self._session()
        if self._worker is None and session is not None and session.run is None:
            return session.worker
        worker = self._worker or Worker()
        self._own_workers.append(worker)
        return worker

    def _imported(self, path: Path) -> None:
        self._end_check()
        self._new = path
        self.status.say(f"'{path.stem}' is imported.")
        self._tell_panel()
        self.refresh()

    def _not_imported(self, error: BaseException) -> None:
        self._end_check()
        self._fail(error)

    def _end_check(self) -> None:
        self.import_button.setEnabled(True)
        while self._own_workers:
            self._own_workers.pop().stop(timeout=0)

    def _rename(self, item: QTreeWidgetItem, _column: int) -> None:
        version = self._version(item.data(0, Qt.ItemDataRole.UserRole))
        name = item.text(0)
        if version is None or name == version.card.name:
            return
        with signals_blocked(self.tree):  # until it is so
            item.setText(0, version.card.name)
        if self._is_busy_with(version.entry):
            return
        try:
            self._new = path = library.rename_model(version.entry, name)
        except InputError as error:
            self._refuse(str(error))
            return
        self.status.say(f"'{version.card.name}' is called '{path.stem}' now.")
        self._tell_panel(version.entry.path, path)
        self.refresh()

    def _is_busy_with(self, entry: ModelEntry) -> bool:
        """Refuse to touch a model that a run needs."""
        session = self._session()
        if session is None or session.run is None or entry.path not in (session.model, session.model_in_use):
            return False
        self._refuse(f"'{entry.card.name}' is at work: wait for it, or press Cancel in the panel.")
        return True

    def _tell_panel(self, old: Path | None = None, new: Path | None = None) -> None:
        """Let the panel's list of models follow, and its model, where that has a new name."""
        session = self._session()
        if session is not None:
            was_used = session.model == old
            session.refresh_models()
            if was_used and new is not None:
                session.use_model(new)

    def _follow_folder(self) -> None:
        session = self._session()
        if session is not None:
            session.refresh_models()
        self.refresh()

    def _show(self, versions: list[Version]) -> None:
        if versions != self.versions:
            self.versions = versions
            self.tree.show_versions(versions, [self._new] if self._new else self.tree.selected)
            self._new = None
            self._show_selected()
        if self.status.text() == _LOOKING:
            self.status.say("Select a model to see what made it, two to compare them.")

    def _show_selected(self) -> None:
        self._condemned = None
        self.delete_button.setText("Delete")
        selected = [version for path in self.tree.selected if (version := self._version(path)) is not None]
        self.comparison.show_versions(selected[:COMPARED], self.versions)

    def _version(self, path: Path) -> Version | None:
        return next((version for version in self.versions if version.entry.path == path), None)

    def _chosen(self) -> Version | None:
        """Return the one model that is selected; say so where it is not one."""
        selected = self.tree.selected
        if len(selected) == 1:
            return self._version(selected[0])
        self._refuse("Select one model in the list first.")
        return None

    def _do(self, work: Callable[[], Any], finish: Callable[[Any], object]) -> None:
        """Do work in the background; what goes wrong is said."""
        self._background.do(work, finish, self._fail)

    def _fail(self, error: BaseException) -> None:
        if isinstance(error, InputError | JobError):
            self._refuse(str(error))
        elif isinstance(error, Cancelled):
            self._refuse("The check was stopped: nothing was imported.")
        else:
            logger.error("Something unexpected happened in the Models view", exc_info=error)
            self._refuse(f"Something unexpected happened ({error}); the details are in the log.")

    def _refuse(self, sentence: str) -> None:
        self.status.say(sentence, is_error=True)


def _button(text: str, name: str, tip: str) -> QPushButton:
    button = QPushButton(text, objectName=name)
    button.setToolTip(tip)
    return button


def _ending(backgrounds: Sequence[Background], workers: Sequence[Worker]) -> Callable[[], None]:
    """Return what ends a view's work once its widgets are gone."""

    def end() -> None:
        for background in backgrounds:
            background.close()
        for worker in workers:
            worker.stop(timeout=0)

    return end
