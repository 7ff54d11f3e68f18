"""Combo boxes: of models, and of choices that change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from qtpy.QtWidgets import QComboBox
from superqt.utils import signals_blocked

from napari_unet.core.base import AUTO
from napari_unet.models import ModelEntry, format_date

Choice = tuple[str, object]


_TOOLTIP = 3  # Qt.ItemDataRole.ToolTipRole


def show_models(
    combo: QComboBox, entries: Sequence[ModelEntry], chosen: str | Path, taken: Path | None = None
) -> None:
    """Offer models in a combo box whose data are their files; first of all to take the one that fits."""
    auto = f"Auto - {taken.stem}" if taken is not None else "Auto - the one that fits best"
    show_choices(combo, [(auto, AUTO), *((_title(entry), entry.path) for entry in entries)], chosen)
    combo.setItemData(0, "Looks at a sample of the image with each model", _TOOLTIP)
    for row, entry in enumerate(entries, start=1):
        combo.setItemData(row, entry.card.description or str(entry.path), _TOOLTIP)


def show_choices(combo: QComboBox, choices: Sequence[Choice], chosen: object) -> None:
    """Fill a combo box, without a signal, unless it shows just that already."""
    rows = [(combo.itemText(row), combo.itemData(row)) for row in range(combo.count())]
    with signals_blocked(combo):
        if rows != list(choices):
            combo.clear()
            for text, data in choices:
                combo.addItem(text, data)
        at = next((row for row, (_, data) in enumerate(choices) if data == chosen), 0 if choices else -1)
        combo.setCurrentIndex(at)


def _title(entry: ModelEntry) -> str:
    name, title = entry.path.stem, entry.card.title
    learnt = entry.card.training.get("fine_tuned_on")
    if isinstance(learnt, Mapping):
        cells = learnt.get("reviewed_cells", 0)
        return f"{name} - learnt {cells} cell{'s' * (cells != 1)}, {format_date(entry.card.created)}"
    return f"{name} - {title}" if title and title != name else name


def make_combo(name: str, tip: str) -> QComboBox:
    """Return a combo box that does not make the panel wide."""
    combo = QComboBox(objectName=name)
    combo.setToolTip(tip)
    combo.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    combo.setMinimumContentsLength(8)
    return combo
