from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import subprocess
import sys
import threading
import time
import tracemalloc
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from loopback import Asked, Pixels, Reply, first, of_three, serve, serve_bytes
from numpy.typing import NDArray

from edgedistill.distill.teachers import (
    Predictions,
    Teacher,
    TeacherBatch,
    TeacherContext,
    http,
    open_teacher,
)
from edgedistill.distill.teachers.fingerprint import fingerprint
from edgedistill.distill.teachers.http import _retry_after
from edgedistill.distill.teachers.response import find, logits_of
from edgedistill.errors import UserError
from edgedistill.recipe import Ensemble, HttpTeacher
from edgedistill.signature import image_inputs

CLASSES = ["bird", "cat", "ship"]
KEPT = "(the answers so far are kept; run again to go on)"
KINDS = "set `answer` to what comes: `logits`, `probabilities` or `log_probabilities`"
SAME = "teacher and data must have the same classes, in the same order"


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(http, "FIRST_WAIT", 0.01)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    yield
    assert not threads(), "a thread is left behind"


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "http-teacher"]


def teacher(url: str, **settings: Any) -> Teacher:
    config = HttpTeacher(family="http", url=url, **settings)
    return open_teacher(config, TeacherContext(Path(), CLASSES, image_inputs(1, 4, 4)))


def batch(count: int, of_test: bool = False) -> TeacherBatch:
    """Grey images, 4 x 4; number n is all of value n, and is the user's sample 100 + n."""
    ids = np.arange(count)
    pixels = np.broadcast_to((ids / 255)[:, None, None, None], (count, 1, 4, 4))
    return TeacherBatch(ids, ids + 100, of_test, {"pixels": pixels.astype(np.float32)})


def probabilities(parts: list[Predictions], count: int) -> NDArray[np.float64]:
    """(count, classes), NaN where there is no answer."""
    table = np.full((count, len(CLASSES)), np.nan)
    for part in parts:
        assert part.logits.shape == (len(part.at), len(CLASSES))
        assert part.logits.dtype == np.float32
        assert np.isnan(table[part.at]).all(), "answered twice"
        table[part.at] = np.exp(part.logits)
    return table


def truth(count: int) -> NDArray[np.float64]:
    return np.array([of_three(np.array([number], np.uint8)) for number in range(count)])


def number(image: Pixels) -> int:
    return int(image.flat[0])


def until_it_fails(one: Teacher, count: int) -> tuple[list[Predictions], UserError]:
    parts: list[Predictions] = []
    with pytest.raises(UserError) as caught:
        parts.extend(one.predict(batch(count)))
    return parts, caught.value


def failure(one: Teacher, count: int = 1) -> UserError:
    return until_it_fails(one, count)[1]


def test_every_image_is_asked_about_once_and_its_answer_lands_in_its_place() -> None:
    with serve() as endpoint:
        parts = list(teacher(endpoint.url, concurrency=4).predict(batch(20)))
    assert [len(part.at) for part in parts] == [1] * 20
    assert np.allclose(probabilities(parts, 20), truth(20), atol=1e-6)
    assert list(endpoint.answers.values()) == [1] * 20


@pytest.mark.parametrize(("send", "kind"), [("json", "application/json"), ("png", "image/png")])
@pytest.mark.parametrize("channels", [1, 3])
def test_the_endpoint_sees_the_pixels(send: str, kind: str, channels: int) -> None:
    pixels = np.random.default_rng(0).random((1, channels, 4, 5), np.float32)
    asked = TeacherBatch(np.array([0]), np.array([0]), False, {"pixels": pixels})
    with serve() as endpoint:
        list(teacher(endpoint.url, send=send).predict(asked))
    image = asked.images[0]
    seen = endpoint.asked[0]
    assert np.array_equal(seen.image.reshape(image.shape), image)
    assert seen.headers["Content-Type"] == kind
    key = hashlib.sha256(endpoint.url.encode() + image.tobytes()).hexdigest()
    assert seen.headers["Idempotency-Key"] == key


def test_as_many_requests_as_concurrency_are_under_way() -> None:
    with serve(reply=lambda asked: Reply(late=0.05)) as endpoint:
        list(teacher(endpoint.url, concurrency=3).predict(batch(12)))
    assert endpoint.most_at_once == 3


def test_no_request_begins_while_answers_wait_to_be_taken() -> None:
    with serve() as endpoint:
        answers = teacher(endpoint.url, concurrency=4).predict(batch(50))
        next(answers), next(answers)
        time.sleep(0.2)
        assert len(endpoint.asked) == 5, "four, and one for the answer that was taken"
        answers.close()  # type: ignore[attr-defined]
        time.sleep(0.1)
        assert len(endpoint.asked) == 5


def test_closing_breaks_off_what_is_under_way() -> None:
    with serve(reply=first(Reply(), *[Reply(late=30)] * 9)) as endpoint:
        answers = teacher(endpoint.url, concurrency=2).predict(batch(9))
        next(answers)
        start = time.monotonic()
        answers.close()  # type: ignore[attr-defined]
        assert time.monotonic() - start < 5
        assert not threads()
        assert endpoint.answers.total() == 1


def test_the_garbage_collector_may_close_it_in_its_own_thread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    closed_in: list[str] = []

    def close(value: str) -> None:
        answers.close()  # type: ignore[attr-defined]
        closed_in.append(threading.current_thread().name)

    monkeypatch.setattr(http, "_retry_after", close)
    with serve(reply=first(Reply(), Reply(503, late=0.2))) as endpoint:
        answers = teacher(endpoint.url, concurrency=2).predict(batch(2))
        next(answers)
        deadline = time.monotonic() + 10
        while threads() and time.monotonic() < deadline:
            time.sleep(0.01)
    assert closed_in == ["http-teacher"]


def test_asking_works_where_an_event_loop_runs_already() -> None:
    async def notebook(url: str) -> list[Predictions]:
        return list(teacher(url).predict(batch(3)))

    with serve() as endpoint:
        assert len(asyncio.run(notebook(endpoint.url))) == 3


def test_python_ends_with_answers_outstanding_and_without_torch() -> None:
    code = f"""
import sys
sys.path[:0] = {[str(Path(__file__).parent)]}
from test_http import batch, teacher
answers = teacher(sys.argv[1], concurrency=2).predict(batch(9))
next(answers)
print("torch" in sys.modules)
"""
    with serve(reply=first(Reply(), *[Reply(late=30)] * 9)) as endpoint:
        done = subprocess.run(
            [sys.executable, "-c", code, endpoint.url],
            capture_output=True, text=True, timeout=20, check=True,
        )  # fmt: skip
    assert (done.stdout, done.stderr) == ("False\n", "")


@pytest.mark.parametrize(
    "trouble",
    [Reply(500), Reply(503), Reply(429), Reply(cut=True), Reply(late=30)],
    ids=["500", "503", "429", "cut", "timeout"],
)
def test_passing_trouble_is_retried(trouble: Reply) -> None:
    with serve(reply=first(trouble, trouble)) as endpoint:
        parts = list(teacher(endpoint.url, timeout=0.3, retries=2).predict(batch(1)))
    assert np.allclose(probabilities(parts, 1), truth(1), atol=1e-6)
    assert len(endpoint.asked) == 3
    keys = {asked.headers["Idempotency-Key"] for asked in endpoint.asked}
    assert len(keys) == 1, "the endpoint can tell that it is the same batch"


def test_retries_end() -> None:
    with serve(reply=lambda asked: Reply(500, b"no GPU")) as endpoint:
        error = failure(teacher(endpoint.url, retries=2))
    assert str(error) == (
        f"sample 100: {endpoint.shown} answers 500 Internal Server Error: 'no GPU' (retries: 2)\n"
        f"hint: is it up, and can this machine reach it? {KEPT}"
    )
    assert len(endpoint.asked) == 3


def test_a_sample_of_the_test_data_is_said_to_be_one() -> None:
    with (
        serve(reply=lambda asked: Reply(404)) as endpoint,
        pytest.raises(
            UserError, match=f"^test sample 100: {endpoint.shown} answers 404 Not Found\n"
        ),
    ):
        list(teacher(endpoint.url).predict(batch(1, of_test=True)))


def test_an_endpoint_that_throttles_to_the_end_is_to_be_asked_slower() -> None:
    with serve(reply=lambda asked: Reply(429)) as endpoint:
        error = failure(teacher(endpoint.url, retries=1))
    assert error.message == (
        f"sample 100: {endpoint.shown} answers 429 Too Many Requests (retries: 1)"
    )
    assert error.hint == f"set `per_second`, or lower `concurrency` {KEPT}"


def test_an_endpoint_that_is_silent_to_the_end() -> None:
    with serve(reply=lambda asked: Reply(late=30)) as endpoint:
        error = failure(teacher(endpoint.url, timeout=0.1, retries=1))
    assert error.message == (
        f"sample 100: {endpoint.shown} has not answered within 0.1 s (retries: 1)"
    )
    assert error.hint == f"raise `timeout`, or lower `concurrency` {KEPT}"


def test_an_endpoint_that_is_not_there() -> None:
    with serve() as endpoint:
        pass
    error = failure(teacher(endpoint.url, retries=0))
    assert error.message == (
        f"sample 100: {endpoint.shown} fails with ConnectError: All connection attempts failed "
        "(retries: 0)"
    )


@pytest.mark.parametrize(
    ("status", "reason"), [(301, "Moved Permanently"), (400, "Bad Request"), (404, "Not Found")]
)
def test_other_statuses_are_not_retried(status: int, reason: str) -> None:
    with serve(reply=lambda asked: Reply(status, b"no")) as endpoint:
        error = failure(teacher(endpoint.url))
    assert error.message == f"sample 100: {endpoint.shown} answers {status} {reason}: 'no'"
    assert error.hint == f"check `url`, `send` and `headers` {KEPT}"
    assert len(endpoint.asked) == 1


def test_what_is_under_way_when_a_sample_fails_is_kept_and_no_more_begins() -> None:
    def reply(asked: Asked) -> Reply:
        return Reply(400) if number(asked.image) == 1 else Reply(late=0.2)

    with serve(reply=reply) as endpoint:
        parts, error = until_it_fails(teacher(endpoint.url, concurrency=3), 9)
    assert error.message.startswith(f"sample 101: {endpoint.shown} answers 400 ")
    assert sorted(int(part.at[0]) for part in parts) == [0, 2]
    assert len(endpoint.asked) == 3


def test_no_retry_is_waited_for_once_a_sample_has_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "FIRST_WAIT", 1000.0)
    monkeypatch.setattr(http.random, "uniform", lambda least, most: most)

    def reply(asked: Asked) -> Reply:
        return Reply(400, late=0.2) if number(asked.image) == 1 else Reply(500)

    with serve(reply=reply) as endpoint:
        error = failure(teacher(endpoint.url, concurrency=2), 2)
    assert error.message.startswith(f"sample 101: {endpoint.shown} answers 400 ")


def test_waits_double_up_to_the_longest_and_are_spread_by_full_jitter(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    drawn = []
    monkeypatch.setattr(http, "LONGEST_WAIT", 0.05)
    monkeypatch.setattr(http.random, "uniform", lambda *ends: drawn.append(ends) or 0.0)
    with serve(reply=lambda asked: Reply(500)) as endpoint:
        failure(teacher(endpoint.url, retries=4))
    assert drawn == [(0, 0.01), (0, 0.02), (0, 0.04), (0, 0.05), (0, 0.05)]


def test_retry_after_holds_back_other_images_too() -> None:
    busy = Reply(429, headers={"Retry-After": "1"})
    with serve(reply=first(busy, Reply(late=0.2))) as endpoint:
        list(teacher(endpoint.url, concurrency=2).predict(batch(4)))
    waits = [asked.at - endpoint.asked[0].at for asked in endpoint.asked]
    assert len(waits) == 5
    assert all(1 <= wait < 3 for wait in waits[2:])


def test_retry_after_does_not_hold_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "LONGEST_WAIT", 0.1)
    with serve(reply=first(Reply(429, headers={"Retry-After": "3600"}))) as endpoint:
        list(teacher(endpoint.url).predict(batch(1)))
    assert 0.1 <= endpoint.asked[1].at - endpoint.asked[0].at < 2


def test_retry_after_is_seconds_or_a_date() -> None:
    soon = datetime.now(UTC) + timedelta(seconds=30)
    assert _retry_after("120") == 120
    assert 28 < (_retry_after(format_datetime(soon, usegmt=True)) or 0) <= 30
    assert _retry_after("Wed, 21 Oct 2015 07:28:00 GMT") == 0
    assert _retry_after("Wed, 21 Oct 2015 07:28:00 -0000") == 0
    assert _retry_after("-1") is None
    assert _retry_after("soon") is None
    assert _retry_after("") is None


def test_requests_begin_no_faster_than_per_second() -> None:
    with serve() as endpoint:
        list(teacher(endpoint.url, concurrency=8, per_second=20).predict(batch(6)))
    span = endpoint.asked[-1].at - endpoint.asked[0].at
    assert span > 0.2, "five intervals of 50 ms, less what the first connection took"


def test_max_requests_counts_retries_and_all_questions() -> None:
    with serve(reply=first(Reply(500), Reply(500))) as endpoint:
        one = teacher(endpoint.url, max_requests=6, concurrency=2)
        assert len(list(one.predict(batch(2)))) == 2
        parts, error = until_it_fails(one, 9)
    assert len(endpoint.asked) == 6
    assert len(parts) == 2, "all that were paid for"
    assert str(error) == (
        "teacher: `max_requests: 6` is used up; 4 answers are kept\n"
        "hint: raise `max_requests`, or just run again to go on with as many more"
    )


def test_max_requests_is_one_budget_for_all_that_ask_in_a_run() -> None:
    with serve(of_three) as endpoint:
        config = HttpTeacher(family="http", url=endpoint.url, max_requests=6)
        context = TeacherContext(Path(), CLASSES, image_inputs(1, 4, 4))
        assert len(list(open_teacher(config, context).predict(batch(4)))) == 4
        with pytest.raises(UserError, match="is used up; 2 answers are kept"):
            list(open_teacher(config, context).predict(batch(4)))
        assert len(endpoint.asked) == 6


def test_answers_are_found_again_by_other_data_and_by_an_ensemble(tmp_path: Path) -> None:
    with serve(of_three) as endpoint:
        config = HttpTeacher(family="http", url=endpoint.url)
        members = ({"teacher": config, "weight": 1}, {"teacher": config, "weight": 2})
        both = Ensemble(family="ensemble", members=members)
        first = TeacherContext(tmp_path / "a", CLASSES, image_inputs(1, 4, 4), answers=tmp_path)
        other = TeacherContext(tmp_path / "b", CLASSES, image_inputs(1, 4, 4), answers=tmp_path)
        alone = probabilities(list(open_teacher(config, first).predict(batch(4))), 4)
        more = probabilities(list(open_teacher(both, other).predict(batch(6, of_test=True))), 6)
        assert len(endpoint.asked) == 6
        assert np.allclose(more[:4], alone)
        assert np.allclose(more, truth(6), atol=1e-6)


def test_another_key_pays_for_nothing_again_but_another_model_answers_anew() -> None:
    def known_by(**headers: str) -> str:
        return fingerprint(HttpTeacher(family="http", url="http://a/b", headers=headers))

    assert known_by(Authorization="Bearer ${A}") == known_by(authorization="${B}") == known_by()
    assert known_by(**{"X-Model": "large"}) != known_by(**{"X-Model": "small"})
    assert known_by(Key="${KEY}") == known_by(Key="${OTHER}")


def test_what_stands_in_the_address_is_another_teacher() -> None:
    def known_by(url: str) -> str:
        return fingerprint(HttpTeacher(family="http", url=url))

    addresses = ["http://a/b", "http://a/c", "http://a/b?m=1", "http://a/b?m=2", "http://b/b"]
    assert len({known_by(each) for each in addresses}) == len(addresses)


def test_max_requests_that_are_just_enough_are_enough() -> None:
    with serve() as endpoint:
        assert len(list(teacher(endpoint.url, max_requests=5).predict(batch(5)))) == 5


def test_headers_are_filled_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEACHER_KEY", "sk-1234")
    headers = {"Authorization": "Bearer ${TEACHER_KEY}", "content-type": "image/x-png"}
    with serve() as endpoint:
        list(teacher(endpoint.url, send="png", headers=headers).predict(batch(1)))
    sent = {name.lower(): value for name, value in endpoint.asked[0].headers.items()}
    assert sent["authorization"] == "Bearer sk-1234"
    assert sent["content-type"] == "image/x-png", "the recipe's goes before ours"


def test_a_missing_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TEACHER_KEY", raising=False)
    with pytest.raises(UserError) as caught:
        teacher("http://localhost", headers={"X-Key": "${TEACHER_KEY}"})
    assert str(caught.value) == (
        "teacher: header `X-Key` needs the environment variable `TEACHER_KEY`, which is not set\n"
        "hint: export TEACHER_KEY=..."
    )


def test_a_header_that_cannot_be_sent_is_refused_unseen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEACHER_KEY", "sk-1234\n")
    with pytest.raises(UserError) as caught:
        teacher("http://localhost", headers={"X-Key": "${TEACHER_KEY}"})
    assert str(caught.value) == (
        "teacher: header `X-Key` has a character that HTTP does not allow there\n"
        "hint: is there a line end or a space at the end of what it is made of?"
    )


@pytest.mark.parametrize("start", [0, 185])
def test_no_message_shows_a_secret(monkeypatch: pytest.MonkeyPatch, start: int) -> None:
    secret = "sk-0123456789abcdefghij"
    monkeypatch.setenv("TEACHER_KEY", secret)
    said = b"x" * start + f"wrong {secret}".encode()
    with serve(reply=lambda asked: Reply(401, said)) as endpoint:
        url = endpoint.url.replace("//", "//${TEACHER_KEY}@") + "?key=${TEACHER_KEY}"
        error = failure(teacher(url, headers={"X-Key": "${TEACHER_KEY}"}))
    told = ("x" * start + "wrong ${TEACHER_KEY}")[:200]
    assert error.message == f"sample 100: {endpoint.shown} answers 401 Unauthorized: '{told}'"


def test_a_secret_that_comes_back_as_a_class_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEACHER_KEY", "sk-1234")
    with serve(answer=lambda image: {"sk-1234": 1.0}) as endpoint:
        error = failure(teacher(endpoint.url, headers={"X-Key": "${TEACHER_KEY}"}))
    assert error.message == (
        "sample 100: the data has no class '${TEACHER_KEY}', which the endpoint names"
    )


def test_what_the_address_names_is_sent_percent_encoded(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "WHO": "me@home",
        "WORD": "a:b/c",
        "PART": "x/y?",
        "KEY": "k&=%41 é",
    }.items():
        monkeypatch.setenv(name, value)
    heads: list[bytes] = []

    def answer(head: bytes) -> Iterator[bytes]:
        heads.append(head)
        yield b"HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n[0.2,0.3,0.5]"

    with serve_bytes(answer) as url:
        host = url.removeprefix("http://").removesuffix("/predict")
        whole = "http://${WHO}:${WORD}@" + host + "/v1/${PART}/predict?key=${KEY}&model=a"
        list(teacher(whole).predict(batch(1)))
    line, *headers = heads[0].decode().split("\r\n")
    assert line == "POST /v1/x%2Fy%3F/predict?key=k%26%3D%2541%20%C3%A9&model=a HTTP/1.1"
    assert f"Authorization: Basic {base64.b64encode(b'me@home:a:b/c').decode()}" in headers
    assert "Accept-Encoding: identity" in headers


def test_a_variable_that_the_address_lacks_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KEY", raising=False)
    with pytest.raises(UserError) as caught:
        teacher("http://localhost/?key=${KEY}")
    assert str(caught.value) == (
        "teacher: `url` needs the environment variable `KEY`, which is not set\n"
        "hint: export KEY=..."
    )


def test_no_endpoint_shows_what_it_was_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    secrets = {"KEY": 'k3y/+ "<&é', "WHO": "somebody", "WORD": "sw0rdfish", "TOKEN": "t0ken-123"}
    for name, value in secrets.items():
        monkeypatch.setenv(name, value)

    def answer(head: bytes) -> Iterator[bytes]:
        yield b"HTTP/1.1 404 " + head.partition(b"?")[2].partition(b" ")[0] + b"\r\n\r\n" + head

    with serve_bytes(answer) as url:
        url = url.replace("//", "//${WHO}:${WORD}@").replace("/predict", "/hooks/B4D-path-T0KEN")
        headers = {"X-Team": "team-of-nobody", "X-Key": "${TOKEN}"}
        one = teacher(f"{url}?key=${{KEY}}&m=unrecognized", headers=headers)
        error = failure(one)
    unseen = [*secrets.values(), "team-of-nobody", "B4D-path", "unrecognized", "k3y%2F"]
    unseen.append(base64.b64encode(b"somebody:sw0rdfish").decode())
    assert "answers 404 key=${KEY}***: 'POST ***?key=${KEY}*** HTTP" in error.message
    assert not [each for each in unseen if each in str(error)]


def test_a_log_of_requests_shows_no_secret(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("KEY", "sk-1234")
    with caplog.at_level("DEBUG"), serve() as endpoint:
        list(teacher(endpoint.url + "?key=${KEY}").predict(batch(1)))
    assert "sk-1234" not in caplog.text


def test_a_proxy_that_is_none_is_told_unseen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "gopher://me:hush@proxy")
    monkeypatch.delenv("http_proxy", raising=False)
    error = failure(teacher("http://localhost/"))
    assert error.message == (
        "teacher: the environment's proxy or certificates cannot be used (ValueError)"
    )


def test_an_endpoints_cookies_are_not_sent_back() -> None:
    cookie = Reply(headers={"Set-Cookie": "a=b; Path=/"})
    with serve(reply=lambda asked: cookie) as endpoint:
        list(teacher(endpoint.url, concurrency=1).predict(batch(3)))
    assert not [asked for asked in endpoint.asked if "Cookie" in asked.headers]


def compressed(pieces: int, wbits: int) -> bytes:
    """`pieces` MB of spaces."""
    folding = zlib.compressobj(9, zlib.DEFLATED, wbits)
    return b"".join(folding.compress(b" " * 10**6) for _ in range(pieces)) + folding.flush()


@pytest.mark.parametrize(("encoding", "wbits"), [("gzip", 31), ("deflate", 15), ("deflate", -15)])
def test_a_compressed_answer_is_read_though_none_was_asked_for(encoding: str, wbits: int) -> None:
    folding = zlib.compressobj(9, zlib.DEFLATED, wbits)
    content = folding.compress(b"[0.2, 0.3, 0.5]") + folding.flush()
    reply = Reply(body=content, headers={"Content-Encoding": encoding})
    with serve(reply=lambda asked: reply) as endpoint:
        parts = list(teacher(endpoint.url).predict(batch(1)))
    assert np.allclose(probabilities(parts, 1), [[0.2, 0.3, 0.5]], atol=1e-6)


@pytest.mark.parametrize(("encoding", "wbits"), [("gzip", 31), ("deflate", 15), ("deflate", -15)])
def test_an_answer_unfolds_no_further_than_it_may(encoding: str, wbits: int) -> None:
    reply = Reply(body=compressed(60, wbits), headers={"Content-Encoding": encoding})
    tracemalloc.start()
    with serve(reply=lambda asked: reply) as endpoint:
        error = failure(teacher(endpoint.url))
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert error.message == f"sample 100: {endpoint.shown} answers with more than 2.1 MB"
    assert len(endpoint.asked) == 1
    assert most < 20e6


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip", "gzip," * 3000 + "gzip", "\xff"])
def test_an_encoding_that_may_unfold_without_bound_is_refused(encoding: str) -> None:
    reply = Reply(body=b"[1]", headers={"Content-Encoding": encoding})
    with serve(reply=lambda asked: reply) as endpoint:
        error = failure(teacher(endpoint.url))
    assert "answers in the encoding " in error.message and len(error.message) < 200


def test_an_error_unfolds_no_further_either() -> None:
    reply = Reply(400, compressed(60, 31), headers={"Content-Encoding": "gzip"})
    tracemalloc.start()
    with serve(reply=lambda asked: reply) as endpoint:
        error = failure(teacher(endpoint.url))
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert error.message == f"sample 100: {endpoint.shown} answers 400 Bad Request: '{' ' * 200}'"
    assert most < 20e6


def endless(start: bytes, piece: bytes, pause: float = 0.0) -> Any:
    def answer(head: bytes) -> Iterator[bytes]:
        yield start
        while True:
            yield piece
            time.sleep(pause)

    return answer


def once(content: bytes) -> Any:
    return lambda head: iter([content])


OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (endless(OK + b"Content-Length: 10000000000\r\n\r\n", b" ", 0.01), "has not answered"),
        (endless(OK + b"\r\n", b" " * 65536), "answers with more than 2.1 MB"),
        (endless(CHUNKED, b"10000\r\n" + b" " * 65536 + b"\r\n"), "answers with more than 2.1 MB"),
        (endless(CHUNKED, b"1\r\n \r\n" * 9000), ""),
        (endless(CHUNKED, b"1;" + b"x" * 65536), "fails with "),
        (endless(CHUNKED + b"0\r\n", b"X: y\r\n" * 9000), "fails with "),
        (endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 999), "has not answered"),
        (endless(b"HTTP/1.1 500 No\r\n\r\n", b"x" * 65536), "answers 500 No: 'xxx"),
        (endless(OK, b"X: " + b"y" * 65536 + b"\r\n"), "fails with "),
        (once(OK + b"Content-Length: -3\r\n\r\n[1]"), "fails with "),
        (once(OK + b"Content-Length: " + b"9" * 400 + b"\r\n\r\n[1]"), "fails with "),
        (once(OK + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\n[1]"), "fails with "),
        (once(OK + b"X: a\x00\x1b[31mb\r\n\r\n[1]"), "fails with "),
        (once(OK + b"Content-Encoding: gzip\r\n\r\nnot gzip"), "the compressed body is broken"),
        (once(OK + b"Content-Encoding: gzip\r\n\r\n" + compressed(1, 31)[:-9]), "body is cut"),
        (once(b"HTTP/1.1 302 Found\r\nLocation: http://[::\r\n\r\n"), "fails with "),
        (once(b"HTTP/1.1 999 \xff\r\n\r\n"), "answers 999"),
        (once(b"HTTP/1.1 101 X\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"), "fails with "),
        (once(b"\x16\x03\x01" * 99 + b"\r\n\r\n"), "fails with "),
    ],
)  # fmt: skip
def test_whatever_an_endpoint_sends_is_told_in_time(answer: Any, told: str) -> None:
    begun = time.monotonic()
    with serve_bytes(answer) as url:
        error = failure(teacher(url, timeout=0.4, retries=0))
    assert told in error.message
    assert time.monotonic() - begun < 4


@pytest.mark.parametrize("host", ["a" * 70 + ".com", "a..b", "-", "host.invalid"])
def test_a_host_that_cannot_be_is_told(host: str) -> None:
    assert "fails with " in failure(teacher(f"http://{host}/", retries=0, timeout=5)).message


@pytest.mark.parametrize(
    "value",
    ["9" * 400, "1e9", "-5", "1,2", "\u0669", "(((((", "a" * 10000, "(" * 90000, "0 0 0 0 0 0",
     "Fri, 31 Dec 9999 23:59:59 -2359", "Fri, 31 Dec 0001 00:00:00 +2359",
     "Thu, 01 Jan 1970 00:00:00 +99999999"],
)  # fmt: skip
def test_an_absurd_retry_after_is_none_or_a_number(value: str) -> None:
    begun = time.monotonic()
    found = _retry_after(value)
    assert found is None or found >= 0
    assert time.monotonic() - begun < 0.5


def test_a_pointer_that_is_none_is_refused_at_once() -> None:
    with pytest.raises(UserError) as caught:
        teacher("http://localhost", at="predictions")
    assert str(caught.value) == (
        "teacher: `at: predictions` is not a JSON pointer (RFC 6901)\n"
        "hint: each step begins with `/`, such as `/predictions/0`"
    )


def test_a_url_that_is_none_is_refused_at_once() -> None:
    with pytest.raises(UserError) as caught:
        teacher(f"http://{'ü' * 60}/predict")
    assert str(caught.value) == (
        f"teacher: `url` is not a URL: http://{'ü' * 60}/...\n"
        "hint: mend its host, or shorten what the environment has for it"
    )


def test_the_answer_is_where_at_points() -> None:
    with serve(answer=lambda image: {"predictions": [{"scores": of_three(image)}]}) as endpoint:
        parts = list(teacher(endpoint.url, at="/predictions/0/scores").predict(batch(2)))
    assert np.allclose(probabilities(parts, 2), truth(2), atol=1e-6)


def test_pointers_follow_the_rfc() -> None:
    document = {"foo": ["bar", "baz"], "": 0, "a/b": 1, "m~n": 8, "~1": 9, " ": 7}
    wanted = {"": document, "/foo": ["bar", "baz"], "/foo/0": "bar", "/": 0, "/a~1b": 1,
              "/m~0n": 8, "/~01": 9, "/ ": 7}  # fmt: skip
    assert {pointer: find(document, pointer) for pointer in wanted} == wanted


@pytest.mark.parametrize(
    ("pointer", "where"),
    [
        ("/a/c", "`/a` is an object with the keys 'b', 'd'"),
        ("/e", "the response is an object with the keys 'a'"),
        ("/a/b/2", "`/a/b` is a list of 2"),
        ("/a/b/-", "`/a/b` is a list of 2"),
        ("/a/b/01", "`/a/b` is a list of 2"),
        ("/a/b/0/x", "`/a/b/0` is 0.5"),
    ],
)
def test_a_pointer_to_nothing_says_what_there_is(pointer: str, where: str) -> None:
    with pytest.raises(UserError) as caught:
        find({"a": {"b": [0.5, 0.5], "d": None}}, pointer)
    assert str(caught.value) == (
        f"there is no `{pointer}` in the response: {where}\nhint: set `at` to where the answer is"
    )


def test_what_is_not_json_is_shown_in_part_and_not_asked_for_again() -> None:
    with serve(reply=lambda asked: Reply(body=b"<html>" + b"x" * 500)) as endpoint:
        error = failure(teacher(endpoint.url))
    shown = "<html>" + "x" * 194
    assert error.message == f"sample 100: {endpoint.shown} answers what is not JSON: '{shown}'"
    assert error.hint == f"check `url` {KEPT}"
    assert len(endpoint.asked) == 1


@pytest.mark.parametrize(
    ("lie", "told"),
    [
        ([0.5, 0.6, 0.2], "the probabilities sum to 1.3, expected 1"),
        ([float("nan"), 0.6, 0.4], "class `bird` is given nan, which is not finite"),
        ({"catt": 0.9}, "the data has no class 'catt', which the endpoint names"),
    ],
)
def test_a_lie_names_its_sample_and_is_not_asked_for_again(lie: Any, told: str) -> None:
    def answer(image: Pixels) -> Any:
        return lie if number(image) == 2 else of_three(image)

    with serve(answer) as endpoint:
        error = failure(teacher(endpoint.url, concurrency=1), 5)
    assert error.message == f"sample 102: {told}"
    assert len(endpoint.asked) == 3


def test_long_words_of_an_endpoint_are_cut() -> None:
    with serve(answer=lambda image: {"x" * 5000: 1.0}) as endpoint:
        error = failure(teacher(endpoint.url))
    assert len(error.message) < 700
    assert error.message.endswith("x...")


def refused(answer: Any, kind: str) -> str:
    with pytest.raises(UserError) as caught:
        logits_of(answer, kind, CLASSES)
    return str(caught.value)


def test_logits_are_taken_as_they_are() -> None:
    assert logits_of([1, -2.5, 30], "logits", CLASSES).tolist() == [1, -2.5, 30]
    named = logits_of({"ship": 30, "bird": 1, "cat": -2.5}, "logits", CLASSES)
    assert named.tolist() == [1, -2.5, 30]
    assert named.dtype == np.float32


def test_logits_must_name_every_class() -> None:
    assert refused({"bird": 1.0, "ship": 2.0}, "logits") == (
        "logits for 2 of 3 classes; `cat` has none\n"
        "hint: logits must name every class; only probabilities may name the top few"
    )


shares = st.lists(st.floats(0, 1), min_size=3, max_size=3).filter(lambda few: sum(few) > 0.1)


@given(shares)
def test_probabilities_and_their_logarithms_mean_the_same(few: list[float]) -> None:
    wanted = np.array(few) / sum(few)
    plain = logits_of([round(p, 3) for p in wanted.tolist()], "probabilities", CLASSES)
    with np.errstate(divide="ignore"):
        logs = np.maximum(np.log(wanted), -700).tolist()
    logged = logits_of(dict(zip(CLASSES, logs, strict=True)), "log_probabilities", CLASSES)
    assert np.allclose(np.exp(plain), wanted, atol=2e-3)
    assert np.allclose(np.exp(logged), wanted, atol=1e-6)
    assert np.exp(plain).sum() == pytest.approx(1, abs=1e-5)


@given(shares, st.integers(1, 2))
def test_classes_not_named_share_evenly_what_is_left(few: list[float], named: int) -> None:
    top = {name: p / sum(few) for name, p in zip(CLASSES[:named], few, strict=False)}
    for kind, answer in (
        ("probabilities", top),
        ("log_probabilities", {name: float(np.log(max(p, 1e-9))) for name, p in top.items()}),
    ):
        got = np.exp(logits_of(answer, kind, CLASSES))
        assert np.allclose(got[:named], list(top.values()), atol=1e-6)
        left = (1 - sum(top.values())) / (3 - named)
        assert np.allclose(got[named:], left, atol=1e-6)


@pytest.mark.parametrize("label", ["cat", 1])
def test_a_label_leaves_a_thousandth_to_the_others(label: Any) -> None:
    got = np.exp(logits_of(label, "label", CLASSES))
    assert np.allclose(got, [0.0005, 0.999, 0.0005], atol=1e-7)


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ([0.2, 0.2, 0.2], "the probabilities sum to 0.6, expected 1"),
        ({"cat": 0.9, "ship": 0.3}, "the probabilities sum to 1.2, expected at most 1"),
        ([90, 10, 0], "class `bird` has probability 90, not within 0..1"),
        ([0.5, 0.6, -0.1], "class `ship` has probability -0.1, not within 0..1"),
    ],
)
def test_what_is_no_distribution_is_refused(answer: Any, told: str) -> None:
    assert refused(answer, "probabilities") == f"{told}\nhint: {KINDS}"


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ([-0.1, 3.0, 0.0], "class `cat` has log-probability 3, above 0"),
        ([-5, -5, -5], "the probabilities sum to 0.02021, expected 1"),
    ],
)
def test_what_are_no_log_probabilities_is_refused(answer: Any, told: str) -> None:
    assert refused(answer, "log_probabilities") == f"{told}\nhint: {KINDS}"


@pytest.mark.parametrize(
    ("answer", "what"),
    [
        ([0.5, 0.5], "a list of 2"),
        ([[0.5, 0.5, 0]], "a list of 1"),
        ({}, "an empty object"),
        ("cat", '"cat"'),
    ],
)
def test_an_answer_of_another_shape_is_refused(answer: Any, what: str) -> None:
    assert refused(answer, "probabilities") == (
        f"the answer is {what}, expected 3 numbers or a mapping from class to number\n"
        f"hint: set `at` to where they are; {SAME}"
    )


@pytest.mark.parametrize(
    ("answer", "what"),
    [([None, 0, 1], "null"), ([True, 0, 0], "true"), ({"bird": "0.5"}, '"0.5"')],
)
def test_what_is_no_number_is_refused(answer: Any, what: str) -> None:
    assert refused(answer, "probabilities") == (
        f"class `bird` is given {what}, expected a number\n"
        "hint: set `at` to where the numbers are, or `answer` to what they are"
    )


@pytest.mark.parametrize(
    ("label", "told"),
    [
        ("dog", "the data has no class 'dog', which the endpoint names\n"
                "hint: one of: bird, cat, ship"),
        ("birds", "the data has no class 'birds', which the endpoint names\n"
                  "hint: did you mean `bird`?"),
        (3, f"the label is 3, but the data has 3 classes, counted from 0\nhint: {SAME}"),
        (-1, f"the label is -1, but the data has 3 classes, counted from 0\nhint: {SAME}"),
        (True, "the label is true, expected the name or the number of a class\n"
               "hint: set `at` to where it is, or `answer` to what it is"),
        (["cat"], "the label is a list of 1, expected the name or the number of a class\n"
                  "hint: set `at` to where it is, or `answer` to what it is"),
    ],
)  # fmt: skip
def test_a_label_that_is_no_class_is_refused(label: Any, told: str) -> None:
    assert refused(label, "label") == told


@pytest.mark.parametrize("kind", ["logits", "probabilities", "log_probabilities"])
@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (float("nan"), "nan"),
        (float("inf"), "inf"),
        (float("-inf"), "-inf"),
        (1e39, "1e+39"),
        (10**400, "1" + "0" * 19),
    ],
)
def test_what_is_not_finite_as_float32_is_refused(kind: str, value: float, shown: str) -> None:
    answer = json.loads(json.dumps([value, 0, 0]))
    assert refused(answer, kind) == (
        f"class `bird` is given {shown}, which is not finite\n"
        "hint: the endpoint's model is at fault, or its input"
    )
