from .journal import Edit, JournalWriter
from .large_labels import DiskCells
from .project import ImageRecord, Project
from .region import Region, check_size, find_known, read_region

__all__ = [
    "DiskCells",
    "Edit",
    "ImageRecord",
    "JournalWriter",
    "Project",
    "Region",
    "check_size",
    "find_known",
    "read_region",
]
