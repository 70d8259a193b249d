"""Which layers stay in float, so that a limit on quality holds at the least cost."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping

from edgedistill.compress.operators import WEIGHTED, layer_name
from edgedistill.program import Program, graph_of, value
from edgedistill.records import LayerSensitivity


def layer_macs(program: Program) -> dict[str, int]:
    """Multiply-accumulates of each layer with weights, by its name, for one sample."""
    graph = graph_of(program)
    found: dict[str, int] = {}
    for node in graph.graph.nodes:
        weight = value(graph, node.args[1]) if str(node.target) in WEIGHTED else None
        if weight is not None:
            outputs = node.meta["val"][0].numel()
            name = layer_name(node)
            found[name] = found.get(name, 0) + int(outputs) * weight[0].numel()
    return found


def leave_in_float(
    rows: Iterable[LayerSensitivity],
    costs: Mapping[str, float],
    drop: Callable[[tuple[str, ...]], float],
    limit: float,
    kept: Collection[str] = (),
) -> tuple[tuple[str, ...], float]:
    """Layers to leave in float, beside those in `kept`, so that quality falls by no more than
    `limit` points; and by how much it falls with them.

    Layers are added by the noise that rounding them brings, for what they cost in float, until the
    limit holds; then each that turns out not to be needed goes back, the dearest first. Where it
    does not hold with all of them, those with which quality fell least.
    rows: the sensitivity table; costs: of each layer, in any unit; drop: points of quality that
    quantization costs with these layers in float.
    """
    noise = {row.layer: 10 ** (-row.sqnr_db / 10) for row in rows if row.has_weights}
    order = sorted(
        (name for name in noise if name in costs and name not in kept),
        key=lambda name: (-noise[name] / max(costs[name], 1.0), name),
    )
    chosen: tuple[str, ...] = ()
    best = chosen, drop(chosen)
    for name in order:
        if best[1] <= limit:
            break
        chosen = (*chosen, name)
        fallen = drop(chosen)
        if fallen < best[1]:
            best = chosen, fallen
    if best[1] > limit:
        return best
    for name in sorted(best[0], key=lambda each: (-costs[each], each)):
        fewer = tuple(each for each in best[0] if each != name)
        fallen = drop(fewer)
        if fallen <= limit:
            best = fewer, fallen
    return best
