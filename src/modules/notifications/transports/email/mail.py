"""What a mail looks like: its headers, a text and the same as HTML.

Sources: RFC 5322 (threads), RFC 3834 (automatic mail isn't answered), RFC 2369 and RFC 8058 (unsubscribing).
"""

from collections.abc import Mapping
from datetime import datetime
from email.header import Header
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import EmailPolicy
from html import escape
from typing import Any
from urllib.parse import quote

from kernel.smtp_url import Mailbox, SmtpServer
from modules.notifications.ports import Category
from modules.notifications.transports import Outgoing
from modules.notifications.wording.texts import Texts

LONGEST_WORD = 75
"""Of an encoded word: RFC 2047, 2."""
AS_THEY_ARE = frozenset({"list-unsubscribe", "references", "in-reply-to", "message-id"})
THREADS: Mapping[Category, str] = {"messages": "channel", "invites": "invite"}
"""What mails of one thread refer to, though it was never sent: so mail programs show them together."""
AROUND: Mapping[Category, Mapping[str, str]] = {
    "messages": {"open": "email.open", "why": "email.why", "unsubscribe": "email.unsubscribe"},
    "invites": {"open": "email.open_invite", "why": "email.why_invite", "unsubscribe": "email.unsubscribe"},
}
"""The texts around the line."""
PAGE = """<!DOCTYPE html>
<html lang="{lang}" dir="{dir}">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{text}</title></head>
<body style="margin:0;padding:24px;font:16px/1.5 sans-serif;color:#1a1a1a;background:#fff">
<p>{text}</p>
<p><a href="{link}">{open}</a></p>
<p style="margin-top:32px;font-size:13px;color:#595959">{why}
<a href="{off}" style="color:#595959">{unsubscribe}</a></p>
</body>
</html>
"""


class _Policy(EmailPolicy):
    """Folds what the standard library's policy would spoil: it encodes long ids and links as if they were words."""

    def fold_binary(self, name: str, value: Any) -> bytes:
        text = str(value)
        if name.lower() == "subject":
            charset = "us-ascii" if text.isascii() else "utf-8"
            text = Header(text, charset, header_name=name, maxlinelen=LONGEST_WORD).encode(linesep=self.linesep)
        elif name.lower() not in AS_THEY_ARE:
            return super().fold_binary(name, value)
        return f"{name}: {text}{self.linesep}".encode("ascii")


def compose(message: Outgoing, server: SmtpServer, to: Address, off: str, texts: Texts, now: datetime) -> EmailMessage:
    """Write a mail.

    Args:
        message: what it is about.
        server: whose mail it is.
        to: who gets it.
        off: the link that unsubscribes them.
        texts: for the words around the alert's own.
        now: its date.
    """
    domain = server.sender.domain
    mail = EmailMessage(_Policy(cte_type="7bit"))
    mail["From"] = _shown(server.sender)
    mail["To"] = to
    if server.reply_to is not None:
        mail["Reply-To"] = _shown(server.reply_to)
    mail["Subject"] = message.words.text
    mail["Date"] = now
    mail["Message-ID"] = message_id(message, server)
    if message.thread_id is not None:
        mail["In-Reply-To"] = mail["References"] = f"<{THREADS[message.category]}.{message.thread_id}@{domain}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail["X-Auto-Response-Suppress"] = "DR, RN, NRN, OOF, AutoReply"
    mail["List-Unsubscribe"] = ", ".join([f"<{off}>", *_by_mail(server.unsubscribe)])
    if off.startswith("https://"):
        mail["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    _write(mail, message, off, texts)
    mail["Content-Language"] = message.words.locale  # last: what is there before goes with the text into its part
    return mail


def written(mail: EmailMessage, *, utf8: bool) -> bytes:
    """Return a mail as it goes over the line: in seven bits, but for an address that has more."""
    return mail.as_bytes(policy=_Policy(linesep="\r\n", cte_type="7bit", utf8=utf8))


def message_id(message: Outgoing, server: SmtpServer) -> str:
    """Return the id of a mail: the same for the same attempt at the same delivery, and for nothing else."""
    return f"<{message.delivery_id}.{message.attempt}@{server.sender.domain}>"


def _write(mail: EmailMessage, message: Outgoing, off: str, texts: Texts) -> None:
    words = message.words
    said = {name: texts.say(words.locale, key) for name, key in AROUND[message.category].items()}
    mail.set_content(
        f"{words.text}\n\n{said['open']}:\n{words.link}\n\n-- \n{said['why']}\n{said['unsubscribe']}:\n{off}\n"
    )
    direction = "rtl" if texts.language(words.locale).right_to_left else "ltr"
    shown = said | {"lang": words.locale, "dir": direction, "text": words.text, "link": words.link, "off": off}
    mail.add_alternative(PAGE.format_map({name: escape(value) for name, value in shown.items()}), subtype="html")


def _shown(mailbox: Mailbox) -> Address:
    return Address(mailbox.name, addr_spec=mailbox.address)


def _by_mail(mailbox: Mailbox | None) -> list[str]:
    return [] if mailbox is None else [f"<mailto:{quote(mailbox.address, safe='@')}?subject=unsubscribe>"]
