"""Whisper's encoder and decoder, with the names that Hugging Face's files give their weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from edgedistill.models.whisper.spectrum import HOP, RATE, LogMel
from edgedistill.signature import Signature, TensorSpec

ENCODE, DECODE_STEP = "encode", "decode_step"
"""The programs."""
_STRIDE = 2
"""Frames of the spectrum for each position of the encoder."""
_MASKED = -1e9
Pair = tuple[Tensor, Tensor]
"""Keys and values, (batch, heads, positions, channels of a head) each."""


@dataclass(frozen=True)
class Shape:
    """Sizes of a model."""

    bands: int
    """Of the spectrum."""
    width: int
    """Channels."""
    encoder_layers: int
    decoder_layers: int
    encoder_heads: int
    decoder_heads: int
    encoder_inner: int
    """Channels of its feed-forward layers."""
    decoder_inner: int
    vocabulary: int
    """Tokens."""
    positions: int = 1500
    """Of the encoder: 50 a second of the window."""
    tokens: int = 448
    """Of a transcript, at most, the prompt with them."""
    encoder_head: int | None = None
    """Channels of each of its heads; by default its width, parted among them."""
    decoder_head: int | None = None

    @property
    def samples(self) -> int:
        """Of the window."""
        return self.positions * _STRIDE * HOP

    @property
    def seconds(self) -> float:
        """Of the window."""
        return self.samples / RATE

    def of_seconds(self, seconds: float) -> Shape:
        """The same with another window, a multiple of 20 ms."""
        return replace(self, positions=round(seconds * RATE / HOP / _STRIDE))


class Attention(nn.Module):
    """Of several heads (Vaswani et al. 2017, section 3.2); keys have no bias."""

    def __init__(self, width: int, heads: int, head: int | None) -> None:
        """head: channels of each head; None for the width, parted among them."""
        super().__init__()
        inner = heads * (head or width // heads)
        self.heads = heads
        self.k_proj = nn.Linear(width, inner, bias=False)
        self.v_proj = nn.Linear(width, inner)
        self.q_proj = nn.Linear(width, inner)
        self.out_proj = nn.Linear(inner, width)

    def pair(self, states: Tensor) -> Pair:
        """Keys and values of states (batch, positions, width)."""
        return self._apart(self.k_proj(states)), self._apart(self.v_proj(states))

    def forward(
        self, states: Tensor, pair: Pair, mask: Tensor | None = None, causal: bool = False
    ) -> Tensor:
        """(batch, queries, width): what `states` of that shape ask of keys and values; mask: is
        added to the scores."""
        query, (key, value) = self._apart(self.q_proj(states)), pair
        if not torch.compiler.is_exporting():
            found = functional.scaled_dot_product_attention(query, key, value, mask, 0.0, causal)
        else:
            scores = (query * query.shape[-1] ** -0.5) @ key.transpose(2, 3)
            found = torch.softmax(scores if mask is None else scores + mask, 3) @ value
        joined: Tensor = self.out_proj(found.transpose(1, 2).flatten(2))
        return joined

    def _apart(self, states: Tensor) -> Tensor:
        batch, positions, inner = states.shape
        return states.reshape(batch, positions, self.heads, inner // self.heads).transpose(1, 2)


class Layer(nn.Module):
    """What layers of both kinds have."""

    def __init__(self, width: int, heads: int, head: int | None, inner: int) -> None:
        super().__init__()
        self.self_attn = Attention(width, heads, head)
        self.self_attn_layer_norm = nn.LayerNorm(width)
        self.fc1 = nn.Linear(width, inner)
        self.fc2 = nn.Linear(inner, width)
        self.final_layer_norm = nn.LayerNorm(width)

    def fed_forward(self, states: Tensor) -> Tensor:
        """What the layer ends with: (batch, positions, width) to the same."""
        inner = functional.gelu(self.fc1(self.final_layer_norm(states)))
        fed: Tensor = states + self.fc2(inner)
        return fed


class EncoderLayer(Layer):
    """Each position asks all others."""

    def forward(self, states: Tensor) -> Tensor:
        """States (batch, positions, width) to the same."""
        normed = self.self_attn_layer_norm(states)
        return self.fed_forward(states + self.self_attn(normed, self.self_attn.pair(normed)))


class DecoderLayer(Layer):
    """Each token asks those before it, then the sound."""

    def __init__(self, width: int, heads: int, head: int | None, inner: int) -> None:
        super().__init__(width, heads, head, inner)
        self.encoder_attn = Attention(width, heads, head)
        self.encoder_attn_layer_norm = nn.LayerNorm(width)

    def forward(
        self, states: Tensor, cross: Pair, before: Pair | None = None
    ) -> tuple[Tensor, Pair]:
        """States (batch, tokens, width) to the same, and the keys and values that those after
        them ask; before: of the tokens before, where these are not the first. Then it is one
        token."""
        normed = self.self_attn_layer_norm(states)
        pair = self.self_attn.pair(normed)
        if before is not None:
            pair = torch.cat((before[0], pair[0]), 2), torch.cat((before[1], pair[1]), 2)
        asked = self.self_attn(normed, pair, causal=before is None)
        return self._rest(states + asked, cross), pair

    def step(
        self, states: Tensor, cross: Pair, cache: Pair, position: Tensor
    ) -> tuple[Tensor, Pair]:
        """The same of one token, at `position` (1,), int32; cache: of the tokens before, of a
        fixed length, which is given back with this token's."""
        normed = self.self_attn_layer_norm(states)
        places = torch.arange(cache[0].shape[2], dtype=torch.int32)
        here = (places == position).reshape(1, 1, -1, 1)
        key, value = self.self_attn.pair(normed)
        pair = torch.where(here, key, cache[0]), torch.where(here, value, cache[1])
        mask = torch.where(places <= position, 0.0, _MASKED).reshape(1, 1, 1, -1)
        return self._rest(states + self.self_attn(normed, pair, mask), cross), pair

    def _rest(self, states: Tensor, cross: Pair) -> Tensor:
        normed = self.encoder_attn_layer_norm(states)
        return self.fed_forward(states + self.encoder_attn(normed, cross))


class Encoder(nn.Module):
    """A log-mel spectrum to a state for each 20 ms."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        width = shape.width
        self.conv1 = nn.Conv1d(shape.bands, width, 3, padding=1)
        self.conv2 = nn.Conv1d(width, width, 3, stride=_STRIDE, padding=1)
        self.embed_positions = nn.Embedding(shape.positions, width)
        self.layers = nn.ModuleList(
            EncoderLayer(width, shape.encoder_heads, shape.encoder_head, shape.encoder_inner)
            for _ in range(shape.encoder_layers)
        )
        self.layer_norm = nn.LayerNorm(width)

    def forward(self, spectrum: Tensor) -> Tensor:
        """(batch, positions, width) of a spectrum (batch, bands, 2 * positions)."""
        states = self.embedded(spectrum)
        for layer in self.layers:
            states = layer(states)
        normed: Tensor = self.layer_norm(states)
        return normed

    def embedded(self, spectrum: Tensor) -> Tensor:
        """What the first layer is given, (batch, positions, width)."""
        states = functional.gelu(self.conv2(functional.gelu(self.conv1(spectrum))))
        placed: Tensor = states.transpose(1, 2) + self.embed_positions.weight
        return placed


class Decoder(nn.Module):
    """Tokens to the logits of the next; the embedding is the last layer's weight too."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        width = shape.width
        self.embed_tokens = nn.Embedding(shape.vocabulary, width)
        self.embed_positions = nn.Embedding(shape.tokens, width)
        self.layers = nn.ModuleList(
            DecoderLayer(width, shape.decoder_heads, shape.decoder_head, shape.decoder_inner)
            for _ in range(shape.decoder_layers)
        )
        self.layer_norm = nn.LayerNorm(width)

    def cross(self, states: Tensor) -> list[Pair]:
        """Each layer's keys and values of the encoder's states."""
        return [layer.encoder_attn.pair(states) for layer in self._layers]

    def forward(self, tokens: Tensor, cross: Sequence[Pair]) -> Tensor:
        """Logits (batch, tokens, vocabulary) of tokens (batch, tokens)."""
        states = self.embedded(tokens)
        for layer, pair in zip(self._layers, cross, strict=True):
            states, _ = layer(states, pair)
        return self._logits(states)

    def embedded(self, tokens: Tensor) -> Tensor:
        """What the first layer is given, (batch, tokens, width)."""
        placed: Tensor = self.embed_tokens(tokens)
        return placed + self.embed_positions.weight[: tokens.shape[1]]

    def further(
        self, tokens: Tensor, cross: Sequence[Pair], before: Sequence[Pair] = ()
    ) -> tuple[Tensor, list[Pair]]:
        """Logits (batch, vocabulary) of what follows tokens (batch, tokens), and the keys and
        values that those after them ask; before: as the last call gave them, where one token
        follows others."""
        first = before[0][0].shape[2] if before else 0
        places = self.embed_positions.weight[first : first + tokens.shape[1]]
        states, kept = self.embed_tokens(tokens) + places, []
        for number, (layer, pair) in enumerate(zip(self._layers, cross, strict=True)):
            states, own = layer(states, pair, before[number] if before else None)
            kept.append(own)
        return self._logits(states[:, -1]), kept

    def step(
        self, token: Tensor, position: Tensor, cross: Sequence[Pair], caches: Sequence[Pair]
    ) -> tuple[Tensor, list[Pair]]:
        """Logits (1, vocabulary) and caches of a token (1,) at a position (1,), both int32."""
        states = (self.embed_tokens(token) + self.embed_positions(position)).unsqueeze(1)
        kept = []
        for layer, pair, cache in zip(self._layers, cross, caches, strict=True):
            states, filled = layer.step(states, pair, cache, position)
            kept.append(filled)
        return self._logits(states).squeeze(1), kept

    def _logits(self, states: Tensor) -> Tensor:
        return functional.linear(self.layer_norm(states), self.embed_tokens.weight)

    @property
    def _layers(self) -> list[DecoderLayer]:
        return [layer for layer in self.layers if isinstance(layer, DecoderLayer)]


class Whisper(nn.Module):
    """Raw samples to the tokens of what is said in them."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.log_mel = LogMel(shape.bands)
        self.encoder = Encoder(shape)
        self.decoder = Decoder(shape)

    def states(self, samples: Tensor) -> Tensor:
        """The encoder's (batch, positions, width) of samples (batch, length of the window)."""
        found: Tensor = self.encoder(self.log_mel(samples))
        return found

    def forward(self, samples: Tensor, tokens: Tensor) -> Tensor:
        """Logits (batch, tokens, vocabulary) of the token that follows each, with all before it
        given."""
        logits: Tensor = self.decoder(tokens, self.decoder.cross(self.states(samples)))
        return logits

    def encode(self, samples: Tensor) -> tuple[Tensor, ...]:
        """Keys and values of each layer of the decoder, of samples (1, length of the window)."""
        return _flat(self.decoder.cross(self.states(samples)))

    def decode_step(self, token: Tensor, position: Tensor, *given: Tensor) -> tuple[Tensor, ...]:
        """Logits (1, vocabulary) of what follows a token, and the caches with it; given: what
        `encode` gave, then the caches, zero at the beginning."""
        half = len(given) // 2
        logits, caches = self.decoder.step(
            token, position, _paired(given[:half]), _paired(given[half:])
        )
        return (logits, *_flat(caches))

    def programs(self) -> dict[str, tuple[Callable[..., Any], Signature]]:
        """What a model is exported as. One call transcribes one window."""
        shape = self.shape
        cross, caches = _named(shape, "cross_", shape.positions), _named(shape, "", shape.tokens)
        token = TensorSpec("token", (1,), dtype="int32")
        position = TensorSpec("position", (1,), dtype="int32")
        after = tuple(replace(each, name=f"next_{each.name}") for each in caches)
        samples = TensorSpec("samples", (1, shape.samples), range=(-1.0, 1.0))
        step = Signature(
            (token, position, *cross, *caches),
            (TensorSpec("logits", (1, shape.vocabulary)), *after),
            {given.name: taken.name for given, taken in zip(after, caches, strict=True)},
        )
        return {
            ENCODE: (self.encode, Signature((samples,), cross)),
            DECODE_STEP: (self.decode_step, step),
        }


def _named(shape: Shape, prefix: str, length: int) -> tuple[TensorSpec, ...]:
    head = shape.decoder_head or shape.width // shape.decoder_heads
    size = (1, shape.decoder_heads, length, head)
    return tuple(
        TensorSpec(f"{prefix}{kind}_{layer}", size)
        for layer in range(shape.decoder_layers)
        for kind in ("key", "value")
    )


def _flat(pairs: Sequence[Pair]) -> tuple[Tensor, ...]:
    return tuple(each for pair in pairs for each in pair)


def _paired(flat: Sequence[Tensor]) -> list[Pair]:
    return list(zip(flat[::2], flat[1::2], strict=True))
