"""`Retry-After`, in both of its forms, and whatever else is sent."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel.egress.retry_after import retry_after_s

NOW = datetime(2026, 6, 3, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("0", 0),
        (" 120 ", 120),
        ("9" * 30, 999_999_999),
        ("Wed, 03 Jun 2026 12:01:30 GMT", 90),
        ("Wed, 03 Jun 2026 11:00:00 GMT", 0),
        ("Wednesday, 03-Jun-26 12:01:00 GMT", 60),
        ("", None),
        ("-5", None),
        ("1.5", None),
        ("soon", None),
        ("٣", None),
        ("Wed, 99 Jun 2026 12:01:30 GMT", None),
    ],
)
def test_both_forms_are_read(value: str | None, seconds: float | None) -> None:
    assert retry_after_s(value, NOW) == seconds


@given(st.text(max_size=60))
def test_anything_else_is_passed_over(value: str) -> None:
    assert (retry_after_s(value, NOW) or 0) >= 0
