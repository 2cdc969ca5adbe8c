"""Close codes of sockets. 44xx are final until the client changes something; the others invite it back."""

NOT_UNDERSTOOD = 4400
EXPIRED = NOT_AUTHENTICATED = 4401
BAD_ORIGIN = 4403
DEACTIVATED = 4404
AUTH_TIMEOUT = 4408
TOO_MANY = 4429
RESTART = 1012
OVERLOADED = 1013
INTERNAL = 1011
TOO_LARGE = 1009

MEANINGS: dict[int, str] = {
    NOT_UNDERSTOOD: "frames were not understood, repeatedly",
    NOT_AUTHENTICATED: "not authenticated, or the token has expired",
    BAD_ORIGIN: "this origin is not allowed",
    DEACTIVATED: "the user was deactivated",
    AUTH_TIMEOUT: "no `auth` in time",
    TOO_MANY: "too many sockets or frames",
    TOO_LARGE: "a frame is too large",
    INTERNAL: "something went wrong here",
    RESTART: "the server restarts: reconnect with jitter",
    OVERLOADED: "the server has too much to do",
}
"""What each says, as it is published; being too slow says to each endpoint's clients what to do about it."""
