"""Parts that several widgets use: forms made from parameters, the run bar, columns that scroll."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
