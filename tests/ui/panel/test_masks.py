"""Masks made elsewhere become the labels of the image, in a real window."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
from qtpy.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from qtpy.QtGui import QDragEnterEvent, QDropEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QFileDialog, QWidget
from skimage.measure import label


@pytest.fixture
def masks(cells):
    """Two thirds of the image's cells, with numbers that are not consecutive."""
    labels = label(cells > 100).astype(np.uint16)
    labels[labels % 3 == 0] = 0
    return labels * 5


@pytest.fixture
def choose(window, monkeypatch):
    """Chooses an entry of the menu of Use masks with the mouse."""

    def choose(text, picked=None):
        monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(picked or ""), ""))
        bar = window.panel.masks
        bar.menu.popup(bar.use.mapToGlobal(QPoint(0, bar.use.height())))
        window.wait(bar.menu.isVisible)
        action = next(action for action in bar.menu.actions() if text in action.text())
        window.qtbot.mouseClick(
            bar.menu, Qt.MouseButton.LeftButton, pos=bar.menu.actionGeometry(action).center()
        )
        window.settle()

    return choose


def drop(window, *paths: Path) -> None:
    """Drop files on the canvas."""
    target = next(w for w in window.panel.window().findChildren(QWidget) if type(w).__name__ == "QtViewer")
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
    event = QDropEvent(
        QPointF(50, 50),
        Qt.DropAction.CopyAction,
        mime,
        Qt.MouseButton.LeftButton,
        Qt.KeyboardModifier.NoModifier,
    )
    enter = QDragEnterEvent(
        QPoint(50, 50),
        Qt.DropAction.CopyAction,
        mime,
        Qt.MouseButton.LeftButton,
        Qt.KeyboardModifier.NoModifier,
    )
    QApplication.sendEvent(target, enter)
    QApplication.sendEvent(target, event)
    window.settle()


def status(window) -> str:
    return window.panel.run_bar.status.text()


def test_masks_of_cellpose_are_dropped_marked_learnt_from_and_kept(window, cells, masks, tmp_path):
    window.add_image(cells)
    np.save(tmp_path / "plate_seg.npy", {"masks": masks})
    drop(window, tmp_path / "plate_seg.npy")
    np.testing.assert_array_equal(window.labels.data, masks)
    np.testing.assert_array_equal(window.on_disk().labels, masks)
    count = np.unique(masks).size - 1
    assert f"{count} cells from plate_seg.npy" in status(window)
    assert "Cellpose" in status(window)
    assert window.panel.masks.words.text() == "Masks: plate_seg.npy"
    assert not window.panel.step3.fine_tune.isEnabled()
    window.hands.click(window.panel.masks.mark_all)
    window.settle()
    assert window.review.marked.all()
    assert not window.panel.masks.mark_all.isEnabled()
    assert window.fine_tune().accepted
    window.hands.click(window.panel.step3.keep)
    window.settle()
    np.testing.assert_array_equal(window.labels.data, masks)


def test_marking_all_can_be_undone(window, cells, masks, tmp_path):
    window.add_image(cells)
    np.save(tmp_path / "a_seg.npy", {"masks": masks})
    drop(window, tmp_path / "a_seg.npy")
    window.hands.click(window.panel.masks.mark_all)
    window.settle()
    window.viewer.layers.selection.active = window.labels
    QTest.keyClick(window.hands.canvas, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    window.settle()
    assert not window.review.marked.any()


def test_a_labels_layer_becomes_the_labels_and_is_hidden(window, cells, masks, choose):
    window.add_image(cells)
    theirs = window.viewer.add_labels(masks.astype(np.int32), name="theirs")
    choose("theirs")
    assert window.labels is not theirs
    np.testing.assert_array_equal(window.labels.data, masks)
    assert (theirs.visible, window.labels.visible) == (False, True)
    window.paint((10, 60), (10, 100))
    window.wait(lambda: window.review.changed().any())
    np.testing.assert_array_equal(theirs.data, masks)


def test_the_menu_offers_layers_of_this_size_and_files(window, cells, masks, choose, tmp_path):
    layer = window.add_image(cells)
    window.viewer.add_labels(masks.astype(np.int32)[:50], name="small")
    window.viewer.add_image(cells / 7.0, name="fractions")
    window.viewer.add_image(masks, name="as an image")
    window.viewer.layers.selection.active = layer
    window.settle()
    bar = window.panel.masks
    bar.menu.aboutToShow.emit()
    texts = [action.text() for action in bar.menu.actions() if action.text()]
    assert texts == ["Layer 'as an image'", "From a file…"]
    tifffile.imwrite(tmp_path / "cells.tif", masks)
    choose("From a file", tmp_path / "cells.tif")
    np.testing.assert_array_equal(window.labels.data, masks)


def test_what_was_reviewed_is_kept(corrected, masks, tmp_path):
    before = corrected.review.labels.copy()
    changed = corrected.review.changed()
    np.save(tmp_path / "a_seg.npy", {"masks": masks})
    drop(corrected, tmp_path / "a_seg.npy")
    np.testing.assert_array_equal(corrected.labels.data[changed] > 0, before[changed] > 0)
    assert "What you had reviewed is kept." in status(corrected)


def test_what_does_not_fit_is_one_sentence_and_changes_nothing(window, cells, masks, tmp_path):
    window.add_image(cells)
    np.save(tmp_path / "other_seg.npy", {"masks": masks[:100]})
    drop(window, tmp_path / "other_seg.npy")
    assert "is 240 x 100 px, but this image is 240 x 200 px" in status(window)
    assert window.panel.session.is_error
    assert window.panel.canvas.image.review is None
    window.segment()
    labels = window.labels.data.copy()
    (tmp_path / "broken.zip").write_bytes(b"PK")
    drop(window, tmp_path / "broken.zip")
    assert "damaged" in status(window)
    np.testing.assert_array_equal(window.labels.data, labels)
    assert window.panel.masks.isHidden()
    np.save(tmp_path / "empty_seg.npy", {"masks": np.zeros_like(masks)})
    drop(window, tmp_path / "empty_seg.npy")
    assert "There is no cell in empty_seg.npy" in status(window)


def test_without_an_image_it_is_said(window, masks, tmp_path):
    np.save(tmp_path / "a_seg.npy", {"masks": masks})
    drop(window, tmp_path / "a_seg.npy")
    assert "open their image first" in status(window)


def test_the_origin_is_back_with_the_image_and_goes_when_a_model_segments(window, cells, masks, tmp_path):
    layer = window.add_image(cells)
    np.save(tmp_path / "a_seg.npy", {"masks": masks})
    drop(window, tmp_path / "a_seg.npy")
    window.viewer.layers.clear()
    window.settle()
    window.wait(lambda: not window.panel.session.images)
    window.add_image(cells)
    window.wait(lambda: window.labels is not None)
    window.settle()
    assert window.panel.masks.words.text() == "Masks: a_seg.npy"
    assert layer is not None
    window.segment()
    assert window.panel.masks.isHidden()


def test_masks_of_a_stack_of_channels(window, cells, masks, tmp_path):
    window.add_image(np.stack([cells, cells, cells])[:, None].repeat(2, 1), axis_labels=("z", "c", "y", "x"))
    stack = np.stack([masks, masks, 0 * masks])
    np.save(tmp_path / "a_seg.npy", {"masks": stack})
    drop(window, tmp_path / "a_seg.npy")
    np.testing.assert_array_equal(window.review.labels, stack)
