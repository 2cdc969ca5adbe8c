"""Somebody with no other address gets a mail through a real server, ends that with one click, and gets no more."""

from contextlib import closing
from pathlib import Path
from urllib.parse import quote
from uuid import uuid4

import httpx

from tests.journeys.test_sms import until
from tests.support.servers import Host, Server, running_server
from tests.support.smtp_server import PASSWORD, USER, smtp_server

ADDRESS = "bo@people.example"
PUBLIC_URL = "https://parley.example/chat"


async def test_a_mail_and_then_no_more(dsn: str, tmp_path: Path) -> None:
    async with smtp_server(auth=True) as post:
        login = f"{quote(USER)}:{quote(PASSWORD, safe='')}"
        email_settings = {
            "PARLEY_SMTP_URL": f"smtp://{login}@127.0.0.1:{post.port}?from=Parley%20%3Cno-reply@shop.example%3E",
            "PARLEY_EMAIL_DELAY_S": "1.5",
            "PARLEY_PUBLIC_URL": PUBLIC_URL,
            "PARLEY_DEFAULT_QUIET_HOURS": "00:00-00:00",
        }
        with running_server(dsn, tmp_path, **email_settings) as server:
            host = Host(server, server.cli("keys", "create", "tests"))
            ana, bo = host.user("ana"), host.user("bo", email=ADDRESS, locale="fr-CA", time_zone="Europe/Paris")
            host.context("b1", {"ana": "worker", "bo": "supervisor"})
            with closing(host.http), host.person(ana) as writer, host.person(bo) as reader:
                for text in ("first secret", "second secret"):
                    say(writer, text)
                [mail] = await until(lambda: list(post.mails))
                assert mail.recipients == [ADDRESS]
                assert mail.message["Subject"] == "Ana vous a envoyé 2 nouveaux messages"
                assert f"{PUBLIC_URL}/channels/" in mail.part("plain")
                assert "secret" not in mail.raw.decode()
                await until(lambda: ("email", "accepted", None) in ledger(reader))

                link = mail.message["List-Unsubscribe"].strip("<>")
                assert mail.message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
                assert link.startswith(f"{PUBLIC_URL}/api/notifications/unsubscribe?token=")
                assert "Se désabonner" in click(server, "GET", link)
                assert "Vous ne recevrez plus d’e-mails" in click(server, "POST", link)
                say(writer, "third secret")
                await until(lambda: ("email", "suppressed", "preferences") in ledger(reader))
                assert len(post.mails) == 1
        log = server.log.read_text()
        for secret in (ADDRESS, "secret", PASSWORD, quote(PASSWORD, safe=""), link.partition("token=")[2]):
            assert secret not in log


def say(writer: httpx.Client, text: str) -> None:
    """Write into the booking."""
    body = {"client_id": str(uuid4()), "content": text}
    writer.post("/api/contexts/booking/b1/messages", json=body).raise_for_status()


def ledger(reader: httpx.Client) -> list[tuple[str, str, str | None]]:
    """Return (transport, state, reason) of somebody's deliveries."""
    items = reader.get("/api/notifications/deliveries").json()["items"]
    return [(row["transport"], row["state"], row["reason"]) for row in items]


def click(server: Server, method: str, link: str) -> str:
    """Follow a link as a mail program does, past the proxy that strips the public URL's path."""
    at = link.replace(PUBLIC_URL, server.url)
    answer = httpx.request(
        method, at, data={"List-Unsubscribe": "One-Click"} if method == "POST" else None, trust_env=False
    )
    return answer.raise_for_status().text
