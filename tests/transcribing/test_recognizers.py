"""A recognizer says the same in torch, in every runtime and in transformers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from whisper_models import (
    COUNT,
    END,
    PROMPT,
    RULES,
    SHAPE,
    folded,
    opened,
    save,
    whisper,
    window,
    written,
)

from edgedistill.models.whisper.network import Whisper
from edgedistill.program import Program
from edgedistill.transcribing.decoding import Decoded, Floats, Recognizer, greedy
from edgedistill.transcribing.recognizers import InRuntime, InTorch

NEAR = 1e-3
"""Between the two best logits: rounding decides."""


@pytest.fixture(scope="module")
def model() -> Whisper:
    return whisper()


@pytest.fixture(scope="module")
def programs(model: Whisper) -> dict[str, Program]:
    return folded(model)


@pytest.fixture(scope="module")
def in_onnx(programs: dict[str, Program], tmp_path_factory: pytest.TempPathFactory) -> InRuntime:
    paths = written(programs, "onnxruntime", tmp_path_factory.mktemp("files"))
    return opened(paths, "onnxruntime")


def said(recognizer: Recognizer, count: int) -> list[Decoded]:
    return [greedy(recognizer, window(seed), RULES) for seed in range(count)]


def same(found: list[Decoded], wanted: list[Decoded]) -> None:
    assert [each.tokens for each in found] == [each.tokens for each in wanted]
    for one, other in zip(found, wanted, strict=True):
        assert one.ended == other.ended
        assert one.log_probability == pytest.approx(other.log_probability, abs=1e-3)
        assert one.no_speech == pytest.approx(other.no_speech, abs=1e-4)


def test_the_model_has_something_to_say(model: Whisper) -> None:
    """Else to say the same would be easy."""
    found = said(InTorch(model), 12)
    assert len({each.tokens for each in found}) == 12
    assert len({token for each in found for token in each.tokens}) > 25
    assert 2 < sum(each.ended for each in found) < 10
    assert all(0.0 < each.no_speech < 0.5 and each.log_probability < -0.5 for each in found)


def test_in_torch_it_is_the_model(model: Whisper) -> None:
    recognizer, heard = InTorch(model), window(3)
    tokens = [*PROMPT, 65, 66]
    recognizer.hear(heard)
    found = [recognizer.step(token, position) for position, token in enumerate(tokens)]
    with torch.no_grad():
        wanted = model(torch.from_numpy(heard)[None], torch.tensor([tokens]))[0].numpy()
    np.testing.assert_allclose(np.stack(found), wanted, atol=1e-4)


def test_onnx_runtime_says_what_torch_does(model: Whisper, in_onnx: InRuntime) -> None:
    same(said(in_onnx, 12), said(InTorch(model), 12))


def test_logits_are_those_of_torch(model: Whisper, in_onnx: InRuntime) -> None:
    in_torch = InTorch(model)
    for recognizer in (in_onnx, in_torch):
        recognizer.hear(window(0))
    for position in range(SHAPE.tokens):
        token = PROMPT[position] if position < 4 else 31 * position % COUNT
        found, wanted = (each.step(token, position) for each in (in_onnx, in_torch))
        assert (found.shape, found.dtype) == (wanted.shape, wanted.dtype) == ((COUNT,), np.float32)
        np.testing.assert_allclose(found, wanted, atol=1e-3)


def test_what_was_heard_before_is_forgotten(in_onnx: InRuntime, model: Whisper) -> None:
    for recognizer in (in_onnx, InTorch(model)):
        first = greedy(recognizer, window(0), RULES)
        greedy(recognizer, window(1), RULES)
        assert greedy(recognizer, window(0), RULES) == first


def test_logits_stay_as_they_were_given(in_onnx: InRuntime, model: Whisper) -> None:
    for recognizer in (in_onnx, InTorch(model)):
        recognizer.hear(window(0))
        first = recognizer.step(PROMPT[0], 0)
        kept = first.copy()
        recognizer.step(PROMPT[1], 1)
        assert np.array_equal(first, kept)


@pytest.mark.slow
@pytest.mark.parametrize("runtime", ["litert", "openvino"])
def test_other_runtimes_say_what_torch_does(
    model: Whisper, programs: dict[str, Program], runtime: str, tmp_path: Path
) -> None:
    recognizer = opened(written(programs, runtime, tmp_path), runtime)
    same(said(recognizer, 40), said(InTorch(model), 40))


@pytest.mark.slow
@pytest.mark.parametrize("runtime", ["litert", "onnxruntime", "openvino"])
def test_a_file_holds_the_embedding_once(
    model: Whisper, programs: dict[str, Program], runtime: str, tmp_path: Path
) -> None:
    step = written({"decode_step": programs["decode_step"]}, runtime, tmp_path)["decode_step"]
    held = step.with_suffix(".bin") if runtime == "openvino" else step
    table = model.decoder.embed_tokens.weight.detach().numpy()
    layouts = (table.tobytes(), table.T.tobytes())
    content = held.read_bytes()
    assert sum(content.count(each) for each in layouts) == 1
    used = [
        each for name, each in model.decoder.named_parameters()
        if "encoder_attn.k_proj" not in name and "encoder_attn.v_proj" not in name
    ]  # fmt: skip
    assert len(content) < 4 * sum(each.numel() for each in used) + table.nbytes


class Watched:
    """A recognizer whose margins are noted: between the two best logits of those that may be
    said."""

    def __init__(self, recognizer: Recognizer) -> None:
        self.recognizer = recognizer
        self.margin = np.inf

    def hear(self, samples: Floats) -> None:
        self.margin = np.inf
        self.recognizer.hear(samples)

    def step(self, token: int, position: int) -> Floats:
        logits = self.recognizer.step(token, position)
        if position >= len(PROMPT) - 1:
            first = RULES.suppressed_first if position == len(PROMPT) - 1 else ()
            best = np.sort(np.delete(logits, [*RULES.suppressed, *first]))
            self.margin = min(self.margin, float(best[-1] - best[-2]))
        return logits


@pytest.mark.slow
def test_transformers_generates_the_same(tmp_path: Path, model: Whisper) -> None:
    transformers = pytest.importorskip("transformers")
    theirs = transformers.WhisperForConditionalGeneration.from_pretrained(save(tmp_path / "tiny"))
    extractor = transformers.WhisperFeatureExtractor(feature_size=80, chunk_length=1)
    watched, near = Watched(InTorch(model)), 0
    for seed in range(40):
        heard = window(seed)
        found = greedy(watched, heard, RULES)
        if watched.margin < NEAR:
            near += 1
            continue
        given = extractor(heard, sampling_rate=16_000, return_tensors="pt").input_features
        tokens = theirs.generate(
            given, language="en", task="transcribe", num_beams=1, do_sample=False
        )[0].tolist()
        wanted = tokens[: tokens.index(END)] if END in tokens else tokens
        assert list(found.tokens) == wanted, seed
        assert found.ended == (len(wanted) < SHAPE.tokens - len(PROMPT)) or END in tokens
    assert near <= 4
