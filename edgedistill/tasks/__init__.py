"""Tasks: one file each, which owns all that depends on the kind of question, and one table."""

from __future__ import annotations

from edgedistill.tasks.base import Array, Head, Task
from edgedistill.tasks.classification import Classification
from edgedistill.tasks.keywords import Keywords
from edgedistill.tasks.multilabel import Multilabel
from edgedistill.tasks.regression import Regression
from edgedistill.tasks.retrieval import Retrieval

__all__ = ["TASKS", "Array", "Head", "Task"]

TASKS: dict[str, Task] = {
    task.name: task
    for task in (Classification(), Keywords(), Multilabel(), Regression(), Retrieval())
}
