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
