"""Examples for the published documents, made from the types that decode and encode the traffic.

An example comes from the type's own `Meta(examples=…)`, else from what its field's name means in the contract (see
`words`), else from the type where any of its values is as good as another: a choice, a truth, a time.

Guarantees: the same types give the same examples in every process, and an example is valid for its type.
"""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import msgspec.inspect as mi

from kernel.errors import NotFoundError, Problem
from kernel.http.words import BY_NAME, CHOICES, MESSAGE_ID, MOMENT, OF_FIELDS, SELDOM

REQUEST_ID = "019c1355-8e1f-7a44-b0c7-5d2e9f8a6b13"
WHOLE: Mapping[type, Any] = {Problem: msgspec.to_builtins(NotFoundError().problem(REQUEST_ID))}
"""Structs whose fields belong together."""


def example(kind: Any, name: str = "", *, full: bool = False) -> Any:
    """Return a JSON value that the type accepts.

    Args:
        kind: the type; a Struct is written with its tag.
        name: the name that it has outside: of a field or parameter.
        full: with every field, also those that exclude each other or are for special states.
    """
    return _Maker(full=full).of(mi.type_info(kind), name)


def guessed(kind: Any) -> list[str]:
    """Return the fields (`Struct.field`) for which neither type nor name has an example."""
    maker = _Maker(full=True)
    maker.of(mi.type_info(kind), "")
    return maker.guessed


class _Maker:
    def __init__(self, *, full: bool) -> None:
        self._full = full
        self._owner: type = object
        self.guessed: list[str] = []

    def of(self, kind: Any, name: str) -> Any:
        if (told := _of_field(self._owner, name) or _told(kind)) is not None:
            return told
        kind = _bare(kind)
        for meant in CHOICES.get(name, (BY_NAME.get(name),)):
            if _fits(kind, meant):
                return meant
        if isinstance(kind, mi.StructType):
            return self._object(kind)
        if isinstance(kind, mi.ListType | mi.VarTupleType | mi.TupleType):
            return [self.of(one, "") for one in _items(kind)]
        if (make := BY_TYPE.get(type(kind))) is not None:
            return make(kind)
        self.guessed.append(f"{self._owner.__name__}.{name}")
        return LAST_RESORT.get(type(kind), {})

    def _object(self, kind: mi.StructType) -> Any:
        if kind.cls in WHOLE:
            return WHOLE[kind.cls]
        outer, self._owner = self._owner, kind.cls
        made = {} if kind.tag_field is None else {kind.tag_field: kind.tag}
        made |= {field.encode_name: self._field(field) for field in kind.fields if self._shown(field)}
        self._owner = outer
        return made

    def _shown(self, field: mi.Field) -> bool:
        return field.required or not self._is_seldom(field)

    def _is_seldom(self, field: mi.Field) -> bool:
        said = _of_field(self._owner, field.encode_name)
        names = {field.encode_name, *(f"{base.__name__}.{field.encode_name}" for base in self._owner.__mro__)}
        return not self._full and not names.isdisjoint(SELDOM) and said is None

    def _field(self, field: mi.Field) -> Any:
        if self._is_seldom(field) and _nullable(field.type):
            return None
        if isinstance(field.default, str | int | float):
            return field.default
        return self.of(field.type, field.encode_name)


def _of_field(owner: type, name: str) -> Any:
    return next((OF_FIELDS[key] for base in owner.__mro__ if (key := f"{base.__name__}.{name}") in OF_FIELDS), None)


def _told(kind: Any) -> Any:
    if isinstance(kind, mi.UnionType):
        return next((told for one in kind.types if (told := _told(one)) is not None), None)
    if isinstance(kind, mi.Metadata):
        return ((kind.extra_json_schema or {}).get("examples") or [None])[0]
    return None


def _bare(kind: Any) -> Any:
    """Return the type without metadata and null; of several the first."""
    while isinstance(kind, mi.Metadata | mi.UnionType):
        kind = kind.type if isinstance(kind, mi.Metadata) else _present(kind)[0]
    return kind


def _items(kind: mi.ListType | mi.VarTupleType | mi.TupleType) -> tuple[Any, ...]:
    return kind.item_types if isinstance(kind, mi.TupleType) else (kind.item_type,)


def _present(kind: mi.UnionType) -> list[Any]:
    return [one for one in kind.types if not isinstance(one, mi.NoneType)]


def _nullable(kind: Any) -> bool:
    return isinstance(kind, mi.UnionType) and len(_present(kind)) < len(kind.types)


def _fits(kind: Any, value: Any) -> bool:
    """Whether what the name says can be of this type: names are shared by choices and plain texts."""
    if isinstance(kind, mi.LiteralType):
        return value in kind.values
    if isinstance(value, bool):
        return isinstance(kind, mi.BoolType)
    return isinstance(value, JSON_OF.get(type(kind), ()))


JSON_OF: Mapping[type, Any] = {
    mi.StrType: str,
    mi.UUIDType: str,
    mi.DateTimeType: str,
    mi.IntType: int,
    mi.FloatType: (int, float),
    mi.ListType: list,
    mi.DictType: dict,
}
BY_TYPE: Mapping[type, Callable[[Any], Any]] = {
    mi.LiteralType: lambda kind: kind.values[0],
    mi.EnumType: lambda kind: next(iter(kind.cls)).value,
    mi.BoolType: lambda _: False,
    mi.UUIDType: lambda _: MESSAGE_ID,
    mi.DateTimeType: lambda _: MOMENT,
}
LAST_RESORT: Mapping[type, Any] = {mi.StrType: "text", mi.IntType: 1, mi.FloatType: 1.0}
