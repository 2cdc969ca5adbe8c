"""What somebody looks for, and whether a text has it."""

from typing import NamedTuple

from kernel.errors import malformed_field
from modules.messaging.search.folding import fold, origin
from modules.messaging.search.terms import Term, asked, terms

MAX_QUERY_CHARS = 200
MAX_TERMS = 10
MAX_HIGHLIGHTS = 50


class Span(NamedTuple):
    """Characters of a text: code points."""

    start: int
    length: int


class Query:
    """Terms that a text must all have."""

    def __init__(self, wanted: list[Term]) -> None:
        self._wanted = wanted
        self.parts = asked(wanted)

    @classmethod
    def parse(cls, q: str) -> "Query":
        """Return what a query asks for.

        Raises:
            MalformedError: nothing that can be looked for, or too much.
        """
        wanted = list({term.text: term for term in terms(fold(q))}.values())
        if not wanted:
            raise malformed_field("?q", "must have a letter, a digit or an emoji")
        if len(wanted) > MAX_TERMS:
            raise malformed_field("?q", f"at most {MAX_TERMS} words")
        return cls(wanted)

    def highlights(self, text: str) -> list[Span] | None:
        """Return where the terms stand in a text, in order and apart, at most `MAX_HIGHLIGHTS`; None if one doesn't."""
        folded = fold(text)
        if not all(term.text in folded for term in self._wanted):
            return None
        there = list(terms(folded))
        found = [[span for other in there for span in term.find_in(other)] for term in self._wanted]
        return _spans(text, sorted(span for spans in found for span in spans)) if all(found) else None


def _spans(text: str, found: list[tuple[int, int]]) -> list[Span]:
    """Return folded spans as spans of the text, those that touch or overlap as one."""
    starts, ends = origin(text)
    joined: list[tuple[int, int]] = []
    for start, end in ((starts[first], ends[last - 1]) for first, last in found):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return [Span(start, end - start) for start, end in joined[:MAX_HIGHLIGHTS]]
