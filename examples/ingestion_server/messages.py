"""What edge relays may send: JSON, read into a message or refused with the reason."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, FiniteFloat, TypeAdapter, ValidationError

UserId = Annotated[str, Field(pattern=r"^[a-z0-9-]{1,40}$")]


class Sample(BaseModel):
    # Finite: a database that takes no NaN would refuse the whole batch, again and again.
    at: FiniteFloat
    """Seconds since 1970, by the clock of the sensor."""
    value: FiniteFloat


class SessionStart(BaseModel):
    type: Literal["session_start"] = "session_start"
    user_id: UserId


class Samples(BaseModel):
    type: Literal["samples"] = "samples"
    user_id: UserId
    samples: list[Sample] = Field(min_length=1, max_length=32)


class SessionEnd(BaseModel):
    type: Literal["session_end"] = "session_end"
    user_id: UserId


Message = SessionStart | Samples | SessionEnd

TYPES = ("session_start", "samples", "session_end")
UNKNOWN = "unknown"
"""The type of what cannot be read. Never the sender's own word: it would be a label, and a sender has many words."""


class RefusedError(Exception):
    """A message that is not processed, and why. The class is the label `error_type`."""


class NotJsonError(RefusedError):
    """It is no JSON object."""


class UnknownTypeError(RefusedError):
    """There is no message of its type."""


class InvalidFieldsError(RefusedError):
    """A field is missing or makes no sense."""


class NoSessionError(RefusedError):
    """The user has no session on this connection."""


class SessionExistsError(RefusedError):
    """The user has one already."""


class BufferFullError(RefusedError):
    """The user's consumer is too slow."""


class DatabaseBehindError(RefusedError):
    """Too much waits for the database."""


FAILURES = (
    (UNKNOWN, NotJsonError),
    (UNKNOWN, UnknownTypeError),
    *((message_type, InvalidFieldsError) for message_type in TYPES),
    ("session_start", SessionExistsError),
    ("session_end", NoSessionError),
    ("samples", NoSessionError),
    ("samples", BufferFullError),
    ("samples", DatabaseBehindError),
)
"""Everything that happens to a message but success."""

_object: TypeAdapter[dict[str, Any]] = TypeAdapter(dict[str, Any])
_message: TypeAdapter[Message] = TypeAdapter(Annotated[Message, Field(discriminator="type")])


class Envelope:
    """A text that arrived, as far as it can be known before it is a message."""

    def __init__(self, text: str) -> None:
        try:
            self._fields = _object.validate_json(text)
        except ValidationError:
            self._fields = {}
        message_type = self._fields.get("type")
        self.message_type: str = message_type if message_type in TYPES else UNKNOWN
        self.user_id = str(self._fields.get("user_id", ""))

    def opened(self) -> Message:
        """
        Raises:
            NotJsonError, UnknownTypeError, InvalidFieldsError: it is no message.
        """
        if not self._fields:
            raise NotJsonError("a JSON object with a type is expected")
        if self.message_type == UNKNOWN:
            raise UnknownTypeError(f"the type is one of: {', '.join(TYPES)}")
        try:
            return _message.validate_python(self._fields)
        except ValidationError as error:
            first = error.errors()[0]
            raise InvalidFieldsError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from error
