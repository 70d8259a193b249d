"""A native program that runs a model file where there is no Python: what it is given, what it is
built from, what must lie beside it, and what it answers.

A device puts into one folder `prepared(job, folder).files`, `runner(isa)` and `libraries(runtime,
isa)`, starts `launch(isa)` with `prepared.arguments()` there, and gives the files that it has of
`prepared.answers` to `answered`.
"""

from edgedistill.devices.native.answer import answered
from edgedistill.devices.native.build import runner
from edgedistill.devices.native.order import PROFILE, Prepared, prepared
from edgedistill.devices.native.shared import launch, libraries

__all__ = ["PROFILE", "Prepared", "answered", "launch", "libraries", "prepared", "runner"]
