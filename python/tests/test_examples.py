"""The examples of a UI, in Python and in C, through the states of a flow."""

import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from fake import World, until

ROOT = Path(__file__).resolve().parents[2]
XML = ROOT / "dbus/org.cameratocloud.Auth1.xml"


class Example:
    """A running example, and its lines so far."""

    def __init__(self, *command: str) -> None:
        self.lines: list[str] = []
        self._command = command

    async def __aenter__(self) -> "Example":
        self._process = await asyncio.create_subprocess_exec(*self._command, stdout=asyncio.subprocess.PIPE)
        self._reader = asyncio.ensure_future(self._read())
        return self

    async def _read(self) -> None:
        async for line in self._process.stdout:
            self.lines.append(line.decode().strip())

    async def shows(self, text: str) -> None:
        await until(lambda: any(text in line for line in self.lines))

    async def ends(self) -> int:
        code = await asyncio.wait_for(self._process.wait(), 10)
        await self._reader
        return code

    async def __aexit__(self, *_) -> None:
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()


class TheExamples(unittest.IsolatedAsyncioTestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.folder = tempfile.mkdtemp()
        # The contract lies elsewhere on an installed system.
        start = f"import runpy,sys,asyncio; m=runpy.run_path({str(ROOT / 'examples/pair.py')!r});"
        start += f"asyncio.run(m['main'](open({str(XML)!r}).read(), sys.argv[1]))"
        cls.examples = {"Python": (sys.executable, "-c", start)}
        flags = subprocess.run(
            ["pkg-config", "--cflags", "--libs", "libsystemd"], capture_output=True, text=True, check=True
        ).stdout.split()
        program = os.path.join(cls.folder, "pair")
        checks = ["-Wall", "-Wextra", "-Werror", "-fsanitize=address,undefined"]
        subprocess.run(["cc", *checks, str(ROOT / "examples/pair.c"), "-o", program, *flags], check=True)
        cls.examples["C"] = (program,)

    @classmethod
    def tearDownClass(cls) -> None:
        shutil.rmtree(cls.folder)

    async def test_each_shows_the_states_of_a_flow_to_its_end(self):
        for language, command in self.examples.items():
            async with World() as world, Example(*command, world.address) as example:
                await until(lambda: world.pairing.calls == ["StartPairing"])
                await example.shows("requesting-code: none")
                for reason in ("offline", "clock-not-set", "tls-untrusted"):
                    world.pairing.becomes("requesting-code", reason)
                    await example.shows(f"requesting-code: {reason}")
                world.pairing.becomes("awaiting-user", "none")
                await example.shows("123456")
                world.pairing.becomes("requesting-code", "code-expired")
                await example.shows("code-expired")
                world.pairing.code = "654321"
                world.pairing.becomes("awaiting-user", "none")
                await example.shows("654321")
                world.pairing.becomes("unpaired", "denied")
                await example.shows("unpaired: denied")
                self.assertEqual(await example.ends(), 0, language)

    async def test_each_ends_at_paired_and_shows_no_empty_name(self):
        for language, command in self.examples.items():
            async with World() as world, Example(*command, world.address) as example:
                await example.shows("requesting-code: none")
                world.pairing.becomes("paired", "none")
                self.assertEqual(await example.ends(), 0, language)
                self.assertNotIn("to ", example.lines[-1], language)

    async def test_each_shows_why_nothing_starts(self):
        for language, command in self.examples.items():
            async with World() as world:
                world.pairing.error = "org.cameratocloud.Auth1.Error.ClientRejected"
                async with Example(*command, world.address) as example:
                    self.assertEqual(await example.ends(), 0, language)
                    self.assertTrue(any("refused" in line for line in example.lines), (language, example.lines))

    def test_each_has_at_most_sixty_lines(self):
        for name in ("pair.py", "pair.c"):
            lines = (ROOT / "examples" / name).read_text().count("\n")
            self.assertLessEqual(lines, 60, name)
