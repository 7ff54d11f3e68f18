from .dock import find_panel, join_panel

__all__ = [
    "find_panel",
    "join_panel",
]
