"""What the documents list is what there is."""

import re
from pathlib import Path

import prometheus_client

import kernel.telemetry.metrics  # noqa: F401 - registers its metrics
import modules.contacts.metrics
import modules.notifications.metrics  # noqa: F401 - likewise
from cli import main
from kernel.settings import Settings, effective, variable

ROOT = Path(__file__).parents[2]
PAGES = {page.relative_to(ROOT): page.read_text() for page in [ROOT / "README.md", *ROOT.glob("docs/**/*.md")]}
OPERATING = PAGES[Path("docs/guides/operating.md")]
UNUSED = "not used yet"


def settings_table() -> dict[str, tuple[str, str]]:
    """Variable → default and description, as documented."""
    rows = re.findall(r"^\| `([A-Z_]+)` \| (?:`(.*?)`)? ?\| (.*) \|$", OPERATING, re.MULTILINE)
    assert len(rows) == len({name for name, _, _ in rows})
    return {name: (default, description) for name, default, description in rows}


def test_every_setting_is_documented_with_its_default() -> None:
    documented = {name: default for name, (default, _) in settings_table().items()}
    assert documented == effective(Settings())


def test_settings_without_effect_are_said_to_have_none() -> None:
    sources = [file for file in (ROOT / "src").rglob("*.py") if "demo" not in file.parts]
    code = "\n".join(file.read_text() for file in sources if file.name != "settings.py")
    unused = {
        variable(name)
        for name in Settings.__struct_fields__
        if name != "env" and not re.search(rf"settings\.{name}\b", code)
    }
    assert {name for name, (_, text) in settings_table().items() if UNUSED in text} == unused


def test_every_metric_is_documented_and_there() -> None:
    there = {name for family in prometheus_client.REGISTRY.collect() for name in (family.name, f"{family.name}_total")}
    ours = {family.name for family in prometheus_client.REGISTRY.collect() if family.name.startswith("parley_")}
    documented = set(re.findall(r"`(parley_[a-z_]+)`", OPERATING)) - {"parley_runtime"}
    assert documented <= there
    assert {name.removesuffix("_total") for name in documented} == ours


def test_every_command_that_is_named_exists() -> None:
    named = {command for text in PAGES.values() for command in re.findall(r"(?:`|bin/)parley ([a-z-]+)", text)}
    assert named - set(main.commands) == set()
    assert {"serve", "keys", "token"} <= named


def test_links_lead_somewhere() -> None:
    missing = [
        f"{page}: {target}"
        for page, text in PAGES.items()
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", text)
        if not (ROOT / page.parent / target).exists()
    ]
    assert missing == []
