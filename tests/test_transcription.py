"""A compile of a recognizer, from recordings and a Whisper to a bundle that transcribes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import whisper_models
from sound_models import chirp
from tone_net import write_wav

import edgedistill
import edgedistill.api
from edgedistill.bundle import Bundle
from edgedistill.cache import Cache
from edgedistill.errors import UserError
from edgedistill.models.whisper.network import Whisper
from edgedistill.pipeline import plan, run_until
from edgedistill.progress import Quiet
from edgedistill.recipe import TranscriptionRecipe, parse_recipe
from edgedistill.records.recognition import (
    AblateRecord,
    RecognitionReport,
    StudentRecord,
    TranscribeRecord,
)
from edgedistill.target import Target, load_target
from edgedistill.transcribing import measuring, no_speech

pytest.importorskip("transformers", reason="its normalizers tell which transcripts agree")
RATE, SEED = 16_000, 7
BELIEVE_ALL = {
    "log_probability": -100, "no_speech": 1, "repeats": 10_000, "words_per_second": 1000,
    "compression_ratio": 1000, "word_error_rate": 10_000,
}  # fmt: skip


def write_recordings(folder: Path) -> None:
    for split, count in (("train", 24), ("test", 5)):
        lines = []
        for number in range(count):
            length = 6_000 + 400 * number
            name = f"{split}/{number}.wav"
            write_wav(folder / name, chirp(length, number + 100 * len(split), RATE), RATE)
            said = "the hat in the end" if split == "test" else None
            lines.append({"path": name, "text": said, "speaker": f"{split}{number % 6}"})
        text = "".join(f"{json.dumps(line)}\n" for line in lines)
        (folder / f"{split}.jsonl").write_text(text)


def write_noise(folder: Path) -> None:
    random = np.random.default_rng(3)
    write_wav(folder / "noise" / "wind.wav", 0.1 * random.standard_normal(RATE), RATE)


def document(folder: Path, **changes: Any) -> dict[str, Any]:
    return {
        "name": "tiny", "task": "transcription",
        "data": {
            "train": str(folder / "train.jsonl"), "test": str(folder / "test.jsonl"),
            "language": "en", "seconds": 1, "validation": 0.3, "noise": str(folder / "noise"),
        },
        "teacher": {"family": "whisper", "name": str(folder / "teacher")},
        "student": {
            "decoder_layers": 1, "encoder_ffn": 0.75, "decoder_heads": 3, "vocabulary": "data",
            "tokens": 24,
        },
        "stages": {
            "transcribe": {"filter": BELIEVE_ALL, "precision": "fp32"},
            "distill": {"epochs": 4, "batch_size": 4, "learning_rate": 1e-3, "precision": "fp32"},
            "export": {"precisions": ["fp32", "int8"], "utterances": 3},
        },
        "contract": {
            "max_wer": 1e4, "max_size_mb": 1, "max_hallucinated_words": 1000, "min_speedup": 0.001,
        },
        **changes,
    }  # fmt: skip


def target() -> Target:
    return load_target("linux-x64").model_copy(update={"runtimes": ("onnxruntime",)})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("speech")
    write_recordings(made)
    write_noise(made)
    whisper_models.save(made / "teacher")
    return made


@pytest.fixture(scope="module")
def bundle(folder: Path) -> Bundle:
    with pytest.MonkeyPatch.context() as quick:
        quick.setattr(no_speech, "SECONDS", 3)
        quick.setattr(measuring, "ROUNDS", 1)
        made = edgedistill.compile(
            document(folder), target(), out=folder / "out", cache=folder / "cache"
        )
    assert isinstance(made, Bundle)
    return made


def test_what_is_handed_over_transcribes(bundle: Bundle, folder: Path) -> None:
    told = bundle.report["recognized"]["transcripts"]
    for precision in ("fp32", "int8"):
        found = bundle.transcribe(folder / "test" / "0.wav", precision=precision)
        assert found.text == told[f"onnxruntime {precision}"][0]
    assert bundle.transcribe(np.zeros(RATE, np.float32)).text == ""


def test_the_report_tells_of_each_stage(bundle: Bundle) -> None:
    report = bundle.report
    assert report["ok"] is True
    assert [line["status"] for line in report["contract"]] == ["ok"] * 4
    trials = report["ablated"]["trials"]
    assert [each["layers"] for each in trials] == [[0, 1], [1], [0]]
    assert report["student"]["decoder"] == report["ablated"]["decoder"]
    narrowed = report["student"]["narrowed"]
    assert {part: len(each) for part, each in narrowed.items()} == {"encoder": 2, "decoder": 2}
    sizes = report["student"]["sizes"]
    assert (sizes["encoder_inner"], sizes["decoder_heads"], sizes["decoder_head"]) == (48, 3, 8)
    before, after = (report["student"][each]["cross_entropy"] for each in ("before", "after"))
    assert after < before
    assert report["recognized"]["teacher"]["increase"] == 0


def test_the_summary_names_files_and_promises(
    bundle: Bundle, capsys: pytest.CaptureFixture[str]
) -> None:
    from edgedistill.console import print_report

    print_report(bundle.report, "out")
    told = capsys.readouterr().out
    for words in ("contract kept", "onnxruntime  int8 *", "word error rate", "Bundle: out"):
        assert words in told


def test_what_was_done_is_not_done_again(bundle: Bundle, folder: Path) -> None:
    cache = Cache(folder / "cache", lambda _: None)
    recipe = parse_recipe(document(folder), "test")
    rows, _ = plan(recipe, [target()], cache)
    assert {row.state for row in rows} == {"cached"}
    student = {"decoder_layers": [0], "encoder_ffn": 0.5, "tokens": 24}
    longer = document(folder) | {"student": student}
    rows, _ = plan(parse_recipe(longer, "test"), [target()], cache)
    assert [row.name for row in rows if row.state == "cached"] == ["speech", "transcribe"]


def test_the_teacher_whole_is_its_own_student(folder: Path) -> None:
    whole = document(
        folder, student={"tokens": 24},
        stages={"transcribe": {"filter": BELIEVE_ALL, "precision": "fp32"}, "distill": None},
    )  # fmt: skip
    made = run_until(parse_recipe(whole, "test"), target(), Cache(folder / "whole", str), Quiet(),
                     "distill")  # fmt: skip
    student = StudentRecord.read(made["distill"])
    assert student.decoder == (0, 1)
    assert student.kept_tokens is None
    assert student.before == student.after
    assert student.before.accuracy > 60  # the rest is suppressed
    assert AblateRecord.read(made["ablate"]).trials == ()


def test_nothing_believed_is_an_error_that_says_so(folder: Path) -> None:
    strict = BELIEVE_ALL | {"log_probability": 0}
    told = document(folder, stages={"transcribe": {"filter": strict, "precision": "fp32"}})
    recipe, cache = parse_recipe(told, "test"), Cache(folder / "strict", str)
    with pytest.raises(UserError, match="no transcript of a validation utterance is believed"):
        run_until(recipe, target(), cache, Quiet(), "distill")
    made = run_until(recipe, target(), cache, Quiet(), "transcribe")
    dropped = TranscribeRecord.read(made["transcribe"]).dropped
    assert set(dropped["train"]) <= {"unsure", "empty"}
    assert (
        sum(dropped["train"].values())
        == TranscribeRecord.read(made["transcribe"]).utterances["train"]
    )


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"student": {"decoder_layers": 3, "tokens": 24}}, "the teacher's decoder has 2 layers"),
        (
            {"student": {"encoder_layers": [0, 2], "tokens": 24}},
            "the teacher's encoder has 2 layers",
        ),
        ({"student": {"tokens": 200}}, "the teacher has positions for 24"),
        ({"student": {"encoder_heads": 5, "tokens": 24}}, "encoder has 4 in each layer"),
        ({"teacher": {"family": "whisper", "name": "nowhere/at-all"}}, "no such folder"),
    ],
)
def test_what_the_teacher_has_not_is_told_before_anything_runs(
    folder: Path, changes: dict[str, Any], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    recipe = parse_recipe(document(folder, **changes), "test")
    with pytest.raises(UserError, match=told):
        plan(recipe, [target()], Cache(folder / "new", str))


def test_words_of_no_speech_are_counted(bundle: Bundle) -> None:
    rows = {each["sound"]: each for each in bundle.report["audited"]["made_up"]}
    assert list(rows) == ["silence", "white noise", "tones", "noise"]
    assert rows["noise"]["seconds"] == 1
    assert rows["silence"]["shipped"] == rows["silence"]["teacher"] == 0  # it is passed over
    assert rows["silence"]["shipped_unguarded"] > 0
    (line,) = (e for e in bundle.report["contract"] if e["name"] == "made-up words")
    assert line["value"] == rows["white noise"]["shipped"]


def test_a_promise_of_speed_is_held_against_the_teacher_whole(bundle: Bundle) -> None:
    rows = bundle.report["timed"]["rows"]
    assert [(each["model"], each["precision"]) for each in rows] == [
        ("student", "fp32"), ("student", "int8"), ("teacher", "fp32"),
    ]  # fmt: skip
    assert all(each["peak_memory_mb"] > 0 for each in rows)
    (line,) = (each for each in bundle.report["contract"] if each["name"] == "speed")
    assert line["value"] == sum(rows[2]["seconds"]) / sum(rows[1]["seconds"])
    assert line["at_least"] and "than the teacher whole, fp32 in onnxruntime" in line["note"]


def test_a_promise_or_noise_changes_nothing_before_it(bundle: Bundle, folder: Path) -> None:
    other = document(folder, contract={})
    del other["data"]["noise"]
    rows, _ = plan(parse_recipe(other, "test"), [target()], Cache(folder / "cache", str))
    assert [row.name for row in rows if row.state != "cached"] == ["audit", "benchmark"]


def test_utterances_are_told_of_by_length_and_speaker(bundle: Bundle) -> None:
    audited = bundle.report["audited"]
    assert [each["name"] for each in audited["by_length"]] == ["under 1 s"]
    assert sorted(each["name"] for each in audited["by_speaker"]) == [
        f"test{number}" for number in range(5)
    ]
    shipped = bundle.report["recognized"]["files"][1]
    assert audited["by_length"][0]["shipped"] == shipped["error_rate"]["words"]


def test_the_page_has_all_of_it_and_the_worst_to_hear(bundle: Bundle) -> None:
    page = (bundle.path / "report.html").read_text()
    for words in (
        "contract kept", "Words made up where nothing is said", "By speaker", "Worst utterances",
        "Which layers stay", "Errors that the teacher makes too", "the hat in the end",
    ):  # fmt: skip
        assert words in page
    audited = bundle.report["audited"]
    assert page.count("data:audio/flac;base64,") == len(audited["cases"]) > 0
    assert "http" not in page.replace("http-equiv", "")
    assert '<span class="left-out">' in page or '<span class="wrong">' in page


def test_its_audit_is_printed(bundle: Bundle, capsys: pytest.CaptureFixture[str]) -> None:
    from edgedistill.command_line import run

    assert run(["audit", str(bundle.path)]) == 0
    told = capsys.readouterr().out
    assert "By length of the utterance" in told and "white noise" in told
    assert run(["audit", str(bundle.path), "--data", "x.jsonl"]) == 2
    assert "`edgedistill evaluate` tells error rates" in capsys.readouterr().err


def test_a_bundle_is_evaluated_on_other_recordings(
    bundle: Bundle, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from edgedistill.command_line import run

    rows = edgedistill.evaluate(bundle, folder / "test.jsonl", precision="int8")
    (row,) = rows
    found = bundle.report["recognized"]["files"][1]["error_rate"]
    assert (row["wer"], row["cer"]) == (found["words"], found["characters"])
    assert (row["wer_low"], row["wer_high"]) == tuple(found["words_interval"])
    assert row["utterances"] == 5 and row["left_out"] == 0
    (fewer,) = edgedistill.evaluate(bundle, folder / "test.jsonl", precision="int8", images=2)
    assert fewer["utterances"] == 2
    for words, told in (
        (["--data", str(folder / "train.jsonl")], "no recording has a transcript"),
        (["--data", str(folder / "none")], "not found"),
        ([], "which recordings?"),
        (["--data", str(folder / "test.jsonl"), "--device", "adb"], "on this machine alone"),
    ):
        assert run(["evaluate", str(bundle.path), *words]) == 2
        assert told in capsys.readouterr().err


def test_a_bundle_is_timed_by_a_fixed_number_of_tokens(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measuring, "ROUNDS", 1)
    told: list[str] = []

    class Heard(Quiet):
        def say(self, text: str) -> None:
            told.append(text)

    rows = edgedistill.benchmark(bundle.path, reporter=Heard())
    assert [(row["runtime"], row["precision"]) for row in rows] == [
        ("onnxruntime", "fp32"), ("onnxruntime", "int8"),
    ]  # fmt: skip
    for row in rows:
        for figure in ("real_time_factor", "tokens_per_second", "cold_load_ms", "peak_memory_mb"):
            assert row[figure] > 0  # type: ignore[operator]
    assert "each file hears 1 s of noise, and says 4 tokens" in told[0]
    for changes, words in (
        ({"device": "adb"}, "timed on this machine alone"), ({"runs": 50}, "rounds of its own"),
    ):  # fmt: skip
        with pytest.raises(UserError, match=words):
            edgedistill.benchmark(bundle, **changes)  # type: ignore[arg-type]


def test_a_manifest_may_have_names_of_its_own(folder: Path) -> None:
    for split in ("train", "test"):
        rows = map(json.loads, (folder / f"{split}.jsonl").read_text().splitlines())
        lines = [{"wav": row["path"], "words": row["text"]} for row in rows]
        (folder / f"own_{split}.jsonl").write_text("".join(f"{json.dumps(x)}\n" for x in lines))
    own = document(folder)
    own["data"] |= {
        "train": str(folder / "own_train.jsonl"), "test": str(folder / "own_test.jsonl"),
        "audio": "wav", "text": "words",
    }  # fmt: skip
    made = run_until(parse_recipe(own, "test"), target(), Cache(folder / "own", str), Quiet(),
                     "speech")  # fmt: skip
    assert made["speech"].metrics["utterances"]["test"] == 5


def test_a_recipe_in_hand_may_be_changed_where_nothing_is_transcribed(folder: Path) -> None:
    given = document(folder)
    del given["data"]["test"]  # of train nobody knows what is said
    recipe = edgedistill.api.read_recipe(parse_recipe(given, "test"), ["seed=3"])
    assert recipe.seed == 3
    assert isinstance(recipe, TranscriptionRecipe) and not recipe.data.asked_for("text")


def test_a_window_longer_than_the_positions_is_told(folder: Path) -> None:
    long = document(folder)
    long["data"]["seconds"] = 2
    recipe = parse_recipe(long, "test")
    with pytest.raises(UserError, match="longer than the teacher's positions"):
        plan(recipe, [target()], Cache(folder / "new", str))


def test_a_language_that_the_teacher_does_not_know_is_told(folder: Path) -> None:
    other = document(folder)
    other["data"]["language"] = "it"
    recipe = parse_recipe(other, "test")
    with pytest.raises(UserError, match="does not know the language `it`"):
        plan(recipe, [target()], Cache(folder / "new", str))


def test_another_language_than_english_is_told_to_the_model(folder: Path) -> None:
    german = document(folder, student={"tokens": 24, "vocabulary": "whole"})
    german["data"]["language"] = "de"
    german["stages"]["distill"] = None
    made = edgedistill.compile(german, target(), out=folder / "de", cache=folder / "german")
    assert isinstance(made, Bundle)
    names = [f"<|{each}|>" for each in ("startoftranscript", "de", "transcribe", "notimestamps")]
    assert made.recognizer.rules.prompt == tuple(whisper_models.NAMED[each] for each in names)
    found = made.transcribe(folder / "test" / "0.wav", precision="fp32")
    assert found.language == "de"
    said = made.report["recognized"]["transcripts"]["onnxruntime fp32"]
    assert found.text == said[0]


class Said(Quiet):
    """What a user reads."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)


def test_letters_that_a_vocabulary_lacks_are_told(folder: Path) -> None:
    german = document(folder, student={"tokens": 24, "vocabulary": "ascii"})
    german["data"]["language"] = "de"
    german["stages"]["distill"] = None
    heard = Said()
    recipe, cache = parse_recipe(german, "test"), Cache(folder / "letters", str)
    _, notes = plan(recipe, [target()], cache)
    assert notes[0].startswith("student.vocabulary: ascii: words of the language `de` with letters")
    with pytest.raises(UserError, match="none of these can be said whole"):
        run_until(recipe, target(), cache, heard, "distill")
    assert any("tokens are not kept, most often `" in line for line in heard.lines)


def test_a_test_set_without_transcripts_is_told_before_the_teacher_is_asked(folder: Path) -> None:
    rows = [json.loads(line) for line in (folder / "test.jsonl").read_text().splitlines()]
    lines = [{"path": row["path"], "text": None} for row in rows]
    (folder / "unsaid.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    unsaid = document(folder)
    unsaid["data"]["test"] = str(folder / "unsaid.jsonl")
    with pytest.raises(UserError, match="no utterance of the test set has a transcript"):
        run_until(parse_recipe(unsaid, "test"), target(), Cache(folder / "unsaid", str), Quiet(),
                  "speech")  # fmt: skip


def test_a_teacher_that_is_no_whisper_is_told(folder: Path, tmp_path: Path) -> None:
    other = whisper_models.save(tmp_path / "other")
    whisper_models.change(other / "config.json", model_type="wav2vec2")
    recipe = parse_recipe(
        document(folder, teacher={"family": "whisper", "name": str(other)}), "test"
    )
    with pytest.raises(UserError, match="no Whisper"):
        plan(recipe, [target()], Cache(folder / "new", str))


def test_its_figures_are_not_measured_elsewhere(folder: Path) -> None:
    with pytest.raises(UserError, match="judged and timed on this machine"):
        edgedistill.compile(document(folder), target(), out=folder / "out", device="local",
                            cache=folder / "cache")  # fmt: skip


def test_files_that_were_judged_are_not_judged_again(tmp_path: Path) -> None:
    from edgedistill.records.recognition import ErrorRate, Recognized
    from edgedistill.stages.recognize import _once

    rate = ErrorRate(words=5.0, words_interval=(1.0, 9.0), characters=2.0, utterances=3,
                     reference_words=20)  # fmt: skip
    row = Recognized(
        runtime="litert", precision="int8", error_rate=rate, increase=0.5,
        increase_interval=(0.0, 1.0), bytes=7, sound_seconds=9.0, seconds=1.0,
        first_token_seconds=0.1, tokens_per_second=40.0, looped=0,
    )  # fmt: skip
    asked: list[int] = []

    def judge() -> tuple[Recognized, tuple[str, ...]]:
        asked.append(1)
        return row, ("a", "b")

    assert _once(tmp_path / "x.json", judge) == _once(tmp_path / "x.json", judge)
    assert asked == [1]


def test_a_report_is_what_its_record_says(bundle: Bundle) -> None:
    from edgedistill.records import from_json

    found = from_json(RecognitionReport, bundle.report)
    assert found.shipped == ("onnxruntime", "int8")
    sizes = {each.precision: each.bytes for each in found.recognized.files}
    assert sizes["int8"] < sizes["fp32"]


def test_int8_files_are_chosen_by_what_they_say(bundle: Bundle) -> None:
    rows = bundle.report["roundings"]["tried"]
    assert len(rows) == 4
    (chosen,) = (each for each in rows if each["chosen"])
    least = min(each["word_error_rate"] for each in rows)
    near = [each for each in rows if each["word_error_rate"] <= least + 1]
    assert chosen["seconds"] == min(each["seconds"] for each in near)


def test_the_student_opens_as_it_was_trained(folder: Path, bundle: Bundle) -> None:
    from edgedistill.distill.speech.student import open_student

    made = run_until(parse_recipe(document(folder), "test"), target(),
                     Cache(folder / "cache", str), Quiet(), "distill")  # fmt: skip
    student = open_student(made["distill"])
    assert isinstance(student, Whisper)
    assert len(student.decoder.layers) == 1
