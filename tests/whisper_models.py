"""A tiny Whisper that has learned nothing, and its folder as Hugging Face's transformers saves
it."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from sound_models import chirp

from edgedistill.compress.fold import fold
from edgedistill.data.speech.utterances import Utterances
from edgedistill.distill.speech.learning import Lessons
from edgedistill.models.programs import Method
from edgedistill.models.whisper.network import Shape, Whisper
from edgedistill.models.whisper.spectrum import RATE
from edgedistill.program import Program
from edgedistill.runtimes import RUNTIMES, Loaded, Spec
from edgedistill.transcribing.decoding import Floats
from edgedistill.transcribing.labelling import transcribe
from edgedistill.transcribing.recognizers import InRuntime
from edgedistill.transcribing.rules import Rules

PIECES = ("th", "he", " t", "an", "in", " a", "é", "ß", "ж", "e,", "1.")
"""What has a token beside its bytes."""
SPECIAL = (
    "<|endoftext|>", "<|startoftranscript|>", "<|en|>", "<|de|>", "<|fr|>", "<|translate|>",
    "<|transcribe|>", "<|startoflm|>", "<|startofprev|>", "<|nospeech|>", "<|notimestamps|>",
)  # fmt: skip
FIRST = 256 + len(PIECES)
NAMED = {name: FIRST + place for place, name in enumerate(SPECIAL)}
END = NAMED["<|endoftext|>"]
COUNT = FIRST + len(SPECIAL) + 22
"""With times, which the tokenizer has no names for."""
SHAPE = Shape(
    bands=80, width=32, encoder_layers=2, decoder_layers=2, encoder_heads=4, decoder_heads=4,
    encoder_inner=64, decoder_inner=64, vocabulary=COUNT, positions=50, tokens=24,
)  # fmt: skip
CONFIG: dict[str, Any] = {
    "model_type": "whisper", "architectures": ["WhisperForConditionalGeneration"],
    "num_mel_bins": SHAPE.bands, "d_model": SHAPE.width, "encoder_layers": SHAPE.encoder_layers,
    "decoder_layers": SHAPE.decoder_layers, "encoder_attention_heads": SHAPE.encoder_heads,
    "decoder_attention_heads": SHAPE.decoder_heads, "encoder_ffn_dim": SHAPE.encoder_inner,
    "decoder_ffn_dim": SHAPE.decoder_inner, "vocab_size": COUNT,
    "max_source_positions": SHAPE.positions, "max_target_positions": SHAPE.tokens,
    "activation_function": "gelu", "scale_embedding": False, "bos_token_id": END,
    "eos_token_id": END, "pad_token_id": END,
    "decoder_start_token_id": NAMED["<|startoftranscript|>"],
}  # fmt: skip
GENERATION: dict[str, Any] = {
    "begin_suppress_tokens": [32, END],
    "bos_token_id": END, "eos_token_id": END, "pad_token_id": END,
    "decoder_start_token_id": NAMED["<|startoftranscript|>"],
    "is_multilingual": True,
    "lang_to_id": {each: NAMED[each] for each in ("<|en|>", "<|de|>", "<|fr|>")},
    "max_length": SHAPE.tokens,
    "no_timestamps_token_id": NAMED["<|notimestamps|>"],
    "prev_sot_token_id": NAMED["<|startofprev|>"],
    "return_timestamps": False,
    "suppress_tokens": [1, 2, 7, *range(END + 1, COUNT)],
    "task_to_id": {each: NAMED[f"<|{each}|>"] for each in ("transcribe", "translate")},
}  # fmt: skip
PROMPT = tuple(
    NAMED[f"<|{each}|>"] for each in ("startoftranscript", "en", "transcribe", "notimestamps")
)
RULES = Rules(
    prompt=PROMPT, end=END, suppressed=tuple(GENERATION["suppress_tokens"]),
    suppressed_first=(32, END), limit=SHAPE.tokens, no_speech=NAMED["<|nospeech|>"],
)  # fmt: skip


def whisper(shape: Shape = SHAPE, seed: int = 7) -> Whisper:
    """Its weights are drawn so large that what it says depends on the sound, the position and all
    that it has said; of some windows it says the end."""
    random = torch.Generator().manual_seed(seed)
    model = Whisper(shape).eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            drawn = torch.randn(weight.shape, generator=random)
            weight.copy_(_scaled(name, drawn))
        if shape.vocabulary > END:
            model.decoder.embed_tokens.weight[END] *= 1.3
    return model


def _scaled(name: str, drawn: torch.Tensor) -> torch.Tensor:
    if name.endswith("norm.weight"):
        return 1 + 0.1 * drawn
    if drawn.ndim == 1:
        return 0.05 * drawn
    if "embed" in name:
        return drawn * (0.3 if "tokens" in name else 1.0)
    gain = 1.5
    if "q_proj" in name or "k_proj" in name:
        gain = 2.5
    elif name.startswith("decoder") and ("out_proj" in name or "fc2" in name):
        gain = 3.0
    return gain / math.sqrt(drawn[0].numel()) * drawn


def tensors(model: Whisper) -> dict[str, torch.Tensor]:
    """The weights by the names that a folder has."""
    return {f"model.{name}": each.detach().clone() for name, each in model.named_parameters()}


def save(folder: Path, model: Whisper | None = None) -> Path:
    """Write a folder; `config.json` as of `SHAPE`."""
    folder.mkdir(exist_ok=True)
    documents = {
        "config": CONFIG, "generation_config": GENERATION, "tokenizer": tokenizer(),
    }  # fmt: skip
    for name, document in documents.items():
        (folder / f"{name}.json").write_text(json.dumps(document))
    save_file(tensors(model or whisper()), folder / "model.safetensors")
    return folder


def change(path: Path, **changes: Any) -> None:
    """Of a JSON file; a key whose value is None goes."""
    found = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({key: each for key, each in found.items() if each is not None}))


def tokenizer() -> dict[str, Any]:
    """What transformers' `tokenizer.json` holds, without what splits text into tokens."""
    added = [{"id": number, "content": name, "special": True} for name, number in NAMED.items()]
    return {
        "version": "1.0",
        "added_tokens": added,
        "model": {"type": "BPE", "vocab": table() | {"<|endoftext|>": END}, "merges": []},
    }


def table() -> dict[str, int]:
    """Pieces of text by their numbers: each byte by its own, and then `PIECES`."""
    found = {char: byte for byte, char in enumerate(alphabet())}
    for place, piece in enumerate(PIECES):
        found["".join(alphabet()[byte] for byte in piece.encode())] = 256 + place
    return found


def alphabet() -> list[str]:
    """GPT-2's character for each byte, as its `bytes_to_unicode` makes them."""
    kept = {*range(33, 127), *range(161, 173), *range(174, 256)}
    found, beyond = [], 256
    for byte in range(256):
        found.append(chr(byte if byte in kept else beyond))
        beyond += byte not in kept
    return found


def window(seed: int) -> Floats:
    """A sound as long as the model's window."""
    return chirp(SHAPE.samples, seed, RATE)


def windows(count: int) -> torch.Tensor:
    """(count, length)."""
    return torch.from_numpy(np.stack([window(seed) for seed in range(count)]))


def folded(model: Whisper) -> dict[str, Program]:
    """Both of its programs."""
    return {
        name: fold(Method(model, call), signature)
        for name, (call, signature) in model.programs().items()
    }


def written(programs: dict[str, Program], runtime: str, folder: Path) -> dict[str, Path]:
    """A file of each program."""
    writer = RUNTIMES[runtime]
    paths = {name: folder / f"tiny.{name}{writer.suffix}" for name in programs}
    for name, path in paths.items():
        writer.write(programs[name], path, Spec("fp32", ()))
    return paths


def opened(paths: dict[str, Path], runtime: str) -> InRuntime:
    """A recognizer of both files."""
    loaded: dict[str, Loaded] = {name: RUNTIMES[runtime].load(path) for name, path in paths.items()}
    return InRuntime(loaded["encode"], loaded["decode_step"])


def said_by(model: Whisper, count: int, folder: Path) -> Lessons:
    """What a model says of so many windows, to learn from; batches are kept in `folder`."""
    split = Utterances(
        audio=(windows(count).numpy() * 20_000).astype(np.int16).reshape(-1),
        offsets=np.arange(count + 1) * model.shape.samples, texts=(None,) * count,
        speakers=(None,) * count, names=tuple(map(str, range(count))), rate=16_000,
        window=model.shape.samples,
    )  # fmt: skip
    found = transcribe(model, split, RULES, 5, 4, folder, lambda *_: None)
    return Lessons(split, found, np.arange(count), RULES.prompt, seed=0)
