"""The clients of other people's databases, which only those have who keep jobs there."""

from __future__ import annotations

from typing import Any

from trackside.exceptions import SourceError


def psycopg() -> Any:
    """
    Raises:
        SourceError: it is not installed.
    """
    try:
        import psycopg  # noqa: PLC0415 - only who has jobs in Postgres has it
    except ImportError:
        raise SourceError("jobs in Postgres need psycopg: pip install 'psycopg[binary]'") from None
    return psycopg


def pymysql() -> Any:
    """
    Raises:
        SourceError: it is not installed.
    """
    try:
        import pymysql  # noqa: PLC0415 - only who has jobs in MySQL has it
    except ImportError:
        raise SourceError("jobs in MySQL need PyMySQL: pip install pymysql") from None
    return pymysql
