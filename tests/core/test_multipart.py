"""Forms that are parsed as they come: whatever the pieces, the same is found in them."""

from __future__ import annotations

import itertools
from contextlib import suppress

import pytest
from django.test.client import BOUNDARY, MULTIPART_CONTENT, encode_multipart
from hypothesis import given, settings
from hypothesis import strategies as st

from sovereign.core.api.multipart import MultipartParser, Part
from sovereign.core.errors import ApiError

TYPE = "multipart/form-data; boundary=edge"
Found = list[tuple[Part, bytes]]


def parsed(pieces: list[bytes], content_type: str = TYPE) -> Found:
    parser = MultipartParser(content_type)
    found: list[tuple[Part, bytearray]] = []
    for piece in pieces:
        for event in parser.feed(piece):
            if isinstance(event, Part):
                found.append((event, bytearray()))
            else:
                found[-1][1].extend(event)
    parser.finish()
    return [(part, bytes(content)) for part, content in found]


def form(*parts: tuple[str, bytes]) -> bytes:
    """:param parts: what stands behind ``form-data;``, and the content."""
    written = [b"--edge\r\nContent-Disposition: form-data; %s\r\n\r\n%s\r\n" % (h.encode(), c) for h, c in parts]
    return b"".join(written) + b"--edge--\r\n"


def cut(body: bytes, places: list[int]) -> list[bytes]:
    border = [0, *sorted(place % (len(body) + 1) for place in places), len(body)]
    return [body[begin:end] for begin, end in itertools.pairwise(border)]


@settings(deadline=None)
@given(
    content=st.lists(st.sampled_from([b"\r\n--edge", b"\r\n--edg", b"--edge", b"\r", b"\n", b"-", b"x", b"\0\xff"])),
    places=st.lists(st.integers(0, 10_000)),
)
def test_every_cut_of_a_body_finds_the_same(content: list[bytes], places: list[int]) -> None:
    data = b"".join(content).replace(b"\r\n--edge", b"\r\n--edgy")
    body = form(('name="purpose"', b"assistants"), ('name="file"; filename="a.txt"', data), ('name="last"', b""))
    expected = [
        (Part("purpose", None), b"assistants"),
        (Part("file", "a.txt"), data),
        (Part("last", None), b""),
    ]
    assert parsed(cut(body, places)) == expected
    assert parsed([body[place : place + 1] for place in range(len(body))]) == expected


def test_what_djangos_client_writes_is_read() -> None:
    body = encode_multipart(BOUNDARY, {"purpose": "vision", "text": "zwei\r\nZeilen ü"})
    found = parsed([body], MULTIPART_CONTENT)
    assert found == [(Part("purpose", None), b"vision"), (Part("text", None), "zwei\r\nZeilen ü".encode())]


@pytest.mark.parametrize(
    ("header", "filename"),
    [
        ('name="file"; filename="a; b.txt"', "a; b.txt"),
        ('name="file"; filename="ü.txt"', "ü.txt"),
        ("name=file; filename=plain.txt", "plain.txt"),
        ("name=\"file\"; filename*=UTF-8''na%C3%AFve.txt", "naïve.txt"),
        ('name="file"; filename="a\\"b.txt"', 'a"b.txt'),
        ('name="file"; filename=""', ""),
        ('name="file"; filename="../../etc/passwd"', "../../etc/passwd"),
        ('name="file"; filename="a\0b"', "a\0b"),
    ],
)
def test_a_name_is_what_the_client_says(header: str, filename: str) -> None:
    assert parsed([form((header, b"x"))]) == [(Part("file", filename), b"x")]


def test_bytes_that_are_no_utf8_in_a_name_are_replaced() -> None:
    body = form(('name="file"; filename="X"', b"x")).replace(b'"X"', b'"\xff.txt"')
    assert parsed([body]) == [(Part("file", "\ufffd.txt"), b"x")]


def test_other_headers_a_preamble_blanks_and_an_epilogue_are_passed_over() -> None:
    body = (
        b"This is a form.\r\n--edge \t\r\nContent-Type: text/plain\r\ncontent-disposition: form-data; name=a\r\n\r\n1"
        b"\r\n--edge--\r\nThat was it.\r\n--edge\r\n"
    )
    assert parsed([body]) == [(Part("a", None), b"1")]


@pytest.mark.parametrize(
    ("body", "what"),
    [
        (b"", "it ends before its last boundary"),
        (b"hello", "it ends before its last boundary"),
        (form(("name=a", b"1"))[:-6], "it ends before its last boundary"),
        (b"--edge\r\n\r\n1\r\n--edge--", "a part of it has no name"),
        (b"--edgeling\r\n\r\n1\r\n--edge--", "there is something behind a boundary"),
        (b"--edge-\r\n\r\n1\r\n--edge--", "there is something behind a boundary"),
        (b"--edge" + b" " * 200, "there is something behind a boundary"),
        (b"--edge\r\nContent-Type: text/plain\r\n\r\n1\r\n--edge--", "a part of it has no name"),
        (b"--edge\r\nContent-Disposition: attachment; name=a\r\n\r\n1\r\n--edge--", "a part of it has no name"),
        (b"--edge\r\nContent-Disposition: form-data; x*=nope''y\r\n\r\n1\r\n--edge--", "a part of it has no name"),
        (
            b"--edge\r\nContent-Disposition: form-data; name*=unicode_escape''%5Cud800\r\n\r\n1\r\n--edge--",
            "a name in it is no text",
        ),
        (
            b"--edge\r\nContent-Disposition: form-data; name=a; filename*=unicode_escape''%5Cudfff\r\n\r\n1",
            "a name in it is no text",
        ),
        (b"--edge\r\nX: " + b"x" * 9_000, "the headers of a part are too long"),
        (b"--edge\r\nX: " + b"x" * 9_000 + b"\r\n\r\n", "the headers of a part are too long"),
    ],
)
def test_what_is_no_form_is_refused(body: bytes, what: str) -> None:
    with pytest.raises(ApiError, match=what) as refused:
        parsed([body])
    assert (refused.value.status, refused.value.code) == (400, "invalid_multipart")


@pytest.mark.parametrize(
    "content_type",
    [
        "multipart/form-data",
        "multipart/form-data; boundary=",
        "multipart/form-data; boundary=ü",
        f"a; boundary={'x' * 201}",
    ],
)
def test_a_form_needs_a_boundary(content_type: str) -> None:
    with pytest.raises(ApiError, match="names no boundary"):
        MultipartParser(content_type)


@settings(deadline=None)
@given(st.binary(max_size=2_000))
def test_no_body_is_worse_than_refused(body: bytes) -> None:
    with suppress(ApiError):
        parsed([b"--edge\r\n" + body])


def test_hardly_anything_is_held() -> None:
    parser = MultipartParser(TYPE)
    list(parser.feed(b"--edge\r\nContent-Disposition: form-data; name=a\r\n\r\n"))
    for _ in range(10):
        got = b"".join(event for event in parser.feed(b"x" * 100_000) if isinstance(event, bytes))
        assert 100_000 - 20 <= len(got) <= 100_000 + 20
