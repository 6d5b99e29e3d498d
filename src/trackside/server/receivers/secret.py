"""Secrets of the configuration: as they stand there, or in a file that is read at each use, so that they may change."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from trackside.exceptions import DeliveryError

MAX_BYTES = 1 << 20
NO_MANAGER = "secrets are named by reference, and no secret manager knows them; give them here or in a file"


@dataclass(frozen=True, slots=True)
class Secret:
    value: SecretStr
    file: str = ""

    async def read(self) -> str:
        """
        Raises:
            DeliveryError: the file cannot be read.
        """
        if not self.file:
            return self.value.get_secret_value()
        return (await read_file(self.file)).strip()


async def read_file(file: str) -> str:
    """
    Raises:
        DeliveryError: it cannot be read.
    """
    try:
        return await asyncio.to_thread(_read, Path(file))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise DeliveryError(f"cannot read {file}: {reason}", retry=True) from error


def _read(path: Path) -> str:
    with path.open("rb") as file:
        return file.read(MAX_BYTES).decode("utf-8")
