"""What happens in napari's canvas: layers, strokes, tools, overlays, the walk along doubtful cells."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
