from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from edgedistill.errors import UserError
from edgedistill.families.endpoint import WHOLE
from edgedistill.recipe import Ensemble, HttpTeacher, parse_recipe

URL = "http://host"
SECRET = "hush-5ecret"


def refused(**fields: Any) -> str:
    """What a recipe is told; it never repeats the secret."""
    document = {"family": "http", "url": URL, **fields}
    with pytest.raises(ValidationError) as direct:
        HttpTeacher.model_validate(document)
    with pytest.raises(UserError) as caught:
        parse_recipe({"teacher": document}, "recipe.yaml")
    for text in (str(direct.value), str(caught.value)):
        assert SECRET not in text
    told = next(line for line in caught.value.message.splitlines() if "teacher" in line)
    return told.removeprefix("recipe.yaml: teacher.")


@pytest.mark.parametrize(
    ("url", "told"),
    [
        (f"https://me:{SECRET}@host/v1", "has a user or a password written out; name what holds "
         "them in the environment: `https://${USER}:${PASSWORD}@...`"),
        (f"https://{SECRET}@host", "has a user or a password written out"),
        (f"https://:{SECRET}@host", "has a user or a password written out"),
        (f"https://${{USER}}:{SECRET}@host", "has a user or a password written out"),
        (f"https://${{USER}}:{SECRET}${{PASSWORD}}@host", "has a user or a password written out"),
        (f"https://a@{SECRET}:b@host", "should be an address"),
        (f"https://host/?key={SECRET}", "has, in its query, a value written out whose name has "
         "`key` in it; name what holds it in the environment: `...=${NAME}`"),
        (f"https://host?a=1&API_Key={SECRET}", "whose name has `key` in it"),
        (f"https://host?a=1;sessionid={SECRET}", "whose name has `session` in it"),
        (f"https://host?to%6ben={SECRET}", "whose name has `token` in it"),
        (f"https://host?X-Amz-Signature={SECRET}", "whose name has `signature` in it"),
        (f"https://host?auth=Bearer+{SECRET}", "whose name has `auth` in it"),
        (f"https://host?key={SECRET}${{KEY}}", "whose name has `key` in it"),
        (f"https://host/a#{SECRET}", "has a fragment (`#...`), which is never sent; leave it out"),
        ("https://host/a#", "has a fragment"),
        (f"https://host/${{{SECRET}", "what begins with `${` is to be of the form `${NAME}`"),
        ("https://host/${a b}", "should be an address"),
        ("https://host/${}", "what begins with `${`"),
        (f"https://{SECRET}${{HOST}}/", "should be an address"),
        (f"ftp://host/{SECRET}", "should be an address such as https://HOST:PORT/PATH?NAME=VALUE"),
        (f"{SECRET}", "should be an address"),
        ("https://", "should be an address"),
        (f"https://host/{SECRET}\n", "should be an address"),
        (f"https://host\\@{SECRET}/", "should be an address"),
        (f"https://host:{SECRET}", "should be an address"),
        ("https://host:0", "has a port that is not within 1..65535"),
        ("https://host:65536/", "has a port that is not within 1..65535"),
        (f"https://host/{SECRET}" + "x" * 9000, "should be an address"),
        ("https://host/...", "is an address as reports shorten it; write it whole"),
        ({SECRET: SECRET}, "should be an address"),
        (None, "should be an address"),
    ],
)  # fmt: skip
def test_an_address_with_a_secret_or_none_at_all_is_refused_unseen(url: Any, told: str) -> None:
    assert refused(url=url).startswith(f"url: {told}") or told in refused(url=url)


@pytest.mark.parametrize(
    ("headers", "told"),
    [
        ({"Authorization": SECRET}, "`Authorization` says who asks, and is written out; name what "
         'holds it in the environment: Authorization: "${NAME}" (or "Bearer ${NAME}")'),
        ({"authorization": f"Bearer {SECRET}"}, "`authorization` says who asks"),
        ({"Proxy-Authorization": f"Basic {SECRET}"}, "`Proxy-Authorization` says who asks"),
        ({"Cookie": f"id={SECRET}"}, "`Cookie` says who asks"),
        ({"Authorization": f"Bearer {SECRET}${{TOKEN}}"}, "`Authorization` says who asks"),
        ({"Authorization": f"{SECRET} ${{TOKEN}}"}, "`Authorization` says who asks"),
        ({"X-Auth": "$TOKEN"}, "`X-Auth` says who asks"),
        ({"X-Team": f"Bearer {SECRET}"}, "`X-Team` says who asks"),
        *(({f"X-{word}-1": SECRET}, f"`X-{word}-1` says who asks") for word in (
            "Token", "KEY", "Secret", "Password", "Credential", "Session", "Signature")),
        ({"X-Team": f"${{{SECRET}"}, "`X-Team`: what begins with `${`"),
        ({"X-Team": [SECRET]}, "`X-Team` should be text; put it in quotes"),
        ({f"{SECRET}: x": "y"}, "has a name that is no header's"),
        ({7: "y"}, "has a name that is no header's"),
        ({"X-Team": SECRET * 999}, "`X-Team` has more than 8192 characters"),
        ({"X-Team": "***"}, "`X-Team` is hidden, as reports do it; write its value"),
        ({f"X-{number}": "a" for number in range(65)}, "should be a mapping of names to values"),
        (SECRET, "should be a mapping of names to values, of at most 64"),
        ([SECRET], "should be a mapping of names to values"),
    ],
)  # fmt: skip
def test_headers_with_a_secret_or_none_at_all_are_refused_unseen(headers: Any, told: str) -> None:
    assert refused(headers=headers).startswith(f"headers: {told}")


@pytest.mark.parametrize(
    "field", ["per_second", "max_requests", "timeout", "retries", "concurrency"]
)
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1, 1e300, 10**30])
def test_numbers_are_bounded(field: str, value: Any) -> None:
    assert refused(**{field: value}).startswith(f"{field}: ")


def test_what_comes_from_the_environment_may_stand_there() -> None:
    url = "https://${WHO}:${WORD}@host:8/v1/${PART}/x?key=${KEY}&token=Bearer%20${T}&auth=&m=1"
    headers = {
        "Authorization": "Bearer ${TOKEN}", "X-Key": "${A}${B}", "X-Auth": "Token ${C}",
        "Cookie": "${COOKIE}", "X-Model": "large", "X-Api-Key": "",
    }  # fmt: skip
    one = HttpTeacher(family="http", url=url, headers=headers)
    assert (one.url, one.headers) == (url, headers)


def test_what_is_stored_shows_where_an_endpoint_is_and_no_more() -> None:
    url = f"https://${{WHO}}@host:8/{SECRET}/x?key=${{KEY}}&m={SECRET}"
    headers = {
        "Authorization": "Bearer ${TOKEN}", "X-Lit": SECRET, "X-Mix": f"{SECRET}${{TOKEN}}",
    }  # fmt: skip
    one = HttpTeacher(family="http", url=url, headers=headers)
    both = Ensemble.model_validate({"family": "ensemble", "members": [{"teacher": one}] * 2})
    for stored in (one.model_dump(), both.model_dump(mode="json")["members"][1]["teacher"]):
        assert stored["url"] == "https://host:8/..."
        assert stored["headers"] == {
            "Authorization": "Bearer ${TOKEN}", "X-Lit": "***", "X-Mix": "***",
        }  # fmt: skip
    for text in (repr(both), str(one), both.model_dump_json()):
        assert SECRET not in text
    whole = both.model_dump(mode="json", context=WHOLE)
    assert Ensemble.model_validate(whole) == both


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://host", "http://host/"),
        ("http://host/", "http://host/"),
        ("http://host?a", "http://host/..."),
        ("https://[::1]:8000/a", "https://[::1]:8000/..."),
    ],
)
def test_an_address_is_shown_in_short(url: str, shown: str) -> None:
    assert HttpTeacher(family="http", url=url).model_dump()["url"] == shown
