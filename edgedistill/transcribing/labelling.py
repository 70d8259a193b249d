"""Ask a recognizer what is said in a split, a batch at a time, so that a kill loses one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edgedistill.distill.speech.transcripts import Transcripts, join, open_transcripts
from edgedistill.transcribing.rules import Rules

if TYPE_CHECKING:
    from torch import Tensor

    from edgedistill.data.speech.utterances import Utterances
    from edgedistill.models.whisper.network import Whisper
    from edgedistill.transcribing.batches import Labelled


def transcribe(
    model: Whisper,
    split: Utterances,
    rules: Rules,
    k: int,
    batch_size: int,
    folder: Path,
    tick: Callable[[float, float], None],
    keep: NDArray[np.float16] | None = None,
    precision: str = "fp32",
) -> Transcripts:
    """The model's transcripts of a split, with the `k` likeliest tokens at each place; batches lie
    in `folder`, and those that lie there already are not asked for again.

    keep: (utterances, positions, width), takes the encoder's states; precision: of the encoder,
    `fp32` or `bf16`.
    """
    from edgedistill.transcribing.batches import label

    order = np.argsort(split.lengths, kind="stable")  # of like length, they end about together
    parts = [order[at : at + batch_size] for at in range(0, len(order), batch_size)]
    found = []
    for number, ids in enumerate(parts):
        place = folder / f"{number:06}"
        if not (place / "done").exists():
            place.mkdir(parents=True, exist_ok=True)
            states = encoded(model, split, ids, precision)
            if keep is not None:
                keep[ids] = states.half().numpy()
            _together(label(model, states, rules, k), rules.end).write(place)
            (place / "done").touch()
        found.append(open_transcripts(place))
        tick(float(split.seconds[order[: (number + 1) * batch_size]].sum()),
             float(split.seconds.sum()))  # fmt: skip
    return join(found, order.tolist())


def encoded(
    model: Whisper, split: Utterances, ids: NDArray[np.int64], precision: str = "fp32"
) -> Tensor:
    """The encoder's states of utterances, (batch, positions, width), float32."""
    import torch

    samples = torch.from_numpy(split.inputs(ids)["samples"])
    with torch.no_grad():
        spectrum = model.log_mel(samples)
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            states: Tensor = model.encoder(spectrum)
    return states.float()


def _together(labelled: list[Labelled], end: int) -> Transcripts:
    said = [
        np.array([*each.decoded.tokens, *([end] if each.decoded.ended else [])], np.int32)
        for each in labelled
    ]
    return Transcripts(
        offsets=np.concatenate([[0], np.cumsum([len(each) for each in said])]).astype(np.int64),
        tokens=np.concatenate(said),
        likely=np.concatenate([each.tokens for each in labelled]),
        log_probabilities=np.concatenate([each.log_probabilities for each in labelled]),
        sure=np.array([each.decoded.log_probability for each in labelled], np.float32),
        no_speech=np.array([each.decoded.no_speech for each in labelled], np.float32),
        ended=np.array([each.decoded.ended for each in labelled], np.bool_),
    )
