from .advice import Advice, Stop, Work, advise
from .surveying import explain_no_learning, greet, survey

__all__ = [
    "Advice",
    "Stop",
    "Work",
    "advise",
    "explain_no_learning",
    "greet",
    "survey",
]
