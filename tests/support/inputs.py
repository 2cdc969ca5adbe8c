"""Input made from the Structs that decode it: a good example of each, and everything bad in the place of each field.

A field that is added to a Struct is in these tables without anybody's doing.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
import msgspec.inspect as mi

Path = tuple[str | int, ...]
HERE = "\N{SNOWMAN}here"
SURROGATES = (rb'"\ud800"', rb'"a\udc00b"', b'"\xed\xa0\x80"', b'"\xff"', b'"\xc0\x80"')
"""Lone surrogates, escaped and not, and what isn't UTF-8 at all."""


class Bad(msgspec.Struct, frozen=True):
    """A body with one thing wrong, and what must be said of it. `pointer` None: it isn't JSON at all."""

    what: str
    body: bytes
    pointer: str | None
    says: str = ""


def example(kind: Any) -> Any:
    """Return a value that a type accepts, with its optional parts."""
    return _example(mi.type_info(kind))


def bad_bodies(kind: Any) -> Iterator[Bad]:
    """Yield bodies for the Struct `kind` (or a union of them), each with one thing wrong that its schema forbids."""
    for struct in _structs(mi.type_info(kind)):
        good = _example(struct)
        for path, field in _places(struct, ()):
            for what, raw, says in _wrong(field):
                body = _encode(_replaced(good, path, HERE)).replace(_encode(HERE), raw)
                pointer = None if raw in SURROGATES or what == "deep" else _pointer(path)
                yield Bad(f"{_pointer(path)} {what}", body, pointer, says)
        for path, inner in _objects(struct, ()):
            yield Bad(f"{_pointer(path)} unknown field", _added(good, path), _pointer((*path, "not_a_field")))
            for field in inner.fields:
                if field.required:
                    without = _without(good, (*path, field.encode_name))
                    yield Bad(f"{_pointer(path)} no {field.name}", without, _pointer((*path, field.encode_name)))


def broken_bodies() -> Iterator[Bad]:
    """Yield what is no JSON object."""
    for what, body in (
        ("half", b'{"a'),
        ("words", b"hello"),
        ("two values", b"{} {}"),
        ("single quotes", b"{'a': 1}"),
        ("no UTF-8", b'{"\xff": 1}'),
        ("UTF-16", '{"a": 1}'.encode("utf-16")),
        ("NUL", b"\x00"),
        ("not a number", b'{"a": NaN}'),
    ):
        yield Bad(what, body, None)
    for what, body in (("null", b"null"), ("list", b"[]"), ("text", b'"{}"'), ("number", b"1"), ("deep", b"[" * 5_000)):
        yield Bad(what, body, "")


def _structs(kind: Any) -> list[mi.StructType]:
    if isinstance(kind, mi.UnionType):
        return [one for one in kind.types if isinstance(one, mi.StructType)]
    assert isinstance(kind, mi.StructType), kind
    return [kind]


def _bare(kind: Any) -> tuple[Any, bool]:
    """Return a field's type without metadata and null, and whether it may be null."""
    while isinstance(kind, mi.Metadata):
        kind = kind.type
    if isinstance(kind, mi.UnionType):
        rest = [one for one in kind.types if not isinstance(one, mi.NoneType)]
        if any(isinstance(one, mi.Metadata | mi.AnyType) and isinstance(_bare(one)[0], mi.AnyType) for one in rest):
            return mi.AnyType(), True
        (only,) = rest
        return _bare(only)[0], len(rest) < len(kind.types)
    return kind, False


def _example(kind: Any) -> Any:
    told = _told_example(kind)
    if told is not None:
        return told
    bare, _ = _bare(kind)
    return EXAMPLES[type(bare)](bare)


def _told_example(kind: Any) -> Any:
    if isinstance(kind, mi.UnionType):
        return next((told for one in kind.types if (told := _told_example(one)) is not None), None)
    if isinstance(kind, mi.Metadata):
        return ((kind.extra_json_schema or {}).get("examples") or [None])[0]
    return None


def _places(struct: mi.StructType, path: Path) -> Iterator[tuple[Path, Any]]:
    """Yield every field, and every item of a list, with its type, however deep."""
    for field in struct.fields:
        yield from _place(field.type, (*path, field.encode_name))


def _place(kind: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    yield path, kind
    bare, _ = _bare(kind)
    if isinstance(bare, mi.StructType):
        yield from _places(bare, path)
    if isinstance(bare, mi.ListType):
        yield from _place(bare.item_type, (*path, 0))


def _objects(struct: mi.StructType, path: Path) -> Iterator[tuple[Path, mi.StructType]]:
    yield path, struct
    for place, kind in _places(struct, path):
        bare, _ = _bare(kind)
        if isinstance(bare, mi.StructType):
            yield place, bare


def _wrong(kind: Any) -> Iterator[tuple[str, bytes, str]]:
    """Yield (what, raw JSON, what the message must name) of values that the type doesn't accept."""
    bare, nullable = _bare(kind)
    if not isinstance(bare, mi.AnyType):
        if not nullable:
            yield "null", b"null", "null"
        yield from ((what, raw, says) for welcome, what, raw, says in STRANGERS if not isinstance(bare, welcome))
        yield from WRONG.get(type(bare), lambda _: ())(bare)


def _wrong_text(kind: mi.StrType) -> Iterator[tuple[str, bytes, str]]:
    yield from (("no text", raw, "") for raw in SURROGATES)
    if kind.min_length:
        yield "empty", b'""', str(kind.min_length)
    if kind.max_length is not None:
        yield "oversize", _encode("x" * (kind.max_length + 1)), str(kind.max_length)
    yield "NUL", rb'"a\u0000b"', "must" if kind.pattern else ""


def _wrong_number(kind: mi.IntType) -> Iterator[tuple[str, bytes, str]]:
    yield from (("text", b'"1"', "str"), ("fraction", b"1.5", "float"), ("exponent", b"1e3", "float"))
    yield from (("enormous", b"1" + b"0" * 400, ""), ("beyond floats", b"1e400", ""))
    if kind.ge is not None:
        yield "too small", str(kind.ge - 1).encode(), str(kind.ge)
    if kind.le is not None:
        yield "too great", str(kind.le + 1).encode(), str(kind.le)


def _wrong_word(_kind: Any) -> Iterator[tuple[str, bytes, str]]:
    yield from (("a word", b'"nonsense"', ""), ("empty", b'""', ""), ("NUL", rb'"\u0000"', ""))


def _wrong_list(kind: mi.ListType) -> Iterator[tuple[str, bytes, str]]:
    if kind.max_length is not None:
        item = _encode(_example(kind.item_type))
        yield "too many", b"[" + b",".join([item] * (kind.max_length + 1)) + b"]", str(kind.max_length)


def _deep(_kind: Any) -> Iterator[tuple[str, bytes, str]]:
    yield "deep", b'{"a":' + b"[" * 5_000 + b"]" * 5_000 + b"}", ""


EXAMPLES: Mapping[type, Callable[[Any], Any]] = {
    mi.StructType: lambda kind: _tag(kind) | {field.encode_name: _example(field.type) for field in kind.fields},
    mi.StrType: lambda kind: "x" * max(1, kind.min_length or 0),
    mi.IntType: lambda kind: max(1, kind.ge or 0),
    mi.BoolType: lambda _: True,
    mi.LiteralType: lambda kind: kind.values[0],
    mi.ListType: lambda kind: [_example(kind.item_type)],
    mi.UUIDType: lambda _: "01890a5d-ac96-774b-bcce-b302099a8057",
    mi.DateTimeType: lambda _: "2030-01-01T00:00:00Z",
    mi.DictType: lambda _: {"any": "thing"},
    mi.AnyType: lambda _: {},
}
STRANGERS: Sequence[tuple[Any, str, bytes, str]] = (
    (mi.StructType | mi.DictType, "an object", b"{}", "object"),
    (mi.ListType, "a list", b"[1]", "array"),
    (mi.BoolType, "a truth", b"true", "bool"),
    (mi.IntType, "a number", b"5", "int"),
)
WRONG: Mapping[type, Callable[[Any], Iterable[tuple[str, bytes, str]]]] = {
    mi.StrType: _wrong_text,
    mi.IntType: _wrong_number,
    mi.LiteralType: _wrong_word,
    mi.UUIDType: _wrong_word,
    mi.DateTimeType: _wrong_word,
    mi.ListType: _wrong_list,
    mi.DictType: _deep,
}


def _tag(kind: mi.StructType) -> dict[str, Any]:
    return {kind.tag_field: kind.tag} if kind.tag_field else {}


def _replaced(value: Any, path: Path, new: Any) -> Any:
    if not path:
        return new
    head, *rest = path
    if isinstance(value, dict):
        return value | {head: _replaced(value.get(head), tuple(rest), new)}
    return [_replaced(item, tuple(rest), new) if index == head else item for index, item in enumerate(value)]


def _at(value: Any, path: Path) -> Any:
    for step in path:
        value = value[step]
    return value


def _added(good: Any, path: Path) -> bytes:
    return _encode(_replaced(good, path, _at(good, path) | {"not_a_field": 1}))


def _without(good: Any, path: Path) -> bytes:
    *parent, name = path
    rest = {key: item for key, item in _at(good, tuple(parent)).items() if key != name}
    return _encode(_replaced(good, tuple(parent), rest))


def _encode(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _pointer(path: Path) -> str:
    return "".join(f"/{step}" for step in path)
