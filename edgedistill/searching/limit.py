"""What the chosen one may cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgedistill.recipe import Recipe
from edgedistill.records import Run


@dataclass(frozen=True)
class Limit:
    """Upper bounds on a run's figures, by their names; weights in thousands are bytes of int8."""

    most: dict[str, float]
    relative: bool
    """Whether the cost is held against that of the recipe's own values, by share."""
    own: dict[float, float]

    @classmethod
    def of(cls, recipe: Recipe, runs: Sequence[Run]) -> Limit:
        """What the contract says of multiply-accumulates; else what the recipe's own values cost.
        And in int8 the weights alone should fit in the file's size."""
        contract, whole = recipe.contract, recipe.stages.quantize is None
        given = {
            "macs": contract.max_macs,
            "padded_macs": contract.max_padded_macs,
            "params": None if whole else contract.max_size_kb,
        }
        own = {run.share: run.cost for run in runs if run.trial == 0 and run.cost is not None}
        relative = contract.max_macs is None and contract.max_padded_macs is None
        return cls({key: most for key, most in given.items() if most is not None}, relative, own)

    def fits(self, run: Run) -> bool:
        """Whether the run may be chosen."""
        for key, most in self.most.items():
            figure = getattr(run, key)
            if figure is not None and figure > most:
                return False
        own = self.own.get(run.share)
        return not self.relative or own is None or run.cost is None or run.cost <= own

    @property
    def words(self) -> str:
        """For a reader."""
        names = {
            "macs": "{:g} M MACs", "padded_macs": "{:g} M padded MACs",
            "params": "{:g} KB of int8 weights",
        }  # fmt: skip
        told = [names[key].format(most) for key, most in self.most.items()]
        return " and ".join(
            [*(["what the recipe's own values cost"] if self.relative else []), *told]
        )
