"""Use cases that need no window: segment, fine-tune, train, batches, tables, and the doctor's report.

Each is a function of plain values; the worker, the command line and Python call the same ones.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
