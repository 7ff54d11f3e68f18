"""Files: images of all formats in, labels in several formats in and out, all or nothing on the disk."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
