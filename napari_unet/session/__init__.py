"""What the window does, without a window: open images, runs, what comes to trial, the batch."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
