"""A folder of transformers' is opened whole or in part, and refused where it is something else."""

from __future__ import annotations

import json
import pickle
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from whisper_models import CONFIG, COUNT, GENERATION, PROMPT, SHAPE, change, save, whisper, windows

from edgedistill.errors import UserError
from edgedistill.models.whisper.folder import (
    Kept,
    check_weights,
    find,
    generation,
    open_whisper,
    shape_of,
)

SAID = torch.tensor([[*PROMPT, 65, 66, 258, 3]])
SIZES = [
    "num_mel_bins", "d_model", "encoder_layers", "decoder_layers", "encoder_attention_heads",
    "decoder_attention_heads", "encoder_ffn_dim", "decoder_ffn_dim", "vocab_size",
    "max_source_positions", "max_target_positions",
]  # fmt: skip
EMBEDDING = "model.decoder.embed_tokens.weight"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """For all who only read it."""
    return save(tmp_path_factory.mktemp("whisper") / "tiny")


@pytest.fixture
def own(shared: Path, tmp_path: Path) -> Path:
    """To change."""
    copied: Path = shutil.copytree(shared, tmp_path / "tiny")
    return copied


def logits(model: nn.Module, said: Tensor = SAID, samples: int = SHAPE.samples) -> Tensor:
    with torch.no_grad():
        found: Tensor = model(windows(2)[:, :samples], said.expand(2, -1))
    return found


def refused(folder: Path, kept: Kept | None = None) -> UserError:
    with pytest.raises(UserError) as error:
        open_whisper(folder, kept)
    return error.value


def test_is_what_was_saved(shared: Path) -> None:
    opened = open_whisper(shared)
    assert opened.shape == shape_of(shared) == SHAPE
    assert not opened.training
    assert torch.equal(logits(opened), logits(whisper()))
    assert generation(shared) == GENERATION
    assert find(str(shared)) == shared


def test_answers_as_transformers_does(shared: Path) -> None:
    transformers = pytest.importorskip("transformers")
    theirs = transformers.WhisperForConditionalGeneration.from_pretrained(shared).eval()
    opened, said = open_whisper(shared), SAID.expand(2, -1)
    with torch.no_grad():
        heard = opened.log_mel(windows(2))
        wanted = theirs(input_features=heard, decoder_input_ids=said).logits
    assert torch.allclose(logits(opened), wanted, atol=1e-4)


def test_what_transformers_saves_is_opened(shared: Path, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    theirs = transformers.WhisperForConditionalGeneration.from_pretrained(shared)
    theirs.save_pretrained(tmp_path / "whole")
    theirs.save_pretrained(tmp_path / "sharded", max_shard_size="100KB")
    assert len(list((tmp_path / "sharded").glob("*.safetensors"))) > 1
    for name in ("whole", "sharded"):
        opened = open_whisper(tmp_path / name)
        assert torch.equal(logits(opened), logits(open_whisper(shared))), name


@settings(max_examples=6, deadline=None)
@given(
    encoder=st.lists(st.integers(0, 1), min_size=1, unique=True),
    decoder=st.lists(st.integers(0, 1), min_size=1, unique=True),
    positions=st.integers(1, SHAPE.positions),
    tokens=st.integers(8, SHAPE.tokens),
    words=st.lists(st.integers(0, COUNT - 1), min_size=1, unique=True),
)
def test_what_is_kept_is_what_is_cut_by_hand(
    shared: Path,
    encoder: list[int],
    decoder: list[int],
    positions: int,
    tokens: int,
    words: list[int],
) -> None:
    kept = Kept(encoder, decoder, positions / 50, tokens, words)
    opened, cut = open_whisper(shared, kept), open_whisper(shared)
    cut.encoder.layers = nn.ModuleList(cut.encoder.layers[each] for each in encoder)
    cut.decoder.layers = nn.ModuleList(cut.decoder.layers[each] for each in decoder)
    first(cut.encoder.embed_positions, positions)
    first(cut.decoder.embed_positions, tokens)
    table = cut.decoder.embed_tokens
    table.weight = nn.Parameter(table.weight[words])
    said = torch.arange(8)[None] % len(words)
    samples = positions * 320
    assert opened.shape.samples == samples
    assert torch.equal(logits(opened, said, samples), logits(cut, said, samples))
    sizes = {
        "encoder_layers": len(encoder), "decoder_layers": len(decoder), "positions": positions,
        "tokens": tokens, "vocabulary": len(words),
    }  # fmt: skip
    assert vars(opened.shape) == vars(SHAPE) | sizes
    encode, step = (signature for _, signature in opened.programs().values())
    assert encode.inputs[0].shape == (1, samples)
    assert step.outputs[0].shape == (1, len(words))


def first(positions: nn.Module, count: int) -> None:
    assert isinstance(positions, nn.Embedding)
    positions.weight = nn.Parameter(positions.weight[:count])


def test_tokens_that_are_kept_have_the_same_logits(shared: Path) -> None:
    words = [*range(0, 100, 3), *PROMPT]
    opened = open_whisper(shared, Kept(vocabulary=words))
    said = torch.tensor([[words.index(each) for each in PROMPT]])
    wanted = logits(open_whisper(shared), torch.tensor([PROMPT]))[:, :, words]
    assert torch.allclose(logits(opened, said), wanted, atol=1e-5)


def test_sharded_weights_are_the_same(own: Path) -> None:
    wanted = logits(open_whisper(own))
    shard(own, ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"])
    assert torch.equal(logits(open_whisper(own)), wanted)
    (own / "model-00002-of-00002.safetensors").unlink()
    assert refused(own).message == (
        f"weights: file not found: {own / 'model-00002-of-00002.safetensors'}"
    )


def shard(folder: Path, names: list[str]) -> None:
    """Part the weights into files of these names."""
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    places = {name: names[at % len(names)] for at, name in enumerate(tensors)}
    for file in names:
        some = {name: each for name, each in tensors.items() if places[name] == file}
        save_file(some, folder / file)
    document = {"metadata": {"total_size": 1}, "weight_map": places}
    (folder / "model.safetensors.index.json").write_text(json.dumps(document))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_weights_of_half_the_bits_are_float32(own: Path, dtype: torch.dtype) -> None:
    tensors = load_file(own / "model.safetensors")
    save_file({name: each.to(dtype) for name, each in tensors.items()}, own / "model.safetensors")
    opened, rounded = open_whisper(own), whisper()
    assert {each.dtype for each in opened.state_dict().values()} == {torch.float32}
    with torch.no_grad():
        for each in rounded.parameters():
            each.copy_(each.to(dtype))
    assert torch.equal(logits(opened), logits(rounded))


def test_the_last_layer_s_weight_is_the_embedding(own: Path) -> None:
    add(own, {"proj_out.weight": torch.zeros(COUNT, SHAPE.width)})
    assert torch.equal(logits(open_whisper(own)), logits(whisper()))


def add(folder: Path, changes: dict[str, Tensor]) -> None:
    """Of the weights."""
    save_file(load_file(folder / "model.safetensors") | changes, folder / "model.safetensors")


def test_a_folder_of_something_else_is_refused(own: Path, tmp_path: Path) -> None:
    assert refused(tmp_path).message == f"a Whisper's file not found: {tmp_path / 'config.json'}"
    change(own / "config.json", model_type="wav2vec2")
    error = refused(own)
    assert error.message == f"{own}: is a model of the type `wav2vec2`, no Whisper"
    assert "save_pretrained" in error.hint
    change(own / "config.json", model_type=None)
    assert refused(own).message == f"{own}: is a model of the type `None`, no Whisper"
    (own / "config.json").write_text("[]")
    assert refused(own).message == f"{own / 'config.json'}: holds no names and values"
    (own / "config.json").write_text("{")
    assert "config.json: not valid JSON: " in refused(own).message


@pytest.mark.parametrize("key", SIZES)
def test_a_size_that_is_none_is_refused(tmp_path: Path, key: str) -> None:
    path = tmp_path / "config.json"
    for value in (None, 0, -1, "32", 32.0, 1 << 24):
        path.write_text(json.dumps(CONFIG))
        change(path, **{key: value})
        with pytest.raises(UserError) as error:
            shape_of(tmp_path)
        assert error.value.message == f"{path}: no size in {key}"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"activation_function": "relu"}, "another activation than gelu, or scaled embeddings"),
        ({"scale_embedding": True}, "another activation than gelu, or scaled embeddings"),
        ({"encoder_attention_heads": 5}, "5 heads do not part 32 channels"),
        ({"decoder_attention_heads": 3}, "3 heads do not part 32 channels"),
    ],
)
def test_a_network_that_no_whisper_has_is_refused(
    tmp_path: Path, changes: dict[str, Any], told: str
) -> None:
    (tmp_path / "config.json").write_text(json.dumps(CONFIG | changes))
    with pytest.raises(UserError) as error:
        shape_of(tmp_path)
    assert error.value.message.startswith(f"{tmp_path / 'config.json'}: {told}")


@pytest.mark.parametrize(
    ("kept", "message", "hint"),
    [
        (
            Kept(encoder_layers=[0, 2]),
            "the encoder's layers to keep: 0, 2; there are 2, from 0 to 1",
            "name each once, and one at least",
        ),
        (
            Kept(encoder_layers=[-1]),
            "the encoder's layers to keep: -1; there are 2, from 0 to 1",
            "name each once, and one at least",
        ),
        (
            Kept(decoder_layers=[1, 1]),
            "the decoder's layers to keep: 1, 1; there are 2, from 0 to 1",
            "name each once, and one at least",
        ),
        (
            Kept(decoder_layers=[]),
            "the decoder's layers to keep: none; there are 2, from 0 to 1",
            "name each once, and one at least",
        ),
        (
            Kept(vocabulary=range(1000)),
            "the tokens to keep: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, ...; there are 300, "
            "from 0 to 299",
            "name each once, and one at least",
        ),
        *(
            (
                Kept(seconds=seconds),
                f"a window of {seconds:g} s: the encoder has positions for 1 s at most",
                "give one of 0.02 to 1 s",
            )
            for seconds in (1.02, 30.0, 0.0, 0.001, -1.0, float("nan"), float("inf"))
        ),
        *(
            (
                Kept(tokens=tokens),
                f"transcripts of {tokens} tokens: the decoder has positions for 24 at most",
                "give one of 1 to 24",
            )
            for tokens in (25, 0, -1)
        ),
    ],
)
def test_what_is_not_there_cannot_be_kept(
    shared: Path, kept: Kept, message: str, hint: str
) -> None:
    error = refused(shared, kept)
    assert (error.message, error.hint) == (message, hint)


def test_weights_that_are_pickles_are_refused(own: Path) -> None:
    (own / "model.safetensors").rename(own / "pytorch_model.bin")
    (own / "pytorch_model.bin").write_bytes(pickle.dumps({}))
    error = refused(own)
    assert error.message == (
        f"weights: {own / 'pytorch_model.bin'} is a pickle, which can run any code when loaded; "
        "refused"
    )
    assert "safetensors.torch.save_file(tensors, 'pytorch_model.safetensors')" in error.hint
    (own / "pytorch_model.bin").unlink()
    assert refused(own).message == f"weights: file not found: {own / 'model.safetensors'}"


@pytest.mark.parametrize(
    "listed",
    [
        None,
        [],
        {},
        {"a": "../model.safetensors"},
        {"a": "/etc/model.safetensors"},
        {"a": "deep/model.safetensors"},
        {"a": 3},
    ],
)
def test_an_index_names_files_of_its_own_folder(own: Path, listed: Any) -> None:
    (own / "model.safetensors").unlink()
    index = own / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": listed}))
    assert refused(own).message == f"{index}: lists no files of weights"


@pytest.mark.parametrize("name", ["..", ".", ""])
def test_an_index_of_folders_is_refused(own: Path, name: str) -> None:
    (own / "model.safetensors").unlink()
    (own / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": name}}))
    refused(own)


def test_an_index_of_pickles_is_refused(own: Path) -> None:
    (own / "model.safetensors").rename(own / "pytorch_model-00001-of-00001.bin")
    document = {"weight_map": {"a": "pytorch_model-00001-of-00001.bin"}}
    (own / "model.safetensors.index.json").write_text(json.dumps(document))
    assert "is a pickle" in refused(own).message


@pytest.mark.parametrize("kept", [None, Kept([0], [1], 0.5, 12, [0, COUNT - 1])])
@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({EMBEDDING: torch.zeros(9, 32)}, "shape: decoder.embed_tokens.weight is [9, 32]"),
        ({EMBEDDING: torch.zeros(301, 32)}, "shape: decoder.embed_tokens.weight is [301, 32]"),
        ({EMBEDDING: torch.tensor(1.0)}, "shape: decoder.embed_tokens.weight is []"),
        (
            {"model.encoder.embed_positions.weight": torch.zeros(99, 32)},
            "shape: encoder.embed_positions.weight is [99, 32], the model's is [50, 32]",
        ),
        (
            {"model.decoder.embed_positions.weight": torch.zeros(20, 32)},
            "shape: decoder.embed_positions.weight is [20, 32], the model's is [24, 32]",
        ),
        (
            {"model.encoder.layers.2.fc1.bias": torch.zeros(64)},
            "unexpected: encoder.layers.2.fc1.bias [64]",
        ),
        (
            {"model.encoder.layers.1.fc1.bias": torch.zeros(65)},
            "shape: encoder.layers.1.fc1.bias is [65], the model's is [64]",
        ),
        ({"model.decoder.more": torch.zeros(2)}, "unexpected: decoder.more [2]"),
    ],
)
def test_weights_of_other_sizes_are_refused(
    own: Path, changes: dict[str, Tensor], told: str, kept: Kept | None
) -> None:
    """Also where what does not fit is not kept."""
    add(own, changes)
    error = refused(own, kept)
    assert error.message.startswith(f"weights: {own} does not fit the model:\n")
    assert told in error.message


def test_weights_that_are_missing_are_told(own: Path) -> None:
    tensors = load_file(own / "model.safetensors")
    del tensors["model.decoder.layers.1.fc2.bias"]
    save_file(tensors, own / "model.safetensors")
    assert "missing: decoder.layers.1.fc2.bias [32]" in refused(own).message


def test_integers_without_their_scales_are_refused(own: Path) -> None:
    add(own, {EMBEDDING: torch.ones(COUNT, 32, dtype=torch.int8)})
    assert "decoder.embed_tokens.weight are int8, the model's are float32" in refused(own).message


def test_weights_that_are_no_numbers_are_refused(own: Path) -> None:
    add(own, {EMBEDDING: torch.full((COUNT, 32), torch.nan)})
    assert "decoder.embed_tokens.weight are not all numbers (NaN)" in refused(own).message


def test_nothing_on_the_hub_of_that_name_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(name: str, **_: Any) -> str:
        raise OSError("no network")

    monkeypatch.setitem(sys.modules, "huggingface_hub", SimpleNamespace(snapshot_download=fail))
    with pytest.raises(UserError) as error:
        find("somebody/whisper")
    assert error.value.message == (
        "somebody/whisper: no such folder, and it cannot be had from the hub: OSError: no network"
    )


def test_without_its_package_the_hub_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(UserError) as error:
        find("somebody/whisper")
    assert error.value.message.startswith(
        "somebody/whisper: no such folder, and a download needs the package huggingface_hub ("
    )
    assert error.value.hint == "give a folder, or pip install 'edgedistill[huggingface]'"


def test_a_download_has_no_pickles(monkeypatch: pytest.MonkeyPatch, shared: Path) -> None:
    asked: dict[str, Any] = {}

    def download(name: str, **options: Any) -> str:
        asked.update(options, name=name)
        return str(shared)

    hub = SimpleNamespace(snapshot_download=download)
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub)
    assert find("somebody/whisper") == shared
    assert asked == {
        "name": "somebody/whisper",
        "allow_patterns": ["*.json", "*.safetensors", "merges.txt"],
    }


def test_weights_that_are_cut_off_or_do_not_fit_are_told_without_being_read(tmp_path: Path) -> None:
    folder = save(tmp_path / "whisper")
    check_weights(folder)
    change(folder / "config.json", decoder_ffn_dim=96)
    with pytest.raises(UserError, match="fc1"):
        check_weights(folder)
    change(folder / "config.json", decoder_ffn_dim=SHAPE.decoder_inner)
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(UserError, match="cannot be read"):
        check_weights(folder)
