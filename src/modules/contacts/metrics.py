"""What operators watch of contacts."""

from prometheus_client import Counter

INVITES_FALLEN_DUE = Counter(
    "parley_invites_fallen_due_total",
    "Invitations that expired, or that the invitee was reminded of without the invitor's doing",
    ["what"],
)
