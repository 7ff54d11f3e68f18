"""The dock widgets and all that shows in napari's window; nothing else knows Qt or napari."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
