from .panel import UNetPanel

__all__ = [
    "UNetPanel",
]
