"""Cells and what is computed from them: maps to cells and back, measurements, tracks, scores.

`targets` and `instances` are the two directions between label images and a network's output maps.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
