from .job import Job, JobError, Request, Result
from .worker import Worker

__all__ = [
    "Job",
    "JobError",
    "Request",
    "Result",
    "Worker",
]
