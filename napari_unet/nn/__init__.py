"""The network: layers, the backend, prediction tile by tile, model files. Nobody else imports Keras."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
