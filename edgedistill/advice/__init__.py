"""What would make a model cheaper or better on its target, and by how much.

`reckoned` tells what the student costs and what others like it would; `advised` reads that and the
report. Each rule is a function of `Facts`, and gives advice only where these bear it out.
"""

from edgedistill.advice.facts import Facts
from edgedistill.advice.give import advised
from edgedistill.advice.reckon import reckoned
from edgedistill.advice.what_if import WhatIf

__all__ = ["Facts", "WhatIf", "advised", "reckoned"]
