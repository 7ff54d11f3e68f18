"""What every room speaks of: parameters, the model's card, arrays and boxes, progress and errors.

It knows nothing of images, networks or windows, and has no imports from elsewhere in the package.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
