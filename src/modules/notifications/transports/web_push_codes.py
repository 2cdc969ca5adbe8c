"""What push services answer (RFC 8030; Mozilla's, Google's and Apple's own pages), and what follows for us."""

from typing import Literal

import msgspec

from kernel.egress.client import Answer

SUCCESS = range(200, 300)
GONE = frozenset({404, 410})
BUSY = frozenset({429, 503})
SERVER_ERRORS = range(500, 600)
OTHER_KEY = (b"vapidpkhashmismatch", b"vapid public key mismatch", b"do not correspond", b"mismatchsenderid")
"""How Apple, Mozilla and Google say that this browser is subscribed to another VAPID key than ours."""

Verdict = Literal["accepted", "gone", "busy", "ambiguous", "refused"]


class Reply(msgspec.Struct, frozen=True):
    """What became of one browser's message. `reason` is for the ledger; `retry_after_s` as the service says."""

    verdict: Verdict
    reason: str = ""
    retry_after_s: float | None = None


def reply(answer: Answer, retry_after_s: float | None) -> Reply:
    """Read an answer. `retry_after_s`: what its header says.

    A refusal never holds up the whole transport, also where it reads as if our key or token were at fault: a person
    chooses which endpoint we call, and nobody may silence push for all others by an endpoint that answers 401.
    """
    status = answer.status
    if status in SUCCESS:
        return Reply("accepted")
    if status in GONE:
        return Reply("gone", f"push_{status}")
    if status in {401, 403} and any(said in answer.body.lower() for said in OTHER_KEY):
        return Reply("gone", "push_other_key")
    if status in BUSY:
        return Reply("busy", f"push_{status}", retry_after_s)
    if status in SERVER_ERRORS:
        return Reply("ambiguous", f"http_{status}")
    return Reply("refused", f"push_{status}")
