"""Base64 as programs write it becomes the bytes that were encoded; anything else is named."""

import base64
import os
import textwrap
from collections.abc import Callable

import pytest

from returns_pipeline.web.base64_text import NotBase64Error, decode

#: Lengths that leave no, one and two bytes in the last group; bytes that need both special characters.
CONTENTS = [b"", b"\xfb", b"\xfb\xef", b"\xfb\xef\xbe\xff\xff", bytes(range(256)), os.urandom(3001)]
URL = str.maketrans("+/", "-_")
FORMS: dict[str, Callable[[str], str]] = {
    "plain": lambda text: text,
    "MIME": lambda text: "\r\n".join(textwrap.wrap(text, 76)) + "\r\n",
    "Android": lambda text: "\n".join(textwrap.wrap(text, 76)) + "\n",
    "tabs and spaces": lambda text: " \t" + "\t ".join(textwrap.wrap(text, 10)),
    "no padding": lambda text: text.rstrip("="),
    "needless padding": lambda text: text.rstrip("=") + "===",
    "alphabet of addresses": lambda text: text.translate(URL),
    "address without padding": lambda text: text.translate(URL).rstrip("="),
    "data address": lambda text: f"data:image/jpeg;base64,{text}",
    "data address with a name": lambda text: f" DATA:image/png;name=a.png;BASE64, {text}\n",
    "data address with lines": lambda text: "data:image/png;base64,\n" + "\n".join(textwrap.wrap(text, 64)),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("content", CONTENTS, ids=len)
def test_every_form_gives_the_same_bytes(content: bytes, form: str) -> None:
    """White space, padding, alphabet and a data address change nothing."""
    assert decode(FORMS[form](base64.b64encode(content).decode())) == content


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("AA%A", "character 2 (counted from 0) is '%'"),
        ("data:image/png;base64,AA*A", "character 24 (counted from 0) is '*'"),
        ("AAA\0", r"is '\x00'"),
        ("AAA\xe9", r"is '\xe9'"),
        ("AAAA\u2028AAAA", r"is '\u2028'"),
        ("AAA\ud800", r"is '\ud800'"),
        ("AA==AAAA", "`=` stands before its end"),
        ("=AAA", "`=` stands before its end"),
        ("AAAAA", "5 characters"),
        ("data:,AAAA", "`;base64,`"),
        ("data:image/svg+xml;utf8,<svg/>", "`;base64,`"),
        ("data:image/png;base64", "`;base64,`"),
    ],
)
def test_other_text_is_refused_with_its_fault(text: str, said: str) -> None:
    """The sentence names the first foreign character, or what is wrong with the form."""
    with pytest.raises(NotBase64Error) as refused:
        decode(text)
    assert said in refused.value.message
