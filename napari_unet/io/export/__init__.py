"""Labels for other programs: tables, outlines for Fiji and QuPath, TIFF and OME-Zarr."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
