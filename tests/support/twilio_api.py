"""What Twilio's public API documents of creating a message, as checks of a request.

Source: https://www.twilio.com/docs/messaging/api/message-resource (Create a Message resource) and the pages of the
error codes under https://www.twilio.com/docs/api/errors. The test server refuses what isn't documented, or is out of
range, with the code that Twilio gives for it; `20001` is its "invalid parameter", where there is no closer one.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from urllib.parse import urlsplit

import msgspec

E164 = re.compile(r"\A\+[1-9][0-9]{6,14}\Z")
SENDER = re.compile(r"\A(\+[1-9][0-9]{6,14}|[0-9]{3,8}|(?=.*[A-Za-z])[A-Za-z0-9 +\-_&]{1,11})\Z")
"""A number, a short code, or an alphanumeric sender id."""
HOST = re.compile(r"\A(?!-)[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*\Z")
"""A host name of a callback: no underscores."""
LONGEST_BODY = 1600
LONGEST_CALLBACK = 4000
LONGEST_VALIDITY_S = 36_000
MOST_MEDIA = 10
INVALID = 20001

Values = Sequence[str]


class Refusal(msgspec.Struct, frozen=True):
    """An error of Twilio's."""

    code: int
    message: str
    status: int = 400

    def body(self) -> dict[str, object]:
        """The JSON that Twilio answers with."""
        more = f"https://www.twilio.com/docs/errors/{self.code}"
        return {"code": self.code, "message": self.message, "more_info": more, "status": self.status}


def _sid(prefix: str) -> Callable[[str], bool]:
    return lambda value: re.fullmatch(prefix + "[0-9a-fA-F]{32}", value) is not None


def _one_of(*values: str) -> Callable[[str], bool]:
    return lambda value: value in values


def _callback(value: str) -> bool:
    url = urlsplit(value)
    return (
        len(value) <= LONGEST_CALLBACK
        and url.scheme in {"http", "https"}
        and HOST.match(url.hostname or "") is not None
        and re.fullmatch(r"[\x21-\x7e]*", value) is not None
    )


def _integer(lowest: int, highest: int) -> Callable[[str], bool]:
    return lambda value: re.fullmatch("[0-9]{1,9}", value) is not None and lowest <= int(value) <= highest


_boolean = _one_of("true", "false", "True", "False")


def _anything(_: str) -> bool:
    return True


PARAMETERS: Mapping[str, tuple[Callable[[str], bool], int]] = {
    "To": (lambda value: E164.match(value) is not None, 21211),
    "From": (lambda value: SENDER.match(value) is not None, 21212),
    "FallbackFrom": (lambda value: SENDER.match(value) is not None, 21212),
    "MessagingServiceSid": (_sid("MG"), 21701),
    "Body": (lambda value: len(value) <= LONGEST_BODY, 21617),
    "MediaUrl": (_callback, 21620),
    "ContentSid": (_sid("HX"), 21655),
    "ContentVariables": (_anything, 21656),
    "StatusCallback": (_callback, 21609),
    "ApplicationSid": (_sid("AP"), INVALID),
    "MaxPrice": (lambda value: re.fullmatch(r"[0-9]+(\.[0-9]+)?", value) is not None, INVALID),
    "ProvideFeedback": (_boolean, INVALID),
    "Attempt": (_integer(1, 10), INVALID),
    "ValidityPeriod": (_integer(1, LONGEST_VALIDITY_S), 21624),
    "ForceDelivery": (_boolean, INVALID),
    "ContentRetention": (_one_of("retain", "discard"), INVALID),
    "AddressRetention": (_one_of("retain", "obfuscate"), INVALID),
    "SmartEncoded": (_boolean, INVALID),
    "PersistentAction": (_anything, INVALID),
    "TrafficType": (_one_of("free"), INVALID),
    "ShortenUrls": (_boolean, INVALID),
    "ScheduleType": (_one_of("fixed"), INVALID),
    "SendAt": (lambda value: re.match(r"\A\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", value) is not None, INVALID),
    "SendAsMms": (_boolean, INVALID),
    "MessageIntent": (
        _one_of(
            *("otp", "notifications", "marketing", "fraud", "security", "customercare", "delivery"),
            *("education", "polling", "announcements", "events"),
        ),
        INVALID,
    ),
    "RiskCheck": (_one_of("enable", "disable"), INVALID),
}
"""The documented parameters, what they may be, and the code for what they may not."""

LISTS = {"MediaUrl", "PersistentAction"}


def refusal(form: Mapping[str, Values]) -> Refusal | None:
    """Return what Twilio refuses a request with; None for one that it takes."""
    for name, values in form.items():
        if name not in PARAMETERS:
            return Refusal(INVALID, f"Parameter '{name}' is not valid")
        allowed, code = PARAMETERS[name]
        if (len(values) > 1 and name not in LISTS) or len(values) > MOST_MEDIA or not all(map(allowed, values)):
            return Refusal(code, f"Invalid '{name}'")
    return _missing(form)


def _missing(form: Mapping[str, Values]) -> Refusal | None:
    if "To" not in form:
        return Refusal(21604, "A 'To' phone number is required.")
    if not form.keys() & {"From", "MessagingServiceSid"}:
        return Refusal(21603, "A 'From' phone number is required.")
    if not form.keys() & {"MediaUrl", "ContentSid"} and not form.get("Body", [""])[0].strip():
        return Refusal(21602, "Message body is required.")
    if "ShortenUrls" in form and "MessagingServiceSid" not in form:
        return Refusal(INVALID, "'ShortenUrls' needs 'MessagingServiceSid'")
    return None
