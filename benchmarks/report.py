"""The report: one row a figure, ratios first, each beside its target; as Markdown and as JSON."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median

HEAD = "| | ratio | target | | Parley | measured against | also |\n|---|---|---|---|---|---|---|"
THOUSANDS_FROM = 1000


@dataclass(frozen=True)
class Row:
    """A figure. `ratio` is the median of the rounds' ratios, each against the baseline of the same round."""

    part: str
    what: str
    value: float
    unit: str
    ratio: float | None = None
    baseline: float | None = None
    against: str = ""
    target: str = ""
    met: bool | None = None
    also: dict[str, float | str] = field(default_factory=dict)
    rounds: list[float] = field(default_factory=list)


def ratios(values: Sequence[float], baselines: Sequence[float]) -> float:
    """Return the median of the rounds' ratios."""
    return median(value / baseline for value, baseline in zip(values, baselines, strict=True))


def compared(
    part: str,
    what: str,
    values: Sequence[float],
    baselines: Sequence[float],
    *,
    unit: str,
    against: str,
    at_least: float | None = None,
    also: Mapping[str, float | str] | None = None,
) -> Row:
    """Return a row that compares rounds with the baseline's rounds; `at_least` is the ratio to reach."""
    ratio = ratios(values, baselines)
    return Row(
        part=part,
        what=what,
        value=median(values),
        unit=unit,
        ratio=ratio,
        baseline=median(baselines),
        against=against,
        target="" if at_least is None else f"≥ {at_least:g} ×",
        met=None if at_least is None else ratio >= at_least,
        also=dict(also or {}),
        rounds=list(values),
    )


def limited(part: str, what: str, values: Sequence[float], *, unit: str, at_most: float) -> Row:
    """Return a row whose median may be `at_most` that much."""
    value = median(values)
    return Row(part, what, value, unit, target=f"≤ {at_most:g}", met=value <= at_most, rounds=list(values))


def plain(
    part: str, what: str, values: Sequence[float], *, unit: str, also: Mapping[str, float | str] | None = None
) -> Row:
    """Return a row without a target."""
    return Row(part, what, median(values), unit, also=dict(also or {}), rounds=list(values))


def skipped(part: str, what: str, why: str) -> Row:
    """Return a row that says what wasn't measured, and why."""
    return Row(part, what, 0, "", against=f"**not measured: {why}**")


def failed(part: str, error: Exception) -> Row:
    """Return a row that says that a part has no figures, because something is wrong."""
    return Row(part, "everything", 0, "", against=f"**failed: {type(error).__name__}: {error}**", met=False)


def markdown(rows: Sequence[Row], facts: Mapping[str, str], title: str) -> str:
    """Return the whole report."""
    lines = [f"# {title}", ""]
    for part in dict.fromkeys(row.part for row in rows):
        lines += [f"## {part}", "", HEAD, *(_line(row) for row in rows if row.part == part), ""]
    lines += ["## Machine", "", *(f"- {name}: {value}" for name, value in facts.items()), ""]
    return "\n".join(lines)


def write(rows: Sequence[Row], facts: Mapping[str, str], title: str, folder: Path) -> str:
    """Write `benchmark.md` and `benchmark.json` into `folder`; returns the Markdown."""
    folder.mkdir(parents=True, exist_ok=True)
    text = markdown(rows, facts, title)
    (folder / "benchmark.md").write_text(text)
    document = {"title": title, "machine": dict(facts), "rows": [asdict(row) for row in rows]}
    (folder / "benchmark.json").write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
    return text


def missed(rows: Sequence[Row]) -> list[Row]:
    """Return the rows below their target."""
    return [row for row in rows if row.met is False]


def _line(row: Row) -> str:
    mark = {True: "pass", False: "**miss**", None: ""}[row.met]
    ratio = "" if row.ratio is None else f"**{row.ratio:.2f} ×**"
    value = f"{number(row.value)} {row.unit}" if row.unit else ""
    against = f"{number(row.baseline)} ({row.against})" if row.baseline is not None else row.against
    also = ", ".join(f"{name} {text if isinstance(text, str) else number(text)}" for name, text in row.also.items())
    return f"| {row.what} | {ratio} | {row.target} | {mark} | {value} | {against} | {also} |"


def number(value: float) -> str:
    """Return a number with as many digits as are worth reading."""
    if abs(value) >= THOUSANDS_FROM:
        return f"{value:,.0f}"
    return f"{value:.3g}"
