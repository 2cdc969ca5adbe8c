"""Our texts, and catalogues that a test writes."""

from collections.abc import Callable
from pathlib import Path

import pytest

from kernel.settings import Settings
from modules.notifications.wording.texts import Texts, our_entries, texts_of

HEADER = 'msgid ""\nmsgstr "Content-Type: text/plain; charset=UTF-8\\n"\n\n'


@pytest.fixture(scope="session")
def texts() -> Texts:
    return Texts(our_entries())


@pytest.fixture
def overridden(tmp_path: Path) -> Callable[..., Texts]:
    """Makes texts with catalogues of a host: `overridden(fr='…')`, or by the names of files."""

    def make(files: dict[str, str] | None = None, **languages: str) -> Texts:
        for name, text in {**(files or {}), **{f"{tag}.po": text for tag, text in languages.items()}}.items():
            (tmp_path / name).write_text(text if text.startswith(HEADER[:8]) else HEADER + text, encoding="utf-8")
        return texts_of(Settings(texts_dir=tmp_path))

    return make
