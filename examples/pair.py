#!/usr/bin/python3
"""Shows a pairing code until the device is paired: the flow of a UI. Ctrl-C cancels it."""

import asyncio
import sys
from contextlib import suppress

from dbus_fast import AuthError, BusType, DBusError, Variant, aio

NAME, PATH, BUS = "org.cameratocloud.Auth1", "/org/cameratocloud/Auth1", "org.freedesktop.DBus"
JOIN = "not in the group c2c-ui: usermod -aG c2c-ui USER and a new login, or SupplementaryGroups=c2c-ui in a unit"
is_denied = lambda error: getattr(error, "type", "").endswith(".AccessDenied")


async def shown(pairing, device, state: str, reason: str) -> str:  # docs/ui.md has the words for each.
    if state == "awaiting-user" and sys.stdout.isatty():  # What a unit prints is in the journal, where no code belongs.
        code = {key: value.value for key, value in (await pairing.call_get_pairing_code()).items()}
        where = code.get("authorization-uri") or f"{code['verification-uri']} and enter {code['user-code']}"
        return f"Go to {where}. The device is called {code['device-name']} there. {code['expires-in']} s"
    if state == "paired":
        return f"Connected to {await device.get_project_name()}".removesuffix(" to ")
    return f"{state}: {reason}"


async def main(options: dict[str, Variant]) -> None:
    bus = await aio.MessageBus(bus_type=BusType.SYSTEM).connect()  # Another bus: DBUS_SYSTEM_BUS_ADDRESS.
    places = (NAME, PATH), (BUS, "/org/freedesktop/DBus")
    daemon, names = [bus.get_proxy_object(*place, await bus.introspect(*place)) for place in places]
    pairing, device = (daemon.get_interface(f"{NAME}.{part}") for part in ("Pairing", "Device"))
    changes, state = asyncio.Queue(), ""  # Pairs of state and reason; without a state, it has to be read.
    # Listen first. The state is there before StartPairing answers, which may take 20 s.
    pairing.on_pairing_state_changed(lambda *change: changes.put_nowait(change))
    names.get_interface(BUS).on_name_owner_changed(
        lambda name, _, owner: name == NAME and changes.put_nowait(("", "") if owner else ("the daemon", "gone")))
    start = asyncio.ensure_future(asyncio.wait_for(pairing.call_start_pairing(options), 25))
    for task in (start, asyncio.ensure_future(bus.wait_for_disconnect())):
        task.add_done_callback(lambda task: changes.put_nowait(("", not task.cancelled() and task.exception())))
    try:
        while not start.done() or state not in ("paired", "unpaired", "unprovisioned"):
            state, reason = await changes.get()
            async with asyncio.timeout(25):
                # The bus is gone, or the role is missing; another role may read the state all the same.
                if is_denied(reason) or isinstance(reason, (OSError, EOFError)):
                    raise reason
                with suppress(DBusError):  # The code ended or the daemon left meanwhile; a signal follows.
                    if not state:  # After an error the state says whether the flow goes on.
                        state, reason = await pairing.get_pairing_state(), reason or await pairing.get_pairing_reason()
                    print(await shown(pairing, device, state, reason), flush=True)
    except asyncio.CancelledError:
        await asyncio.wait_for(pairing.call_cancel_pairing(), 25)
        raise


if __name__ == "__main__":
    try:
        asyncio.run(main({"replace": Variant("b", "--replace" in sys.argv)}))
    except KeyboardInterrupt:
        sys.exit(130)
    except (OSError, EOFError, AuthError, DBusError) as error:
        sys.exit(JOIN if is_denied(error) else str(error) or "no answer")
