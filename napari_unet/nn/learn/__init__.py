"""Learning: from scratch on folders of images, and fine-tuning on a person's corrections."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
