"""Whether the file or something else is why a file's answers are not the torch graph's.

A runtime has more than one set of kernels: those it takes by itself, and its plainest. Each right
one rounds in its own way, and rounding adds up with depth, so that answers alone do not tell a
wrong file from a right one. An int8 file is judged by its layers, each given the graph's integers:

- a layer that no set of kernels computes as the graph does: it is the file;
- one that the plainest kernels compute, and the usual ones do not: this machine's kernels (sums of
  products in 16 bits, which saturate, on x86 without VNNI);
- all layers right, and the usual kernels no further from the graph than half a step on average, or
  than `_APART` times what the plainest are: rounding;
- all layers right, and the usual kernels further off: this machine's kernels.

An int8 file that cannot be cut, as ExecuTorch's, is right where its answers are no further from the
graph than half a step on average: rounding; else it is the file, as nothing speaks for it.

A float file has no integers to hold a layer against. It is the file where values miss the tolerance
by the plainest kernels too, this machine's kernels where they do so by the usual ones alone. Where
values keep it and decisions do not, the graph itself hardly decides: rounding.

Only the file is a fault of the compile. The rest is said.
"""

from __future__ import annotations

from dataclasses import dataclass

from edgedistill.records import Cause, LayerParity, Parity

KERNELS: Cause = "this machine's kernels"
_APART, _STEPS = 2.0, 0.5


@dataclass(frozen=True)
class Evidence:
    """What was run of one file, and what came."""

    missed: tuple[str, ...]
    """The tolerances that it misses, in words."""
    usual: Parity
    """The kernels that the runtime takes by itself against the graph, on `images` images."""
    plain: Parity | None = None
    """Its plainest kernels against the graph, on the same; None where nothing was missed."""
    between: Parity | None = None
    """The two against each other."""
    images: int = 0
    strays: tuple[bool, bool] = (False, False)
    """Whether a float file's values miss the tolerance by the usual kernels, by the plainest."""
    alone: tuple[LayerParity, ...] = ()
    """An int8 file's layers by the usual kernels."""
    alone_plain: tuple[LayerParity, ...] = ()
    """The same by the plainest, where the usual ones stray."""
    others: tuple[tuple[str, Parity], ...] = ()
    """Other runtimes' files of the same precision against the graph, on the same images."""

    @property
    def wrong(self) -> list[LayerParity]:
        """Layers that no kernels compute as the graph does."""
        usual = {each.layer for each in self.alone if each.strays}
        return [each for each in self.alone_plain if each.strays and each.layer in usual]

    @property
    def strays_here(self) -> list[LayerParity]:
        """Layers that only this machine's usual kernels stray at."""
        wrong = {each.layer for each in self.wrong}
        return [each for each in self.alone if each.strays and each.layer not in wrong]


def cause(found: Evidence) -> Cause | None:
    """None where there is nothing to explain."""
    if found.wrong:
        return "the file"
    if not found.missed:
        return None
    assert found.plain is not None, "a miss that was not looked into"
    if found.alone:
        return "rounding" if not found.strays_here and _no_further(found) else KERNELS
    if found.usual.mean_steps is not None:
        return "rounding" if found.usual.mean_steps <= _STEPS else "the file"
    usual, plain = found.strays
    return "the file" if plain else KERNELS if usual else "rounding"


def _no_further(found: Evidence) -> bool:
    """Whether the usual kernels of an int8 file, whose layers are right, stay as close to the graph
    as kernels that round in another way do."""
    usual, plain = found.usual, found.plain
    assert plain is not None
    if usual.mean_steps is not None and usual.mean_steps <= _STEPS:
        return True
    return usual.mean_difference <= _APART * plain.mean_difference


def words(found: Evidence) -> str:
    """The verdict with what was run and what came of it, as one sentence; empty for none."""
    because = cause(found)
    if because is None:
        return ""
    parts = [_layers(found)] if found.alone else []
    if found.plain is not None:
        parts.append(f"of {found.images} images, {_alike(found.plain)} by the runtime's plainest "
                     f"kernels, {_alike(found.usual)} by its usual ones")  # fmt: skip
    if found.between is not None:
        parts.append(f"between these two {_alike(found.between, 'alike')}")
    if found.others:
        told = ", ".join(f"{name} {_alike(each, '')}" for name, each in found.others)
        parts.append(f"other runtimes' files: {told}")
    return f"it is {because}: {'; '.join(parts)}"


def _layers(found: Evidence) -> str:
    if found.wrong:
        first = found.wrong[0]
        return (
            f"given the graph's integers, layer `{first.layer}` is {_off(first)} by the plainest "
            f"kernels too ({len(found.wrong)} of {len(found.alone)} layers)"
        )
    right = f"given the graph's integers, each of {len(found.alone)} layers is right"
    if not found.strays_here:
        return f"{right}, a step off at most"
    worst = max(found.strays_here, key=lambda each: each.max_steps)
    return (
        f"{right} by the runtime's plainest kernels, and {len(found.strays_here)} are not by its "
        f"usual ones (`{worst.layer}` is {_off(worst)})"
    )


def _off(layer: LayerParity) -> str:
    if layer.max_steps > 1:
        return f"up to {layer.max_steps:g} steps off"
    return f"off in {1 - layer.exact:.0%} of its values"


def _alike(found: Parity, what: str = "decided as by the graph") -> str:
    if found.agreement is None:
        return f"{found.mean_difference:.2%} of the range apart"
    return f"{found.agreement:.2%} {what}".rstrip()
