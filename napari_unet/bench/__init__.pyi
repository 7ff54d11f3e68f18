from .benchmark import check_output, find_data_sets, render_table, run_benchmark
from .methods import load_methods

__all__ = [
    "check_output",
    "find_data_sets",
    "load_methods",
    "render_table",
    "run_benchmark",
]
