"""How msgspec's JSON schemas are published."""

from typing import Any

SCHEMAS = "#/components/schemas/{name}"
"""Where references lead."""


def ecma(value: Any) -> Any:
    """Write patterns in the dialect of JSON Schema, which knows ^ and $ only, and these as the text's ends."""
    if isinstance(value, dict):
        return {key: _pattern(item) if key == "pattern" else ecma(item) for key, item in value.items()}
    return [ecma(item) for item in value] if isinstance(value, list | tuple) else value


def _pattern(pattern: Any) -> Any:
    return pattern.replace(r"\A", "^").replace(r"\Z", "$") if isinstance(pattern, str) else ecma(pattern)
