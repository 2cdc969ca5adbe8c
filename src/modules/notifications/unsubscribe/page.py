"""The page behind the link: a question and a button, or what came of it. It loads nothing and runs nothing."""

import base64
import hashlib
from collections.abc import Mapping
from html import escape

from modules.notifications.wording.texts import Texts

STYLE = """
:root { color-scheme: light dark; font: 1.125rem/1.5 system-ui, sans-serif; }
main { max-width: 32rem; margin: 15vh auto 0; padding: 0 1.5rem; }
h1 { font-size: 1.5rem; line-height: 1.25; }
button { font: inherit; padding: 0.5rem 1.25rem; cursor: pointer; }
"""
PAGE = """<!DOCTYPE html>
<html lang="{lang}" dir="{dir}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<main>
<h1>{title}</h1>
{content}
</main>
</body>
</html>
"""
FORM = """<p>{question}</p>
<form method="post">
<input type="hidden" name="List-Unsubscribe" value="One-Click">
<button>{button}</button>
</form>"""
"""Posts to the page's own address, wherever a proxy has put it."""
DONE = """<p role="status">{done}</p>
<p>{again}</p>"""
INVALID = "<p>{invalid}</p>"

_STYLE_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""The address holds the token: it is neither kept nor passed on."""


def page(texts: Texts, locale: str | None, content: str) -> str:
    """Return the page in somebody's language. `content`: `FORM`, `DONE` or `INVALID`."""
    language = texts.language(locale)
    keys = ("title", "question", "button", "done", "again", "invalid")
    said = {key: escape(texts.say(locale, f"unsubscribe.{key}")) for key in keys}
    direction = "rtl" if language.right_to_left else "ltr"
    return PAGE.format(
        lang=language.tag, dir=direction, style=STYLE, title=said["title"], content=content.format_map(said)
    )
