"""One keyword, or none, for each window of sound; and which are heard in a stream of it."""

from __future__ import annotations

from collections.abc import Sequence

from edgedistill.tasks.classification import Classification


class Keywords(Classification):
    """As classification, and the student's program `step` is listened with."""

    name = "keywords"
    listens = True
    mixes = False  # samples are sound

    def reading(self, temperature: float) -> str:
        """The probabilities, at the temperature that was fitted."""
        return (
            f"softmax(real / temperature) are the labels' probabilities; temperature, "
            f"{temperature:.6g}, was fitted on validation windows so that a confidence is as often "
            "right as it says, and changes no answer; what counts as heard in a stream, "
            "`listening` says"
        )


def heard_classes(labels: Sequence[str], others: Sequence[int | None]) -> tuple[int, ...]:
    """The classes that are keywords: all but `others`, those of unknown words and of silence."""
    return tuple(number for number in range(len(labels)) if number not in others)
