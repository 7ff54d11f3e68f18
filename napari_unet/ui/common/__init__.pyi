from .combo import Choice, make_combo, show_choices, show_models
from .forms import Form
from .opening import add_layers, ask_for_images, open_images
from .preloading import preload, spare_the_first_labels
from .run_bar import Poster, RunBar, Sentence, paint_later
from .scroll import ScrollColumn
from .style import ERROR, PANEL, set_look

__all__ = [
    "ERROR",
    "PANEL",
    "Choice",
    "Form",
    "Poster",
    "RunBar",
    "ScrollColumn",
    "Sentence",
    "add_layers",
    "ask_for_images",
    "make_combo",
    "open_images",
    "paint_later",
    "preload",
    "set_look",
    "show_choices",
    "show_models",
    "spare_the_first_labels",
]
