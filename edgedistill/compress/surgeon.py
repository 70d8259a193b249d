"""Which inputs of a linear layer can go, and the weights of the others that make up for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

_DAMPING = 1e-4
"""Of the mean power of an input, added to each, so that those which say the same can be told
apart."""
_AT_ONCE = 64
"""So many rounds, about, remove all that goes."""


@dataclass(frozen=True)
class Narrowed:
    """What stays of a linear layer."""

    kept: Tensor
    """(inputs that stay,), int64: their places, rising."""
    weight: Tensor
    """(outputs, inputs that stay), as the layer's own type."""
    error: float
    """Share of the outputs' power that is lost where the layer was fed."""


def narrowed(weight: Tensor, gram: Tensor, keep: int, group: int = 1) -> Narrowed:
    """Leave `keep` groups of a linear layer's inputs, so that its outputs change least.

    Those go first that the others can make up for best, judged anew as they go (Hassibi & Stork
    1993, "Second order derivatives for network pruning: Optimal Brain Surgeon"; in groups, Kurtic
    et al. 2023, "ZipLM"); what stays is then fitted to the whole layer's outputs by least squares.

    weight: (outputs, inputs); gram: (inputs, inputs), the sum of the products of each two inputs
    over what the layer was fed; group: neighbouring inputs that stay or go together.
    """
    import torch

    exact = weight.double()
    damped = gram.double()
    damped = damped + torch.eye(len(damped)) * (_DAMPING * damped.diagonal().mean() + 1e-30)
    places = torch.arange(len(damped)).reshape(-1, group)
    stays = torch.ones(len(places), dtype=torch.bool)
    left, inverse = exact.clone(), torch.linalg.inv(damped)
    most = max(1, (len(places) - keep) // _AT_ONCE)
    while (over := int(stays.sum()) - keep) > 0:
        cost = _costs(left, inverse, places).masked_fill(~stays, float("inf"))
        gone = cost.argsort()[: min(most, over)]
        stays[gone] = False
        _remove(left, inverse, places[gone].flatten())
    kept = places[stays].flatten()
    fitted = torch.linalg.solve(damped[kept][:, kept], (exact @ damped[:, kept]).T).T
    change = exact.clone()
    change[:, kept] -= fitted
    lost = float(((change @ damped) * change).sum() / ((exact @ damped) * exact).sum())
    return Narrowed(kept, fitted.to(weight.dtype), lost)


def _costs(left: Tensor, inverse: Tensor, places: Tensor) -> Tensor:
    """(groups,): squared error of the outputs without each group, the others having made up."""
    import torch

    blocks = inverse[places[:, :, None], places[:, None, :]]
    columns = left.T[places]  # (groups, group, outputs)
    found: Tensor = (columns * torch.linalg.solve(blocks, columns)).sum((1, 2))
    return found


def _remove(left: Tensor, inverse: Tensor, gone: Tensor) -> None:
    """Take inputs out of both in place; of what is gone the inverse keeps ones, so that it can be
    solved for all the same."""
    import torch

    share = torch.linalg.solve(inverse[gone][:, gone], inverse[gone])
    left -= left[:, gone] @ share
    inverse -= inverse[:, gone] @ share
    left[:, gone] = 0.0
    inverse[gone] = inverse[:, gone] = 0.0
    inverse[gone, gone] = 1.0
