from . import layers
from .canvas import Canvas
from .edit_watch import EditWatch
from .history import StepHistory
from .layers import METADATA, image_layers, visible_box
from .overlay import ReviewedOverlay
from .toolbox import ToolBox
from .tools import ACCEPT, TOOLS, Tool
from .walk import Walk

__all__ = [
    "ACCEPT",
    "METADATA",
    "TOOLS",
    "Canvas",
    "EditWatch",
    "ReviewedOverlay",
    "StepHistory",
    "Tool",
    "ToolBox",
    "Walk",
    "image_layers",
    "layers",
    "visible_box",
]
