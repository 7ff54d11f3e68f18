from .scenes import Scene, render_cells, render_membranes, render_nuclei

__all__ = [
    "Scene",
    "render_cells",
    "render_membranes",
    "render_nuclei",
]
