"""A token for each request to the API. It listens before it asks, keeps no token and prints nothing."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

from dbus_fast import BusType, Message, MessageType
from dbus_fast.aio import MessageBus

from .rule import Rule, Row, row_of

NAME = "org.cameratocloud.Auth1"
PATH = "/org/cameratocloud/Auth1"
INTERFACES = tuple(f"{NAME}.{part}" for part in ("Pairing", "Tokens", "Device"))
TOKENS = INTERFACES[1]
# The daemon answers within 20 s.
CALL_LIMIT = 25.0


@dataclass(frozen=True)
class Token:
    """A bearer token. Use it for one request, and never log or store it."""

    access_token: str = field(repr=False)
    expires_in: int
    generation: int


class TokenError(Exception):
    """There is no token now. `final`: every further call gives this error, at once."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__(text)
        self.name = name
        self.row: Row = row_of(name)

    @property
    def final(self) -> bool:
        return self.row.final

    @property
    def for_a_person(self) -> bool:
        """A person has to act. It comes once an hour, so each can be told."""
        return self.row.why in ("not-accepted", "refused")


class Connection:
    """A connection to the bus that knows when it is lost."""

    def __init__(self, bus: MessageBus) -> None:
        self.bus = bus
        self.lost = asyncio.ensure_future(bus.wait_for_disconnect())
        self.lost.add_done_callback(self._close)

    def _close(self, lost: asyncio.Future) -> None:
        # dbus-fast leaves the socket of a lost connection open. The exception is told by `call`.
        if not lost.cancelled() and lost.exception():
            self.bus.disconnect()

    async def call(
        self, interface: str, member: str, signature: str = "", *body: Any, destination: str = NAME, path: str = PATH
    ) -> list[Any]:
        """One call, for 25 s at most. Raises TokenError with the name of the bus's error."""
        message = Message(
            destination=destination, path=path, interface=interface, member=member, signature=signature, body=list(body)
        )
        if not self.bus.connected or self.lost.done():
            raise TokenError("Disconnected", "the bus is gone")
        answer = asyncio.ensure_future(self.bus.call(message))
        try:
            await asyncio.wait({self.lost, answer}, timeout=CALL_LIMIT, return_when=asyncio.FIRST_COMPLETED)
            if not answer.done():
                if self.lost.done():
                    raise TokenError("Disconnected", "the bus is gone")
                raise TokenError("NoReply", "the daemon does not answer")
            reply = answer.result()
        except (OSError, EOFError) as error:
            raise TokenError("Disconnected", str(error)) from error
        finally:
            answer.cancel()
        if reply.message_type is MessageType.ERROR:
            raise TokenError(reply.error_name, str(reply.body[0]) if reply.body else reply.error_name)
        return reply.body


async def connect(address: str | None = None) -> Connection:
    """A connection to the system bus, or to the bus at this address."""
    return Connection(await MessageBus(bus_address=address, bus_type=BusType.SYSTEM).connect())


class TokenSource:
    """Tokens on one connection, which the daemon knows its caller by. Share it between tasks."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._rule = Rule()
        self._turn = asyncio.Lock()
        self._news = asyncio.Event()
        self._owner = ""
        self._last: TokenError | None = None

    @classmethod
    async def on(cls, connection: Connection) -> "TokenSource":
        """Listens to the daemon, which may be down."""
        source = cls(connection)
        connection.bus.add_message_handler(source._hear)
        for rule in (
            f"type='signal',sender='{NAME}',interface='{TOKENS}',member='AccessTokenChanged'",
            f"type='signal',sender='org.freedesktop.DBus',member='NameOwnerChanged',arg0='{NAME}'",
        ):
            await source._ask_bus("AddMatch", "s", rule)
        try:
            source._owner = (await source._ask_bus("GetNameOwner", "s", NAME))[0]
        except TokenError:
            pass  # Nobody owns it yet.
        return source

    async def _ask_bus(self, member: str, signature: str, *body: Any) -> list[Any]:
        bus = "org.freedesktop.DBus"
        return await self._connection.call(bus, member, signature, *body, destination=bus, path="/org/freedesktop/DBus")

    def _hear(self, message: Message) -> None:
        if message.message_type is not MessageType.SIGNAL:
            return
        # A bus delivers a signal that names its receiver, whoever sends it.
        if message.member == "NameOwnerChanged" and message.sender == "org.freedesktop.DBus" and message.body[0] == NAME:
            self._owner = message.body[2]
            if self._owner:
                self._news.set()
        elif message.member == "AccessTokenChanged" and message.interface == TOKENS and message.sender == self._owner:
            self._news.set()

    async def token(self, min_validity: int = 0) -> Token:
        """A token that is valid for at least so many seconds; 0 is the daemon's default.

        After an error the next call first waits as long as the table has it, then asks once. So ask in a loop, without a pause of
        your own, until `final`.
        """
        now = asyncio.get_running_loop().time
        async with self._turn:
            await self._wait()
            while True:
                self._news.clear()
                try:
                    access, left, generation = await self._connection.call(TOKENS, "GetAccessToken", "u", min_validity)
                except TokenError as error:
                    self._rule.failed(now(), error.row)
                    self._last = error
                    raise
                except asyncio.CancelledError:
                    # The news that ended the wait is for an answer, which the next call gets.
                    self._news.set()
                    raise
                until = self._rule.served(now(), generation)
                if until is not None:
                    left -= int(until - now())
                    if await self._sleep(until, True):
                        continue
                if left > 0:
                    return Token(access, left, generation)

    async def rejected(self, generation: int) -> None:
        """Tells the daemon that the API answered 401 to the token of this generation; `token` is the next call."""
        self._rule.rejected(asyncio.get_running_loop().time(), generation)
        try:
            await self._connection.call(TOKENS, "RejectAccessToken", "t", generation)
        except TokenError:
            pass  # The next call tells.

    async def _wait(self) -> None:
        row = self._rule.row
        if row is None:
            return
        if row.final and self._last is not None:
            raise self._last
        await self._sleep(self._rule.next_call(), row.until_news)

    async def _sleep(self, until: float | None, is_news: bool) -> bool:
        """Until then, or until there is news; None is without end. True: there was news."""
        left = None if until is None else until - asyncio.get_running_loop().time()
        if not is_news:
            await asyncio.sleep(left or 0)
            return False
        news = asyncio.ensure_future(self._news.wait())
        try:
            await asyncio.wait({self._connection.lost, news}, timeout=left, return_when=asyncio.FIRST_COMPLETED)
            return news.done()
        finally:
            news.cancel()
