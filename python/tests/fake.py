"""A bus of its own, a stand-in for the daemon on it, and a running example."""

import asyncio
import os
import signal as signals
import subprocess
import tempfile
from contextlib import suppress

from dbus_fast import DBusError, NameFlag, Variant
from dbus_fast.service import PropertyAccess, ServiceInterface, dbus_property, method, signal

from c2c_auth import NAME, PATH, Connection, connect

CONFIGURATION = """<busconfig><type>session</type><listen>unix:tmpdir=/tmp</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*"/><allow receive_sender="*"/><allow own="*"/>%s</policy></busconfig>"""


class Tokens(ServiceInterface):
    def __init__(self) -> None:
        super().__init__(f"{NAME}.Tokens")
        self.error: str | None = None
        self.generation = 7
        self.calls: list[str] = []
        # Clear: no call is answered.
        self.answers = asyncio.Event()
        self.answers.set()

    @method()
    async def GetAccessToken(self, min_validity: "u") -> "sut":
        self.calls.append("GetAccessToken")
        await self.answers.wait()
        if self.error:
            raise DBusError(self.error, "refused")
        return ["token", 60, self.generation]

    @method()
    async def RejectAccessToken(self, generation: "t"):
        self.calls.append("RejectAccessToken")

    @signal()
    def AccessTokenChanged(self) -> "t":
        return self.generation


class Pairing(ServiceInterface):
    def __init__(self) -> None:
        super().__init__(f"{NAME}.Pairing")
        self.state, self.reason, self.code = "unpaired", "never-paired", "123456"
        self.error: str | None = None
        self.calls: list[str] = []
        # Done before StartPairing answers.
        self.before_answer = None

    @method()
    async def StartPairing(self, options: "a{sv}") -> "a{sv}":
        self.calls.append("StartPairing")
        if self.before_answer:
            await self.before_answer()
        if self.error:
            raise DBusError(self.error, "refused")
        self.becomes("requesting-code", "none")
        return {}

    @method()
    def GetPairingCode(self) -> "a{sv}":
        return {
            "user-code": Variant("s", self.code), "verification-uri": Variant("s", "https://example.com/pair"),
            "device-name": Variant("s", "Cam"), "expires-in": Variant("u", 120), "code-id": Variant("t", 1),
        }

    @method()
    def CancelPairing(self):
        self.calls.append("CancelPairing")

    @signal()
    def PairingStateChanged(self) -> "ss":
        return [self.state, self.reason]

    @dbus_property(access=PropertyAccess.READ)
    def PairingState(self) -> "s":
        return self.state

    @dbus_property(access=PropertyAccess.READ)
    def PairingReason(self) -> "s":
        return self.reason

    def becomes(self, state: str, reason: str) -> None:
        self.state, self.reason = state, reason
        self.PairingStateChanged()


class Device(ServiceInterface):
    def __init__(self) -> None:
        super().__init__(f"{NAME}.Device")
        self.project = ""

    @dbus_property(access=PropertyAccess.READ)
    def ProjectName(self) -> "s":
        return self.project

    def knows(self, project: str) -> None:
        self.project = project
        self.emit_properties_changed({"ProjectName": project})


class World:
    """`async with World() as world`."""

    def __init__(self, rule: str = "") -> None:
        """With one more rule of the bus's policy."""
        self._rule = rule

    async def __aenter__(self) -> "World":
        # A busy machine is no fault of a test: asyncio would print each step of more than 0.1 s.
        asyncio.get_running_loop().slow_callback_duration = 60
        with tempfile.NamedTemporaryFile("w", suffix=".conf") as configuration:
            configuration.write(CONFIGURATION % self._rule)
            configuration.flush()
            self._bus = subprocess.Popen(
                ["dbus-daemon", "--nofork", "--print-address", f"--config-file={configuration.name}"],
                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            )
            self.address = self._bus.stdout.readline().strip()
        self._connections: list[Connection] = []
        self.tokens, self.pairing, self.device = Tokens(), Pairing(), Device()
        self.daemon = (await self.connect()).bus
        for interface in (self.tokens, self.pairing, self.device):
            self.daemon.export(PATH, interface)
        await self.come_back()
        return self

    async def __aexit__(self, *_) -> None:
        for connection in self._connections:
            if connection.bus.connected:
                connection.bus.disconnect()
        self.stop()

    def stop(self) -> None:
        self._bus.kill()
        self._bus.wait()
        self._bus.stdout.close()

    async def connect(self) -> Connection:
        connection = await connect(self.address)
        self._connections.append(connection)
        return connection

    async def leave(self) -> None:
        await self.daemon.release_name(NAME)

    async def come_back(self) -> None:
        await self.daemon.request_name(NAME, NameFlag.DO_NOT_QUEUE)


def _hear_interrupts() -> None:
    """A shell that starts a job in the background has it ignore them, and so all that it starts."""
    signals.signal(signals.SIGINT, signals.SIG_DFL)


class Example:
    """A running example on a terminal, and its lines so far."""

    def __init__(self, command: tuple[str, ...], world: World, is_on_terminal: bool = True) -> None:
        self.lines: list[str] = []
        self._command, self._is_on_terminal = command, is_on_terminal
        self._environment = {**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": world.address}

    async def __aenter__(self) -> "Example":
        output, theirs = os.openpty() if self._is_on_terminal else os.pipe()
        self._process = await asyncio.create_subprocess_exec(
            *self._command, env=self._environment, stdout=theirs, stderr=theirs, preexec_fn=_hear_interrupts
        )
        os.close(theirs)
        self._reader = asyncio.ensure_future(asyncio.to_thread(self._read, output))
        return self

    def _read(self, output: int) -> None:
        # A terminal ends with EIO.
        with open(output, errors="replace") as text, suppress(OSError):
            self.lines.extend(line.strip() for line in text)

    async def shows(self, text: str) -> None:
        await until(lambda: any(text in line for line in self.lines))

    def interrupt(self) -> None:
        self._process.send_signal(signals.SIGINT)

    async def ends(self) -> int:
        code = await asyncio.wait_for(self._process.wait(), 10)
        await self._reader
        return code

    async def __aexit__(self, *_) -> None:
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()
        await self._reader


async def until(condition, limit: float = 10) -> None:
    end = asyncio.get_running_loop().time() + limit
    while not condition():
        assert asyncio.get_running_loop().time() < end, "it never came"
        await asyncio.sleep(0.01)
