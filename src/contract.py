"""What is published about Parley besides its routes and frames."""

from kernel.http.about import About

CONVENTIONS = """
Conversations of a business application: threads, alerts and a provable record.

**Form.** JSON in UTF-8, names in `snake_case`; unknown fields are refused. Times are RFC 3339, in UTC, with
microseconds. Ids are UUIDs, but those of people and contexts: they are the host application's own.

**Refusals** are problem details (RFC 9457). `type` is a path that describes the problem (`/problems/…`) and the one
part to program against; `errors` names each field. What isn't yours looks exactly like what isn't there.

**Pages.** A list answers `items` and `next`; pass `next` as `cursor` to read on, until it is null. `limit` says how
many at most. Messages and logs page by `seq` instead: their places in the channel's log.

**Sending again.** A message's `client_id` makes it safe to send it again. Elsewhere the header `Idempotency-Key` does:
for 24 hours the first answer is given again. After 429 and 503 the header `Retry-After` says when.

**HEAD** is answered wherever `GET` is, with the same headers.
""".strip()

TAGS = {
    "Channels": "Conversations, whatever their kind: the inbox, groups, direct channels and who takes part in them",
    "Contacts": "Who may talk to whom: pins, invitations, contacts and blocks",
    "Contexts": "What the host's people talk about: its bookings and disputes, and who takes part in them",
    "Host Webhooks": "Events for the host: posted to it, signed, until it takes them; bodies under `webhooks`",
    "Identity": "People and their tokens. The host is the authority; Parley keeps what it needs to show and reach them",
    "Messages": "Writing, reading and marking as read; the log behind the messages",
    "Notifications": "How people want to be told of messages while they are away, and the ledger of what was sent",
    "Operation": "For whoever runs Parley",
    "Problems": "What the `type` of a refusal stands for",
    "Search": "Finding messages in one's own channels",
    "Sockets": "What a socket needs before it is opened; the rest is in `/schema/asyncapi.json`",
    "Webhooks": "Called by providers, which sign what they send",
}

SCOPES = {
    "*": "everything that follows",
    "users": "create, replace and deactivate people",
    "tokens": "mint tokens for people",
    "contexts": "make contexts and read them",
    "contacts": "ask who is whose contact",
    "notices": "send notices to people",
    "invites": "keep the texts of invitations",
    "webhooks": "have events posted to addresses of the host's, and see what was",
}

ROLES = {
    "user": "the default: takes part in conversations",
    "admin": "takes part, and sees everybody's deliveries and audits",
    "auditor": "reads audits only",
}


def about(url: str) -> About:
    """Return what the documents of a server at `url` say of it."""
    return About(
        title="Parley",
        version="0.1.0",
        description=CONVENTIONS,
        contact="The people who run this server",
        url=url,
        tags=TAGS,
        scopes=SCOPES,
        roles=ROLES,
    )
