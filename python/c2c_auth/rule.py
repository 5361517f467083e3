"""The caller's rule: after which error which pause, and what a token is worth that comes back.

It has no clock: times come in, in seconds. It never calls, waits or prints. The crate c2c-auth-client has the same, and tests hold
both against the table of docs/uploader.md.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One row of the table."""

    why: str
    # The last words of the errors' names.
    errors: tuple[str, ...]
    # Seconds: the first pause, which doubles, and the longest. None: no timer ends it.
    pause: tuple[int, int] | None
    # News ends the pause: another token, or another owner of the daemon's name.
    until_news: bool

    @property
    def final(self) -> bool:
        """No call follows."""
        return self.pause is None and not self.until_news


ROWS = (
    Row("not-paired", ("NotPaired",), None, True),
    Row("no-token", ("Offline", "ClockNotSet", "ServerError", "StorageFailed", "Timeout", "Failed"), (5, 60), True),
    Row("too-often", ("LimitsExceeded",), (1, 60), False),
    Row("not-accepted", ("ClientRejected", "NotProvisioned"), (3600, 3600), True),
    Row("refused", ("AccessDenied", "InvalidArgs"), None, False),
    Row("no-daemon", ("ServiceUnknown", "NameHasNoOwner", "NoReply", "TimedOut"), (5, 60), True),
    Row("no-bus", ("Disconnected",), None, False),
)

# A rejected token that came back is good for a request after this pause.
SAME_TOKEN = (2, 60)


def row_of(name: str) -> Row:
    """The row of an error, by its whole name. A newer daemon's word is one that passes."""
    if name.startswith(("org.freedesktop.DBus.Error.Spawn.", "org.freedesktop.systemd1.")):
        name = "ServiceUnknown"
    last = name.rsplit(".", 1)[-1]
    return next((row for row in ROWS if last in row.errors), ROWS[1])


def doubled(pause: tuple[int, int], times: int) -> int:
    """The pause after so many failures more than one."""
    first, longest = pause
    return min(first << min(times, 16), longest)


class Rule:
    """What holds now."""

    def __init__(self) -> None:
        self.row: Row | None = None
        self._failures = 0
        self._failed_at = 0.0
        self._rejected: int | None = None
        self._rejections = 0
        self._not_before: float | None = None

    def failed(self, now: float, row: Row) -> None:
        """The answer to a call for a token was an error."""
        self._failures = self._failures + 1 if self.row is row else 0
        self.row, self._failed_at = row, now

    def served(self, now: float, generation: int) -> float | None:
        """The answer was a token. Returns until when no request may be made with it."""
        self.row = None
        if generation != self._rejected:
            self._rejected = self._not_before = None
            return None
        if self._not_before is None:
            self._not_before = now + doubled(SAME_TOKEN, self._rejections)
        return self._not_before if self._not_before > now else None

    def rejected(self, now: float, generation: int) -> None:
        """The API answered 401 to this one. Several answers to one token count once."""
        if self._rejected is None or generation > self._rejected:
            self._rejected, self._rejections, self._not_before = generation, 0, None
        elif generation == self._rejected and self._not_before is not None and self._not_before <= now:
            self._rejections += 1
            self._not_before = None

    def next_call(self) -> float | None:
        """When a timer allows the next call; None: never."""
        if self.row is None:
            return 0.0
        return None if self.row.pause is None else self._failed_at + doubled(self.row.pause, self._failures)
