from .batch import NO_IMAGES, BatchSession
from .export import export_image
from .image import OpenImage
from .images import OpenImages
from .masks import name_masks
from .pace import Pace
from .runner import Activity, Background, Runner
from .scope import WHOLE, Planes, Scope, View
from .session import Session
from .source import Source, read_plane
from .training_images import Teacher
from .trial import Trial, explain_known, explain_verdict

__all__ = [
    "NO_IMAGES",
    "WHOLE",
    "Activity",
    "Background",
    "BatchSession",
    "OpenImage",
    "OpenImages",
    "Pace",
    "Planes",
    "Runner",
    "Scope",
    "Session",
    "Source",
    "Teacher",
    "Trial",
    "View",
    "explain_known",
    "explain_verdict",
    "export_image",
    "name_masks",
    "read_plane",
]
