#!/usr/bin/python3
"""Announces clips to Frame.io, each until the API has taken it:  PYTHONPATH=python examples/uploader.py CLIP...

Not tried: the address and the body of `announce` were never sent to Frame.io. The size is made up, and no chunk of a clip is sent.
Another bus: DBUS_SYSTEM_BUS_ADDRESS. Another API, for a try: C2C_API."""

import asyncio
import json
import os
import sys
import urllib.request
from contextlib import suppress
from http.client import HTTPException

from c2c_auth import INTERFACES, Connection, TokenError, TokenSource, connect

API = os.environ.get("C2C_API", "https://api.frame.io")
OPENER = urllib.request.OpenerDirector()  # Without a handler of redirects, which hands the token to any host.
for handler in (urllib.request.ProxyHandler, urllib.request.HTTPHandler, urllib.request.HTTPSHandler):
    OPENER.add_handler(handler())

async def deliver(source: TokenSource, send, pause=asyncio.sleep) -> int:
    """Sends a request until the API takes or refuses it. Returns its status; 0 is no answer."""
    while True:
        try:
            token = await source.token()
        except TokenError as error:
            if error.final:
                raise
            print(f"no token yet: {error}", file=sys.stderr)
            continue  # The next call waits as long as it has to.
        if (status := await send(token.access_token)) == 401:
            await source.rejected(token.generation)
        elif status in (0, 409, 429) or 300 <= status < 400 or status >= 500:
            print(f"answer {status}: again in 30 s", file=sys.stderr)
            await pause(30)  # Paused, too many requests, a server or a network in trouble: the token is good.
        else:
            return status


async def announce(connection: Connection, token: str, clip: str) -> int:
    version = ""
    with suppress(TokenError):  # No clip waits for it.
        version = (await connection.call("org.freedesktop.DBus.Properties", "Get", "ss", INTERFACES[2], "FirmwareVersion"))[0].value
    headers = {"Authorization": f"Bearer {token}", "x-client-version": version or "0.0.0", "Content-Type": "application/json"}
    body = json.dumps({"name": clip, "filetype": "video/mp4", "filesize": 1, "offset": 0}).encode()
    request = urllib.request.Request(f"{API}/v2/devices/assets", body, headers)
    with suppress(OSError, HTTPException):
        return (await asyncio.to_thread(OPENER.open, request, timeout=60)).status
    return 0


async def main() -> None:
    source = await TokenSource.on(connection := await connect())
    for clip in sys.argv[1:]:  # A real queue is on disk: clips and ids, never a token.
        print(f"{clip}: {await deliver(source, lambda token: announce(connection, token, clip))}")


if __name__ == "__main__":
    asyncio.run(main())
