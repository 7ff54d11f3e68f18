"""Segment, correct and fine-tune microscopy images with a U-Net, inside napari or without a window.

The public names are listed in ``__init__.pyi`` and described in docs/python.md. Each is imported when it is
first used, so that importing the package stays quick.
"""

from importlib.metadata import version

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
__version__ = version("napari-unet")
