#!/usr/bin/python3
"""A window for a camera's own screen: pairing by docs/ui.md, with touch, a mouse, or the keys left, right and return.

    PYTHONPATH=python examples/ui/window.py [--size 480x272] [--language de] [--network COMMAND] [--font FILE]

It needs Debian's python3-pygame and python3-dbus-fast. pygame draws by SDL 2, which needs no desktop: SDL_VIDEODRIVER is
kmsdrm on a bare screen, wayland, or x11. Without --size it fills the screen. COMMAND opens the network settings; without it there is
no such button. Another bus: DBUS_SYSTEM_BUS_ADDRESS. It prints no code, because what a unit prints is in the journal.
"""

import argparse
import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
import pygame
from dbus_fast import AuthError, Variant

from c2c_auth import NAME, PATH, Connection, TokenError, connect

PAIRING, DEVICE, BUS = f"{NAME}.Pairing", f"{NAME}.Device", "org.freedesktop.DBus"
HERE = Path(__file__).resolve().parent
WORDS, LABELS = (json.loads((HERE / name).read_text()) for name in ("words.json", "labels.json"))
# Errors of a button that no change of the state follows.
SHOWN = ("NotProvisioned", "AlreadyPaired", "StorageFailed", "LimitsExceeded", "AccessDenied")
# Seconds. LastContact changes without a signal, and a daemon that does not answer is asked again.
READ_AGAIN, TRY_AGAIN = 60, 5
# So long after new buttons came, nobody can mean them: the second tap of two, or a finger that was on its way.
SETTLES = 0.5
BACK, INK, DIM, FILL, ALARM = "#10151b", "#f2f4f7", "#9aa5b1", "#2f6fed", "#ffb454"


class Camera:
    """What the daemon tells, and what a person wants of it. A signal is only a reason to read all again, whoever sent it."""

    def __init__(self, connection: Connection) -> None:
        self.state, self.reason, self.notice = "", "", ""
        self.pairing, self.device, self.code = {}, {}, {}
        self.picture: tuple[str, ...] = ()
        self.code_ends = 0.0
        self._connection, self._call = connection, connection.call
        self._news = asyncio.Event()
        self._calls: set[asyncio.Future] = set()

    async def follow(self) -> None:
        """Listens, then reads, for ever."""
        self._connection.bus.add_message_handler(self._hear)
        for rule in (
            f"type='signal',sender='{NAME}',path='{PATH}'",
            f"type='signal',sender='{BUS}',member='NameOwnerChanged',arg0='{NAME}'",
        ):
            await self._connection.call(BUS, "AddMatch", "s", rule, destination=BUS, path="/org/freedesktop/DBus")
        while True:
            self._news.clear()
            try:
                await self._read()
            except TokenError as error:
                # No daemon, or not the role: the row of a fault of this device says that it is tried again.
                self.state, self.reason, self.notice, self.device = "requesting-code", "local-fault", str(error), {}
                self.pairing = {}
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._news.wait(), READ_AGAIN if self.pairing else TRY_AGAIN)

    def _hear(self, message) -> None:
        if message.interface in (PAIRING, BUS, f"{BUS}.Properties"):
            self._news.set()

    async def _read(self) -> None:
        pairing, device = [
            {key: value.value for key, value in (await self._call(f"{BUS}.Properties", "GetAll", "s", of))[0].items()}
            for of in (PAIRING, DEVICE)
        ]
        before, (state, reason) = (self.state, self.reason), (pairing["PairingState"], pairing["PairingReason"])
        code, picture, ends = {}, (), 0.0
        if state == "awaiting-user":
            with suppress(TokenError):  # The code ended meanwhile; a signal follows.
                code = {key: value.value for key, value in (await self._call(PAIRING, "GetPairingCode"))[0].items()}
                ends = time.monotonic() + code["expires-in"]
                same = {"format": Variant("s", "text"), "code-id": Variant("t", code["code-id"])}
                kind, data = await self._call(PAIRING, "GetQrCode", "a{sv}", same)
                picture = modules(data.decode()) if kind.startswith("text/") else ()
        if before != (state, reason):
            self.notice = ""
        self.state, self.reason, self.pairing, self.device = state, reason, pairing, device
        self.code, self.picture, self.code_ends = code, picture, ends

    def press(self, button: str) -> None:
        """Calls what the button stands for. The answer to StartPairing may take 20 s: the state comes by a signal."""
        replace = {"replace": Variant("b", True)} if self.state == "paired" else {}
        call = {
            "connect": ("StartPairing", "a{sv}", replace), "cancel": ("CancelPairing",), "disconnect": ("Unpair",),
        }[button]
        self.notice = ""
        task = asyncio.ensure_future(self._ask(*call))
        self._calls.add(task)
        task.add_done_callback(self._calls.discard)

    async def _ask(self, *call) -> None:
        try:
            await self._call(PAIRING, *call)
        except TokenError as error:
            if error.name.rsplit(".", 1)[-1] in SHOWN:
                self.notice = str(error)
        self._news.set()

    def close(self) -> None:
        for task in self._calls:
            task.cancel()
        self._connection.bus.disconnect()


def modules(text: str) -> tuple[str, ...]:
    """The dark modules of a QR code in half blocks: rows of 0 and 1."""
    rows = []
    for line in text.splitlines():
        rows.append("".join("01"[mark in "█▀"] for mark in line))
        rows.append("".join("01"[mark in "█▄"] for mark in line))
    return tuple(rows[: len(rows[0])]) if rows else ()


@dataclass(frozen=True)
class Scene:
    """All that is on the screen. One that is equal is not drawn again."""

    title: str = ""
    lines: tuple[str, ...] = ()
    buttons: tuple[str, ...] = ()
    code: str = ""
    count: str = ""
    picture: tuple[str, ...] = ()
    notice: str = ""


def at(seconds: int) -> str:
    """A local time, with its date where that is another one than today's."""
    then = time.localtime(seconds)
    is_today = then[:3] == time.localtime()[:3]
    return time.strftime("%H:%M" if is_today else "%Y-%m-%d %H:%M", then)


def scene(camera: Camera, language: str, view: str, has_network: bool) -> Scene:
    """What docs/ui.md has for this state and reason."""
    labels, device, reason = LABELS[language], camera.device, camera.reason
    if not camera.state:
        return Scene()
    if view == "details":
        error = device.get("LastError", ["none", 0])
        facts = [f"{camera.state}: {reason}", f"error: {error[0]}" + (f", {at(error[1])}" if error[1] else "")]
        facts += [f"{key}: {device[key]}" for key in ("ClientId", "DaemonVersion", "FirmwareVersion") if device.get(key)]
        return Scene(labels["details"], tuple(facts), ("back",), notice=camera.notice)
    if view == "confirm":
        return Scene(labels["question"], (labels["warning"],), ("disconnect", "back"))
    rows = WORDS.get(camera.state) or {"*": WORDS["requesting-code"]["local-fault"]}
    if camera.state == "paired" and reason == "none" and device.get("Paused"):
        reason = "Paused"
    row = rows.get(reason, rows["*"])
    title, text = row[language]["title"], row[language]["text"]
    when = device.get("TokenExpires" if reason == "no-refresh-token" else "LastContact", 0)
    lines = []
    if "TIME" not in text or when:
        lines.append(text.replace("PROJECT", device.get("ProjectName", "")).replace("TIME", at(when)))
    if camera.state == "paired" and reason in ("none", "Paused") and device.get("AuthorizationExpires"):
        lines.append(labels["until"].replace("END", at(device["AuthorizationExpires"])).replace("TIME", at(when)))
    buttons = [button for button in row["buttons"] if button != "network" or has_network]
    if not camera.pairing:  # There is nothing that could be cancelled.
        return Scene(title, tuple(lines), ("details",))
    code, count = "", ""
    if camera.code:
        code = camera.code.get("user-code", "")
        lines.append(camera.code.get("verification-uri") or camera.code.get("authorization-uri", ""))
        if camera.code.get("device-name"):
            lines.append(labels["device"].replace("NAME", camera.code["device-name"]))
        count = labels["seconds"].replace("COUNT", str(max(0, round(camera.code_ends - time.monotonic()))))
    lines = tuple(line for line in lines if line)
    return Scene(title, lines, tuple(buttons), code, count, camera.picture, camera.notice)


class Window:
    """Draws a scene, and tells which button is pressed. `drawn` has each text with its place."""

    def __init__(self, size: tuple[int, int] | None, language: str, font: str | None = None) -> None:
        pygame.display.init()
        pygame.font.init()
        pygame.display.set_caption("Camera to Cloud")
        self.screen = pygame.display.set_mode(size or (0, 0), 0 if size else pygame.FULLSCREEN)
        pygame.mouse.set_visible(bool(size))
        self.drawn: list[tuple[str, pygame.Rect]] = []
        self.cut: list[str] = []
        self.buttons: list[tuple[str, pygame.Rect]] = []
        self.focus = 0
        self._settled_at = 0.0
        self._language, self._font = language, font
        self._fonts: dict[int, pygame.font.Font] = {}

    def _face(self, size: int) -> pygame.font.Font:
        if size not in self._fonts:
            self._fonts[size] = pygame.font.Font(self._font, size)
        return self._fonts[size]

    def _wrapped(self, text: str, size: int, width: int) -> list[str]:
        measure = lambda line: self._face(size).size(line)[0]
        lines = [""]
        for word in text.split():
            if lines[-1] and measure(f"{lines[-1]} {word}") > width:
                lines.append("")
            lines[-1] = f"{lines[-1]} {word}".strip()
            while measure(lines[-1]) > width and len(lines[-1]) > 1:  # One long word, as an address is.
                fits = max(n for n in range(1, len(lines[-1])) if n == 1 or measure(lines[-1][:n]) <= width)
                lines[-1:] = [lines[-1][:fits], lines[-1][fits:]]
        return lines

    def _text(self, text: str, place: pygame.Rect, size: int, colour: str, centred: bool = False) -> int:
        """Draws it in the largest size up to this one that fits, and returns where it ends."""
        least = max(11, size // 2)
        while True:
            lines, high = self._wrapped(text, size, place.width), self._face(size).get_linesize()
            if high * len(lines) <= place.height or size <= least:
                break
            size -= 1
        room = max(1, place.height // high)
        if len(lines) > room:  # A name of any length that somebody else chose.
            lines[room - 1 :] = [lines[room - 1][:-1] + "…"]
            self.cut.append(text)
        top = place.top + (place.height - high * len(lines)) // 2 if centred else place.top
        for line in lines:
            ink = self._face(size).render(line, True, colour)
            left = place.left + (place.width - ink.get_width()) // 2 if centred else place.left
            self.screen.blit(ink, (left, top))
            self.drawn.append((line, ink.get_rect(topleft=(left, top))))
            top += high
        return top

    def draw(self, scene: Scene) -> None:
        wide, high = self.screen.get_size()
        unit = min(wide / 480, high / 272)
        px = lambda size: round(size * unit)
        edge = px(12)
        self.screen.fill(BACK)
        before = self.buttons
        self.drawn, self.cut, self.buttons = [], [], []
        left = edge
        if scene.picture:
            # A whole number of pixels for each module keeps it sharp; it brings its own quiet zone.
            scale = min(high - edge, wide * 11 // 20) // len(scene.picture)
            side = scale * len(scene.picture)
            corner = edge // 2, (high - side) // 2
            self.screen.fill("white", (*corner, side, side))
            for y, row in enumerate(scene.picture):
                for x, dark in enumerate(row):
                    if dark == "1":
                        self.screen.fill("black", (corner[0] + x * scale, corner[1] + y * scale, scale, scale))
            left = edge // 2 + side + edge
        column = pygame.Rect(left, edge, wide - left - edge, high - 2 * edge)
        bar = pygame.Rect(column.left, column.bottom - px(40), column.width, px(40))
        room = lambda top, least=0: pygame.Rect(column.left, top, column.width, max(bar.top - px(4) - top - least, 1))
        below = px(22) if scene.count or scene.notice else 0
        top = self._text(scene.title, pygame.Rect(*column.topleft, column.width, px(44)), px(34), INK) + px(4)
        if scene.code:
            code = pygame.Rect(column.left, top, column.width, px(50))
            top = self._text(scene.code, code, px(48), INK) + px(2)
        each = px(16 if scene.picture else 26)
        for line in scene.lines:
            top = self._text(line, room(top, below), each, DIM if scene.code or line is not scene.lines[0] else INK) + px(4)
        last = pygame.Rect(column.left, bar.top - below - px(4), column.width, below)
        if scene.notice:
            notice = last if scene.count else room(top)
            self._text(scene.notice, notice, px(16), ALARM)
        elif scene.count:
            self._text(scene.count, last, px(16), INK)
        for index, button in enumerate(scene.buttons):
            width = (bar.width - px(8) * (len(scene.buttons) - 1)) // len(scene.buttons)
            place = pygame.Rect(bar.left + index * (width + px(8)), bar.top, width, bar.height)
            pygame.draw.rect(self.screen, FILL if index == self.focus % len(scene.buttons) else "#33404f", place, 0, px(6))
            self._text(LABELS[self._language][button], place.inflate(-px(8), -px(4)), px(20), INK, True)
            self.buttons.append((button, place))
        pygame.display.flip()
        if self.buttons != before:
            self._settled_at = time.monotonic() + SETTLES

    def is_settled(self) -> bool:
        return time.monotonic() >= self._settled_at

    def pressed(self) -> str:
        """The button that was pressed since the last call; "quit" for the end of the window."""
        for event in pygame.event.get():
            if event.type == pygame.QUIT:
                return "quit"
            if event.type == pygame.MOUSEBUTTONDOWN and self.is_settled():
                for button, place in self.buttons:
                    if place.collidepoint(event.pos):
                        return button
            if event.type == pygame.KEYDOWN and self.buttons:
                if event.key == pygame.K_RETURN and self.is_settled():
                    return self.buttons[self.focus % len(self.buttons)][0]
                self.focus += {pygame.K_LEFT: -1, pygame.K_RIGHT: 1}.get(event.key, 0)
        return ""


async def show(camera: Camera, window: Window, language: str, network: str | None) -> None:
    """Until the window is closed."""
    view, before = "", None
    while (button := window.pressed()) != "quit":
        if button == "network":
            subprocess.Popen(network, shell=True)
        elif button == "details" or (button == "disconnect" and view != "confirm"):
            view, window.focus = ("details" if button == "details" else "confirm"), 1
        elif button:
            view, window.focus = "", 0
            if button != "back":
                camera.press(button)
        if view == "confirm" and camera.state != "paired":
            view = ""
        now = scene(camera, language, view, bool(network)), window.focus
        if now != before:
            window.draw(now[0])
            before = now
        await asyncio.sleep(0.04)


async def main(options: argparse.Namespace) -> int:
    connection = await connect()
    camera = Camera(connection)
    window = Window(options.size, options.language, options.font)
    tasks = [asyncio.ensure_future(task) for task in (show(camera, window, options.language, options.network), camera.follow())]
    for each in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(each, tasks[0].cancel)
    try:
        await asyncio.wait([*tasks, connection.lost], return_when=asyncio.FIRST_COMPLETED)
        if tasks[0].done():
            with suppress(asyncio.CancelledError):
                tasks[0].result()
            return 0
        if connection.lost.done():
            print("the bus is gone", file=sys.stderr)
        else:
            print(f"the daemon cannot be followed: {tasks[1].exception()!r}", file=sys.stderr)
        return 1
    finally:
        for task in tasks:
            task.cancel()
        camera.close()
        pygame.quit()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="A window for a camera's own screen.")
    parser.add_argument("--size", type=lambda text: tuple(map(int, text.split("x"))), help="480x272; without it, the whole screen")
    parser.add_argument("--language", choices=sorted(LABELS), default="en")
    parser.add_argument("--network", metavar="COMMAND", help="opens the network settings")
    parser.add_argument("--font", metavar="FILE", help="for scripts that are not Latin")
    try:
        sys.exit(asyncio.run(main(parser.parse_args())))
    except (OSError, EOFError, AuthError, pygame.error) as error:
        sys.exit(f"no bus, no screen or no font: {error}")
