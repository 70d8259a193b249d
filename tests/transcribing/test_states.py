"""What an encoder makes of a split, computed once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from whisper_models import said_by, whisper

from edgedistill.transcribing.states import heard


def test_the_encoder_hears_each_utterance_once(tmp_path: Path) -> None:
    model, place = whisper(), tmp_path / "states.npy"
    lessons = said_by(model, 10, tmp_path / "asked")
    found = heard(model, lessons, place, "fp32", lambda *_: None)
    samples = torch.from_numpy(lessons.split.inputs(lessons.ids)["samples"])
    with torch.no_grad():
        states = model.states(samples)
    np.testing.assert_allclose(found, states.numpy(), atol=5e-3)
    place.with_suffix(".done").write_text("8")  # as a run that ended there
    silent = heard(whisper(seed=9), lessons, place, "fp32", lambda *_: None)
    np.testing.assert_allclose(silent[:8], states.numpy()[:8], atol=5e-3)
    assert np.abs(silent[8:] - states.numpy()[8:]).max() > 0.1
