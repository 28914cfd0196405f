"""When a provider says that it takes requests again, as agent CLIs pass it on."""

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

LONGEST = timedelta(days=8)
"""The longest limit that providers set is a week; what lies beyond is a misreading."""

_SPAN = re.compile(
    r"(?:try again|retry|retrying|resets?|available)(?: (?:your request|after|again))?:? ?(?:in|after)?:? "
    r"((?:\d+(?:\.\d+)? ?(?:days?|d|hours?|hrs?|h|minutes?|mins?|m|seconds?|secs?|s|ms)(?![a-z])[, ]{0,2}(?:and )?)+)",
    re.IGNORECASE,
)
_PART = re.compile(r"(\d+(?:\.\d+)?) ?(ms|d|h|m|s)", re.IGNORECASE)
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_RETRY_AFTER = re.compile(r"retry[-_ ]after['\"]?[:=]? ?['\"]?(\d{1,7}(?:\.\d+)?)(?![\d-])", re.IGNORECASE)
_EPOCH = re.compile(r"limit reached\|(\d{10})\b", re.IGNORECASE)
_STAMP = re.compile(
    r"(?:again|resets?|until|retry)\D{0,10}"
    r"(\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d)?(?:Z|[+-]\d\d:?\d\d)?)",
    re.IGNORECASE,
)
_CLOCK = re.compile(
    r"(?:try again|resets?)(?: at)? (\d{1,2})(?::(\d\d))? ?(am|pm)(?: \(([A-Za-z_]+(?:/[A-Za-z_]+)*)\))?", re.IGNORECASE
)


def retry_time(text: str, now: datetime) -> datetime | None:
    """The time a provider names in a sentence of its own; None when it names none that can be.

    A span ("try again in 2 h 5 min"), a Retry-After, a time stamp, or a time of day, which is the next one, in the zone
    that is named or else in this machine's.
    """
    found = _read(text[-4000:], now)
    return found if found is not None and now <= found <= now + LONGEST else None


def _read(text: str, now: datetime) -> datetime | None:
    try:
        if match := _EPOCH.search(text):
            return datetime.fromtimestamp(int(match[1]), UTC)
        if match := _STAMP.search(text):
            stamp = datetime.fromisoformat(match[1])
            return stamp if stamp.tzinfo else stamp.replace(tzinfo=UTC)
        if match := _SPAN.search(text):
            parts = _PART.findall(match[1])
            return now + timedelta(seconds=sum(float(number) * _SECONDS[unit.lower()] for number, unit in parts))
        if match := _RETRY_AFTER.search(text):
            return now + timedelta(seconds=float(match[1]))
        if match := _CLOCK.search(text):
            return _next(int(match[1]) % 12 + 12 * (match[3].lower() == "pm"), int(match[2] or 0), match[4], now)
    except (ValueError, OverflowError, OSError, KeyError):  # a time that is none, a zone nobody knows
        return None
    return None


def _next(hour: int, minute: int, zone: str | None, now: datetime) -> datetime:
    """The next time the clock shows this."""
    there = now.astimezone(ZoneInfo(zone) if zone else None)
    at = there.replace(hour=hour, minute=minute, second=0, microsecond=0)
    return at if at > there else at + timedelta(days=1)
