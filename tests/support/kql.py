"""The part of KQL that our saved objects keep to, and the Lucene query that says the same.

`field : value`, with `and`, `or`, `not`, parentheses, quoted values, wildcards in bare ones, and several values in
parentheses. Kibana compiles KQL in the browser; Elasticsearch knows only the latter, as a `query_string`.
"""

import re
from dataclasses import dataclass
from typing import ClassVar

_TOKEN = re.compile(r'\s*(?:(?P<quoted>"(?:[^"\\]|\\.)*")|(?P<sign>[():])|(?P<word>[^\s():"]+))')
# All that query_string gives a meaning, but the wildcard.
_SPECIAL = re.compile(r'([+\-=&|><!(){}\[\]^"~?:\\/])')
_ANYTHING = "*:*"


class NotOurs(Exception):
    """A query beyond the part that is known here."""


@dataclass(frozen=True, slots=True)
class Query:
    lucene: str
    fields: frozenset[str]


def read(text: str) -> Query:
    """Raises NotOurs."""
    if not text.strip():
        return Query(_ANYTHING, frozenset())
    return _Reader(text).whole()


class _Reader:
    _WORDS: ClassVar = ("and", "or", "not")

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens: list[str] = []
        at = 0
        while text[at:].strip():
            found = _TOKEN.match(text, at)
            if not found:
                raise NotOurs(text)
            self._tokens.append(found.group().strip())
            at = found.end()
        self._fields: set[str] = set()

    def whole(self) -> Query:
        lucene = self._any()
        if self._tokens:
            raise NotOurs(self._text)
        return Query(lucene, frozenset(self._fields))

    def _any(self) -> str:
        parts = [self._all()]
        while self._takes("or"):
            parts.append(self._all())
        return parts[0] if len(parts) == 1 else f"({' OR '.join(parts)})"

    def _all(self) -> str:
        parts = [self._one()]
        while self._takes("and"):
            parts.append(self._one())
        return parts[0] if len(parts) == 1 else f"({' AND '.join(parts)})"

    def _one(self) -> str:
        if self._takes("not"):
            # Alone, or in parentheses, a negation finds nothing in Lucene.
            return f"({_ANYTHING} AND NOT {self._one()})"
        if self._takes("("):
            inner = self._any()
            self._needs(")")
            return inner
        field = self._next()
        if not re.fullmatch(r"[@\w.]+", field) or field.lower() in self._WORDS:
            raise NotOurs(self._text)
        self._needs(":")
        self._fields.add(field)
        if not self._takes("("):
            return f"{field}:{self._value()}"
        values = [self._value()]
        while self._takes("or"):
            values.append(self._value())
        self._needs(")")
        return f"{field}:({' OR '.join(values)})"

    def _value(self) -> str:
        token = self._next()
        if token in ("(", ")", ":") or token.lower() in self._WORDS:
            raise NotOurs(self._text)
        return token if token.startswith('"') else _SPECIAL.sub(r"\\\1", token)

    def _next(self) -> str:
        if not self._tokens:
            raise NotOurs(self._text)
        return self._tokens.pop(0)

    def _takes(self, token: str) -> bool:
        if self._tokens and self._tokens[0].lower() == token:
            self._tokens.pop(0)
            return True
        return False

    def _needs(self, token: str) -> None:
        if not self._takes(token):
            raise NotOurs(self._text)
