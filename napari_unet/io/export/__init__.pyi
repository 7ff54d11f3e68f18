from .export import ENDINGS, FORMATS, complete_name, export_files, export_labels

__all__ = [
    "ENDINGS",
    "FORMATS",
    "complete_name",
    "export_files",
    "export_labels",
]
