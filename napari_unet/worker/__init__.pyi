from .job import Job, JobError
from .worker import Worker

__all__ = [
    "Job",
    "JobError",
    "Worker",
]
