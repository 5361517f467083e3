#!/usr/bin/python3
"""Shows a pairing code until the device is paired: the flow of a UI. Ctrl-C cancels. An argument is another bus."""

import asyncio
import sys

from dbus_fast import BusType, DBusError, Variant
from dbus_fast.aio import MessageBus
from dbus_fast.introspection import Node

NAME, PATH = "org.cameratocloud.Auth1", "/org/cameratocloud/Auth1"


async def shown(pairing, device, state: str, reason: str) -> str:
    """The text for a screen. docs/ui.md has the words for each state and reason."""
    if state == "awaiting-user":
        code = {key: value.value for key, value in (await pairing.call_get_pairing_code()).items()}
        where = code.get("authorization-uri") or f"{code['verification-uri']} and enter {code['user-code']}"
        return f"Go to {where}. The device is called {code['device-name']} there. {code['expires-in']} s"
    if state == "paired":
        return f"Connected to {await device.get_project_name()}".removesuffix(" to ")
    return f"{state}: {reason}"


async def main(xml: str, address: str | None) -> None:
    bus = await MessageBus(bus_address=address, bus_type=BusType.SYSTEM).connect()
    daemon = bus.get_proxy_object(NAME, PATH, Node.parse(xml))
    pairing, device = (daemon.get_interface(f"{NAME}.{part}") for part in ("Pairing", "Device"))
    changes: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
    # Listen first. The state is there before StartPairing answers, which may take 20 s.
    pairing.on_pairing_state_changed(lambda state, reason: changes.put_nowait((state, reason)))
    print(f"{await pairing.get_pairing_state()}...", flush=True)
    start = asyncio.ensure_future(pairing.call_start_pairing({"replace": Variant("b", "--replace" in sys.argv)}))
    start.add_done_callback(lambda done: changes.put_nowait(("", str(done.exception() or ""))))
    try:
        while True:
            state, reason = await changes.get()
            if not state:  # StartPairing has answered. An error is shown; where the flow goes on, a signal follows.
                print(reason, end="\n" if reason else "", flush=True)
                state, reason = await pairing.get_pairing_state(), await pairing.get_pairing_reason()
            try:
                print(await shown(pairing, device, state, reason), flush=True)
            except DBusError as gone:  # The code ended meanwhile; a signal follows.
                print(gone.text, flush=True)
            if start.done() and state in ("paired", "unpaired", "unprovisioned"):
                return
    except asyncio.CancelledError:
        await pairing.call_cancel_pairing()


if __name__ == "__main__":
    with open("/usr/share/dbus-1/interfaces/org.cameratocloud.Auth1.xml", encoding="utf-8") as contract:
        asyncio.run(main(contract.read(), next((a for a in sys.argv[1:] if a.startswith("unix:")), None)))
