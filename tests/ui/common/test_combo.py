from qtpy.QtWidgets import QComboBox

from napari_unet.core.base import ModelCard, NetworkParams
from napari_unet.models import ModelEntry, format_date
from napari_unet.ui.common import show_models


def test_a_fine_tuned_model_says_on_how_much_it_learnt_and_when(qtbot, tmp_path):
    combo = QComboBox()
    qtbot.addWidget(combo)
    made = "2026-11-27T10:32:00+00:00"
    cards = (
        {"name": "nuclei", "title": "Nuclei in fluorescence"},
        {"name": "nuclei-1", "title": "Nuclei in fluorescence, fine-tuned", "created": made},
        {"name": "nuclei-2", "created": made},
    )
    learnt = ({}, {"reviewed_cells": 34, "images": 2}, {"reviewed_cells": 1, "images": 1})
    entries = [
        ModelEntry(
            ModelCard(
                **card,
                network=NetworkParams(),
                outputs=("foreground",),
                training={"fine_tuned_on": cells} if cells else {},
            ),
            tmp_path / f"{card['name']}.keras",
            bundled=False,
        )
        for card, cells in zip(cards, learnt, strict=True)
    ]
    show_models(combo, entries, "auto")
    assert [combo.itemText(row) for row in range(1, 4)] == [
        "nuclei - Nuclei in fluorescence",
        f"nuclei-1 - learnt 34 cells, {format_date(made)}",
        f"nuclei-2 - learnt 1 cell, {format_date(made)}",
    ]
