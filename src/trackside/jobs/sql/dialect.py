"""How the three databases write the same thing."""

from __future__ import annotations

from abc import ABC, abstractmethod

from trackside.jobs.sql.table_map import Times, column_name, is_column, table_parts


class Dialect(ABC):
    """Text of SQL. Values never come in here, except the words of a map."""

    name: str
    placeholder = "%s"
    mark = '"'

    def quoted(self, name: str) -> str:
        return self.mark + name.replace(self.mark, self.mark * 2) + self.mark

    def table(self, table: str) -> str:
        return ".".join(self.quoted(part) for part in table_parts(table))

    def sql(self, text: str) -> str:
        """A part of a map: a column's name, or an expression."""
        if not text:
            return "NULL"
        if is_column(text):
            return f"j.{self.quoted(column_name(text))}"
        return f"({self.escaped(text)})"

    def escaped(self, text: str) -> str:
        """Drivers whose placeholders begin with a percent sign want it twice elsewhere."""
        return text.replace("%", "%%")

    def words(self, words: list[str]) -> str:
        """A list of literals for IN. They come from a map, which has refused every dangerous character."""
        return ", ".join(f"'{word}'" for word in words) if words else "NULL"

    @abstractmethod
    def ms(self, expression: str, times: Times) -> str:
        """Milliseconds since 1970; in SQLite the stored value as it is."""

    @abstractmethod
    def now(self, times: Times) -> str: ...

    def is_due(self, expression: str, times: Times) -> str:
        """A condition; nothing known is due."""
        return f"({expression} IS NULL OR {expression} <= {self.now(times)})"

    def is_past(self, expression: str, times: Times) -> str:
        return f"{expression} <= {self.now(times)}"

    @abstractmethod
    def text(self, expression: str, characters: int = 0, kind: str = "") -> str:
        """As text, its beginning. `kind` is the type of the column: bytes stay bytes."""

    @abstractmethod
    def raw(self, expression: str) -> str:
        """As something JSON can hold, that compares with the expression when it comes back as a parameter."""

    @abstractmethod
    def contains(self, expression: str, kind: str) -> str:
        """A condition with one placeholder."""

    def needle(self, text: str, kind: str) -> str | bytes:
        """What goes into the placeholder of `contains`."""
        escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
        return f"%{escaped}%"


class Postgres(Dialect):
    name = "postgres"

    def ms(self, expression: str, times: Times) -> str:
        if times is Times.TIMESTAMP:
            # `infinity` is a timestamp too, and no number.
            return f"CASE WHEN isfinite({expression}) THEN floor(extract(epoch FROM {expression}) * 1000)::bigint END"
        return f"floor({expression} * {1000 if times is Times.SECONDS else 1})::bigint"

    def now(self, times: Times) -> str:
        if times is Times.TIMESTAMP:
            return "now()"
        return f"(extract(epoch FROM now()) * {1 if times is Times.SECONDS else 1000})"

    def text(self, expression: str, characters: int = 0, kind: str = "") -> str:
        if kind == "bytea":
            return f"substr({expression}, 1, {characters})" if characters else expression
        return f"left(({expression})::text, {characters})" if characters else f"({expression})::text"

    def raw(self, expression: str) -> str:
        return f"({expression})::text"

    def contains(self, expression: str, kind: str) -> str:
        if kind == "bytea":
            return f"position(%s::bytea IN {expression}) > 0"
        return f"({expression})::text ILIKE %s"

    def needle(self, text: str, kind: str) -> str | bytes:
        return text.encode("utf-8", "replace") if kind == "bytea" else super().needle(text, kind)


class Sqlite(Dialect):
    name = "sqlite"
    placeholder = "?"

    def escaped(self, text: str) -> str:
        return text

    def ms(self, expression: str, times: Times) -> str:
        return expression

    def now(self, times: Times) -> str:
        if times is Times.TIMESTAMP:
            return "julianday('now')"
        return f"((julianday('now') - 2440587.5) * {86_400 if times is Times.SECONDS else 86_400_000})"

    def is_due(self, expression: str, times: Times) -> str:
        return f"({expression} IS NULL OR {self.is_past(expression, times)})"

    def is_past(self, expression: str, times: Times) -> str:
        # Texts of different formats do not compare with each other: "T" comes after " ".
        moment = f"julianday({expression})" if times is Times.TIMESTAMP else expression
        return f"{moment} <= {self.now(times)}"

    def text(self, expression: str, characters: int = 0, kind: str = "") -> str:
        return f"substr({expression}, 1, {characters})" if characters else expression

    def raw(self, expression: str) -> str:
        return expression

    def contains(self, expression: str, kind: str) -> str:
        return f"CAST({expression} AS TEXT) LIKE ? ESCAPE '\\'"


class Mysql(Dialect):
    name = "mysql"
    mark = "`"

    def ms(self, expression: str, times: Times) -> str:
        if times is Times.TIMESTAMP:
            # UNIX_TIMESTAMP ends in 2038.
            return f"TIMESTAMPDIFF(MICROSECOND, '1970-01-01', {expression}) DIV 1000"
        return f"FLOOR({expression} * {1000 if times is Times.SECONDS else 1})"

    def now(self, times: Times) -> str:
        if times is Times.TIMESTAMP:
            return "UTC_TIMESTAMP(6)"
        return f"(UNIX_TIMESTAMP(NOW(6)) * {1 if times is Times.SECONDS else 1000})"

    def text(self, expression: str, characters: int = 0, kind: str = "") -> str:
        if kind.endswith(("blob", "binary")):
            return f"SUBSTRING({expression}, 1, {characters})" if characters else expression
        cast = f"CAST({expression} AS CHAR CHARACTER SET utf8mb4)"
        return f"LEFT({cast}, {characters})" if characters else cast

    def raw(self, expression: str) -> str:
        return f"CAST({expression} AS CHAR)"

    def contains(self, expression: str, kind: str) -> str:
        return f"LOWER(CONVERT({expression} USING utf8mb4)) LIKE LOWER(%s)"


POSTGRES, SQLITE, MYSQL = Postgres(), Sqlite(), Mysql()
