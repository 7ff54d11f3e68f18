"""Rendered microscopy: scenes of cells with true labels, for samples, rehearsal and tests."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
