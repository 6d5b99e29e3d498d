"""Forms with files, read by somebody else's parser."""

import email
import email.policy

import pytest

from trackside.server.receivers.form import File, multipart


def read(body, content_type):
    message = email.message_from_bytes(
        f"Content-Type: {content_type}\r\n\r\n".encode() + body, policy=email.policy.HTTP
    )
    return {part.get_param("name", header="content-disposition"): part for part in message.iter_parts()}


def test_fields_and_files():
    parts = read(*multipart({"a": "é\r\nb", "photo": File("chart.png", b"\x89PNG\r\n\x00\xff")}))
    assert parts["a"].get_payload(decode=True).decode() == "é\r\nb"
    photo = parts["photo"]
    assert (photo.get_content_type(), photo.get_filename()) == ("image/png", "chart.png")
    assert photo.get_payload(decode=True) == b"\x89PNG\r\n\x00\xff"


@pytest.mark.parametrize(
    "text", ["--trackside-\r\n", '\r\nContent-Disposition: form-data; name="evil"\r\n\r\nx', "\ud800", ""]
)
def test_a_text_ends_no_part(text):
    parts = read(*multipart({"a": text, "b": "c"}))
    assert set(parts) == {"a", "b"}
    assert parts["b"].get_payload() == "c"


def test_the_same_is_written_in_the_same_way():
    assert multipart({"a": "b"}) == multipart({"a": "b"})
