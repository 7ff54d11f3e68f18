"""What a person does with predicted labels: edits, reviewed pixels, what to look at next, suggestions.

A new prediction is carried into what was reviewed here, too.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
