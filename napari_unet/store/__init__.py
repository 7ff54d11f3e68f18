"""A project's folder: images' records, the journal of edits, snapshots of reviews, large labels."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
