"""The uploader's loop: which answers of the API it goes on after, and what it does about the token."""

import importlib.util
import io
import socketserver
import threading
import unittest
from contextlib import redirect_stderr
from pathlib import Path
from unittest.mock import patch

from c2c_auth import TokenError, TokenSource

from fake import World

SPEC = importlib.util.spec_from_file_location("uploader", Path(__file__).resolve().parents[2] / "examples/uploader.py")
uploader = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(uploader)


class TheUploader(unittest.IsolatedAsyncioTestCase):
    async def test_a_401_rejects_and_other_troubles_keep_the_token(self):
        async with World() as world:
            source = await TokenSource.on(await world.connect())
            answers, pauses = [401, 0, 302, 409, 429, 503, 201], []

            async def send(token: str) -> int:
                self.assertEqual(token, "token")
                if answers[0] == 401:
                    world.tokens.generation = 8
                return answers.pop(0)

            async def pause(seconds: float) -> None:
                pauses.append(seconds)

            with redirect_stderr(io.StringIO()) as told:
                self.assertEqual(await uploader.deliver(source, send, pause), 201)
            self.assertIn("answer 409: again in 30 s", told.getvalue())
            self.assertEqual((pauses, world.tokens.calls.count("RejectAccessToken")), ([30] * 5, 1))

    async def test_a_missing_role_ends_it(self):
        async with World() as world:
            world.tokens.error = "org.freedesktop.DBus.Error.AccessDenied"
            with self.assertRaises(TokenError):
                await uploader.deliver(await TokenSource.on(await world.connect()), None)
            self.assertEqual(world.tokens.calls, ["GetAccessToken"])

    async def test_the_request_has_the_headers_and_no_answer_is_0(self):
        async with World() as world:
            told = []

            def refuses(request, timeout):
                told.append((request.get_header("Authorization"), request.get_header("X-client-version")))
                raise OSError

            with patch.object(uploader.OPENER, "open", refuses):
                # This stand-in has no FirmwareVersion, and no clip waits for it.
                self.assertEqual(await uploader.announce(await world.connect(), "token", "clip"), 0)
            self.assertEqual(told, [("Bearer token", "0.0.0")])

    async def test_a_redirect_is_not_followed_and_rubbish_is_no_answer(self):
        requests, answers = [], []

        class Server(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                while (line := self.rfile.readline().strip()) and not line.lower().startswith(b"content-length"):
                    requests.append(line.decode().split(" ")[1] if b"HTTP/" in line else "")
                self.wfile.write(answers.pop(0))

        with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Server) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            other = "http://localhost:%d/other" % server.server_address[1]
            moved = f"HTTP/1.1 302 Found\r\nLocation: {other}\r\nContent-Length: 0\r\n\r\n".encode()
            taken = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
            async with World() as world:
                connection = await world.connect()
                with patch.object(uploader, "API", "http://127.0.0.1:%d" % server.server_address[1]):
                    for answers[:], status in (([moved, taken], 302), ([b"no HTTP\r\n"], 0), ([b""], 0)):
                        self.assertEqual(await uploader.announce(connection, "token", "clip"), status)
            server.shutdown()
        self.assertNotIn("/other", requests)
