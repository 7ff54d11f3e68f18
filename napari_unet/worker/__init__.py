"""A process beside the window that carries out jobs: it starts, hears, stops and outlives crashes.

It knows neither images nor models: what a job does is said by the module of jobs that it is given.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
