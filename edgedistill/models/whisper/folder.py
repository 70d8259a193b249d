"""A Whisper as Hugging Face's transformers saves it: a folder of its configuration, its weights,
its tokens and its rules of decoding. Read as data: nothing of it is run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgedistill.errors import UserError, blaming
from edgedistill.files import read_json_file
from edgedistill.models.whisper.network import Decoder, Encoder, Shape, Whisper

if TYPE_CHECKING:
    from torch import Tensor

_SAVED = "give the folder that `save_pretrained` of a WhisperForConditionalGeneration wrote"
_WEIGHTS, _INDEX = "model.safetensors", "model.safetensors.index.json"
_AGAIN = "proj_out.weight"
"""The embedding, once more."""
_MOST = 64 << 20
"""Bytes of a JSON file: tokenizers have several million."""
_FILES = ["*.json", "*.safetensors", "merges.txt"]
_SIZES = {
    "bands": "num_mel_bins", "width": "d_model", "encoder_layers": "encoder_layers",
    "decoder_layers": "decoder_layers", "encoder_heads": "encoder_attention_heads",
    "decoder_heads": "decoder_attention_heads", "encoder_inner": "encoder_ffn_dim",
    "decoder_inner": "decoder_ffn_dim", "vocabulary": "vocab_size",
    "positions": "max_source_positions", "tokens": "max_target_positions",
}  # fmt: skip


@dataclass(frozen=True)
class Kept:
    """What of a model is kept; None for all."""

    encoder_layers: Sequence[int] | None = None
    decoder_layers: Sequence[int] | None = None
    seconds: float | None = None
    """Of the window: its first positions."""
    tokens: int | None = None
    """Positions of a transcript: the first."""
    vocabulary: Sequence[int] | None = None
    """Tokens, by their numbers, in the order of their new ones."""


def find(name: str) -> Path:
    """The folder of a model: `name` itself, or of that name on the hub, where it is downloaded to
    Hugging Face's own cache.

    Raises UserError: no such folder, and nothing of that name can be fetched.
    """
    if Path(name).is_dir():
        return Path(name)
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise UserError(
            f"{name}: no such folder, and a download needs the package huggingface_hub ({error})",
            "give a folder, or pip install 'edgedistill[huggingface]'",
        ) from None
    with blaming(f"{name}: no such folder, and it cannot be had from the hub", _SAVED):
        return Path(snapshot_download(name, allow_patterns=_FILES))


def shape_of(folder: Path) -> Shape:
    """The sizes that a folder's `config.json` tells. Raises UserError: it is no Whisper's."""
    config = _document(folder / "config.json")
    kind = config.get("model_type")
    if kind != "whisper":
        raise UserError(f"{folder}: is a model of the type `{kind}`, no Whisper", _SAVED)
    wrong = [
        key for key in _SIZES.values()
        if not isinstance(config.get(key), int) or not 0 < config[key] < 1 << 24
    ]  # fmt: skip
    if wrong:
        raise UserError(f"{folder / 'config.json'}: no size in {', '.join(wrong)}", _SAVED)
    shape = Shape(**{name: config[key] for name, key in _SIZES.items()})
    if config.get("activation_function", "gelu") != "gelu" or config.get("scale_embedding"):
        raise UserError(
            f"{folder / 'config.json'}: another activation than gelu, or scaled embeddings; no "
            "published Whisper has either",
            _SAVED,
        )
    for heads in (shape.encoder_heads, shape.decoder_heads):
        if shape.width % heads:
            raise UserError(
                f"{folder / 'config.json'}: {heads} heads do not part {shape.width} channels",
                _SAVED,
            )
    return shape


def generation(folder: Path) -> dict[str, Any]:
    """What a folder's `generation_config.json` says. Raises UserError: it is not there, or no
    JSON."""
    return _document(folder / "generation_config.json")


def check_weights(folder: Path) -> None:
    """Raises UserError: the weights in a folder cannot be read, or do not fit its sizes. They are
    not read."""
    from edgedistill.models.weights import Shapes, misfits, shapes

    there: Shapes = {}
    for path in _weights(folder):
        there |= {name.removeprefix("model."): size for name, size in shapes(path).items()}
    there.pop(_AGAIN, None)
    misfits(_sizes(shape_of(folder)), there, str(folder))


def open_whisper(folder: Path, kept: Kept | None = None) -> Whisper:
    """The model in a folder, in float32 and evaluation mode.

    Raises UserError: it is no Whisper, its weights do not fit its sizes, or `kept` names what it
    does not have.
    """
    from edgedistill.models.weights import fit, misfits, shapes_of

    whole, kept = shape_of(folder), kept or Kept()
    shape = _cut(whole, kept)
    there = _tensors(folder)
    misfits(_sizes(whole), shapes_of(there), str(folder))
    tensors = _renamed(there, whole, kept, shape)
    model = Whisper(shape)
    # What the spectrum is computed with is no weight.
    own = {name: each for name, each in model.state_dict().items() if name.startswith("log_mel.")}
    fit(model, own | tensors, str(folder))
    return model.eval()


def _document(path: Path) -> dict[str, Any]:
    found = read_json_file(path, "a Whisper's file", _SAVED, _MOST)
    if not isinstance(found, dict):
        raise UserError(f"{path}: holds no names and values", _SAVED)
    return found


def _tensors(folder: Path) -> dict[str, Tensor]:
    """All of them, of one file or of several, by the names that a network of ours has; float32
    where they are no integers."""
    from edgedistill.models.weights import read

    return {
        name.removeprefix("model."): each.float() if each.is_floating_point() else each
        for path in _weights(folder)
        for name, each in read(path).items()
        if name != _AGAIN
    }


def _weights(folder: Path) -> list[Path]:
    """The files that hold them. Raises UserError: the list of them is none."""
    files = [_WEIGHTS]
    if not (folder / _WEIGHTS).exists() and (folder / _INDEX).exists():
        listed = _document(folder / _INDEX).get("weight_map")
        if not isinstance(listed, dict) or not listed or not all(map(_plain, listed.values())):
            raise UserError(f"{folder / _INDEX}: lists no files of weights", _SAVED)
        files = sorted(set(listed.values()))
    pickle = folder / "pytorch_model.bin"
    if not (folder / files[0]).exists() and pickle.exists():
        files = [pickle.name]  # whoever reads it says how it is converted
    return [folder / file for file in files]


def _sizes(shape: Shape) -> dict[str, tuple[int, ...]]:
    """Of all weights, by their names."""
    import torch
    from torch import nn

    from edgedistill.models.weights import shapes_of

    with torch.device("meta"):
        parts = nn.ModuleDict({"encoder": Encoder(shape), "decoder": Decoder(shape)})
    return shapes_of(parts.state_dict())


def _plain(name: object) -> bool:
    return isinstance(name, str) and Path(name).name == name


def _cut(shape: Shape, kept: Kept) -> Shape:
    """The sizes of what is kept. Raises UserError: it is not all there."""
    encoder = _chosen(kept.encoder_layers, shape.encoder_layers, "encoder's layers")
    decoder = _chosen(kept.decoder_layers, shape.decoder_layers, "decoder's layers")
    words = _chosen(kept.vocabulary, shape.vocabulary, "tokens")
    if kept.seconds is not None:
        held = 0 < kept.seconds <= shape.seconds
        if not held or not shape.of_seconds(kept.seconds).positions:
            raise UserError(
                f"a window of {kept.seconds:g} s: the encoder has positions for "
                f"{shape.seconds:g} s at most",
                f"give one of {1 / 50:g} to {shape.seconds:g} s",
            )
        shape = shape.of_seconds(kept.seconds)
    tokens = shape.tokens if kept.tokens is None else kept.tokens
    if not 0 < tokens <= shape.tokens:
        raise UserError(
            f"transcripts of {tokens} tokens: the decoder has positions for {shape.tokens} at most",
            f"give one of 1 to {shape.tokens}",
        )
    return replace(
        shape, encoder_layers=len(encoder), decoder_layers=len(decoder), vocabulary=len(words),
        tokens=tokens,
    )  # fmt: skip


def _chosen(kept: Sequence[int] | None, there: int, what: str) -> Sequence[int]:
    if kept is None:
        return range(there)
    beyond = [each for each in kept if not 0 <= each < there]
    if beyond or not kept or len(set(kept)) < len(kept):
        raise UserError(
            f"the {what} to keep: {_listed(kept)}; there are {there}, from 0 to {there - 1}",
            "name each once, and one at least",
        )
    return kept


def _listed(kept: Sequence[int]) -> str:
    return ", ".join(map(str, kept[:12])) + (", ..." if len(kept) > 12 else "") if kept else "none"


def _renamed(
    tensors: dict[str, Tensor], whole: Shape, kept: Kept, shape: Shape
) -> dict[str, Tensor]:
    """What is kept, under the names of the model that is built."""
    found = {}
    places = {
        "encoder": _places(kept.encoder_layers, whole.encoder_layers),
        "decoder": _places(kept.decoder_layers, whole.decoder_layers),
    }
    for name, tensor in tensors.items():
        parts = name.split(".")
        if parts[:2] == ["decoder", "embed_tokens"] and kept.vocabulary is not None:
            tensor = tensor[list(kept.vocabulary)]
        elif parts[:2] == ["encoder", "embed_positions"]:
            tensor = tensor[: shape.positions]
        elif parts[:2] == ["decoder", "embed_positions"]:
            tensor = tensor[: shape.tokens]
        elif parts[1] == "layers":
            place = places[parts[0]].get(parts[2])
            if place is None:
                continue
            parts[2] = place
        found[".".join(parts)] = tensor
    return found


def _places(kept: Sequence[int] | None, there: int) -> dict[str, str]:
    """By its number in the file, the place of each layer that is kept."""
    chosen = range(there) if kept is None else kept
    return {str(number): str(place) for place, number in enumerate(chosen)}
