"""Models as files with names: those that ship, those of a project, where each one comes from, exchange."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
