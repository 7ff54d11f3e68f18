"""Forms say what the parameters' fields say, and take nothing else."""

from typing import Literal

import pytest
from pydantic import Field
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QComboBox, QLabel

from napari_unet.core.base.errors import InputError
from napari_unet.core.base.params import (
    AugmentParams,
    BatchParams,
    FineTuneParams,
    InstanceParams,
    NetworkParams,
    Params,
    SegmentParams,
    TrainParams,
)
from napari_unet.ui.common.forms import Form

PLAIN = {
    TrainParams: [name for name in TrainParams.model_fields if name != "augment"],
    FineTuneParams: [n for n in FineTuneParams.model_fields if n not in ("augment", "cell_sizes")],
}


@pytest.mark.parametrize(
    "params",
    [AugmentParams, BatchParams, SegmentParams, FineTuneParams, InstanceParams, NetworkParams, TrainParams],
)
def test_every_parameter_set_has_a_form_that_begins_with_its_defaults(qtbot, params):
    form = Form(params, PLAIN.get(params, ()), prefix="my_")
    qtbot.addWidget(form.native)
    assert form.read() == params()
    for name, field in form.fields.items():
        info = params.model_fields[name]
        assert field.native.objectName() == f"my_{name}"
        assert field.label == info.title
        assert field.native.toolTip() == info.description


def test_numbers_are_typed_with_unit_and_range(qtbot):
    form = Form(TrainParams, ["tile", "learning_rate", "optimizer"])
    qtbot.addWidget(form.native)
    form.native.show()
    tile = form.find("tile")
    assert tile.text() == "256 px"
    tile.selectAll()
    QTest.keyClicks(tile, "512")
    QTest.keyClick(tile, Qt.Key.Key_Tab)
    assert form.read().tile == 512
    tile.selectAll()
    QTest.keyClicks(tile, "9999")
    QTest.keyClick(tile, Qt.Key.Key_Tab)
    assert form.read().tile <= 1024
    assert (tile.minimum(), tile.maximum()) == (32, 1024)
    rate = form.find("learning_rate")
    assert rate.minimum() > 0
    form.find("optimizer").setCurrentText("sgd")
    assert form.read() == TrainParams(tile=form.read().tile, optimizer="sgd")
    assert isinstance(form.find("optimizer"), QComboBox)
    assert "Tile" in [label.text() for label in form.native.findChildren(QLabel)]


def test_what_may_be_none_says_what_none_means(qtbot):
    form = Form(SegmentParams)
    qtbot.addWidget(form.native)
    assert form.find("pixel_size").text() == "as the file says"
    assert form.find("axes").placeholderText() == "as the file says"
    form.find("pixel_size").setValue(0.65)
    form.find("axes").setText(" tyx ")
    assert form.read() == SegmentParams(pixel_size=0.65, axes="TYX")
    form.show(SegmentParams())
    assert form.read() == SegmentParams()
    form = Form(BatchParams)
    qtbot.addWidget(form.native)
    assert form.find("workers").text() == "automatic"
    form.find("workers").setValue(1)
    assert form.read() == BatchParams(workers=1)


def test_channels_are_typed_counted_from_one(qtbot):
    form = Form(SegmentParams, ["channel"], start=SegmentParams(channel=(0, 2)))
    qtbot.addWidget(form.native)
    line = form.find("channel")
    assert (line.text(), line.placeholderText()) == ("1,3", "the first")
    assert form.read().channel == (0, 2)
    line.setText(" 2 ")
    assert form.read().channel == 1
    line.setText("")
    assert form.read().channel is None
    line.setText("0")
    with pytest.raises(InputError, match="'0' is no channel"):
        form.read()


def test_a_value_that_the_parameters_refuse_is_one_sentence(qtbot):
    class Named(Params):
        name: str = Field("abc", title="Name", min_length=3)
        kind: Literal["a", "b"] = Field("a", title="Kind")

    form = Form(Named, start=Named(kind="b"))
    qtbot.addWidget(form.native)
    assert form.read().kind == "b"
    form.find("name").setText("x")
    with pytest.raises(InputError, match=r"^Name: [^\n]*at least 3[^\n]*$"):
        form.read()
    QApplication.processEvents()
