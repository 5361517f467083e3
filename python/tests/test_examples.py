"""The examples of a UI, in Python and in C, through the states of a flow."""

import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from c2c_auth import NAME
from fake import Example, World, until

ROOT = Path(__file__).resolve().parents[2]


class TheExamples(unittest.IsolatedAsyncioTestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.folder = tempfile.mkdtemp()
        cls.examples = {"Python": (sys.executable, str(ROOT / "examples/pair.py"))}
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
            async with World() as world, Example(command, world) as example:
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
            async with World() as world, Example(command, world) as example:
                await example.shows("requesting-code: none")
                world.pairing.becomes("paired", "none")
                self.assertEqual(await example.ends(), 0, language)
                self.assertNotIn("to ", example.lines[-1], language)

    async def test_each_shows_why_nothing_starts(self):
        for language, command in self.examples.items():
            async with World() as world:
                world.pairing.error = "org.cameratocloud.Auth1.Error.ClientRejected"
                async with Example(command, world) as example:
                    self.assertEqual(await example.ends(), 0, language)
                    self.assertTrue(any("refused" in line for line in example.lines), (language, example.lines))

    async def test_each_tells_who_lacks_the_role_how_to_get_it(self):
        call = f'<deny send_destination="{NAME}"'
        # No role; the uploader's, which may read the state; and a daemon that refuses by itself, while another UI pairs.
        for rule, error in ((call + "/>", None), (f'{call} send_interface="{NAME}.Pairing" send_member="StartPairing"/>', None), ("", "AccessDenied")):
            for language, command in self.examples.items():
                async with World(rule) as world:
                    world.pairing.error = error and f"org.freedesktop.DBus.Error.{error}"
                    world.pairing.state = "requesting-code"
                    async with Example(command, world) as example:
                        self.assertEqual(await example.ends(), 1, (language, rule, example.lines))
                    told = " ".join(example.lines)
                    self.assertIn("usermod -aG c2c-ui USER", told, language)
                    self.assertIn("SupplementaryGroups=c2c-ui", told, language)
                    self.assertNotIn("Traceback", told)

    async def test_no_code_gets_into_the_journal(self):
        for language, command in self.examples.items():
            async with World() as world, Example(command, world, is_on_terminal=False) as example:
                await example.shows("requesting-code: none")
                world.pairing.becomes("awaiting-user", "none")
                await example.shows("awaiting-user: none")
                world.pairing.becomes("unpaired", "denied")
                self.assertEqual(await example.ends(), 0, language)
                self.assertNotIn(world.pairing.code, " ".join(example.lines), language)

    async def test_each_cancels_at_an_interrupt(self):
        for language, command in self.examples.items():
            async with World() as world, Example(command, world) as example:
                await example.shows("requesting-code: none")
                example.interrupt()
                self.assertEqual(await example.ends(), 130, (language, example.lines))
                self.assertEqual(world.pairing.calls, ["StartPairing", "CancelPairing"], language)

    async def test_each_reads_the_state_of_a_daemon_that_is_back(self):
        for language, command in self.examples.items():
            async with World() as world, Example(command, world) as example:
                await example.shows("requesting-code: none")
                await world.leave()
                await example.shows("the daemon: gone")
                world.pairing.state, world.pairing.reason = "unpaired", "gave-up"
                await world.come_back()
                self.assertEqual(await example.ends(), 0, (language, example.lines))
                self.assertTrue(example.lines[-1].startswith("unpaired: "), (language, example.lines))

    async def test_each_waits_for_a_daemon_that_left_with_its_answer(self):
        for language, command in self.examples.items():
            async with World() as world:
                world.pairing.before_answer = world.leave
                async with Example(command, world) as example:
                    await example.shows("the daemon: gone")
                    world.pairing.state, world.pairing.reason = "unpaired", "gave-up"
                    await world.come_back()
                    self.assertEqual(await example.ends(), 0, (language, example.lines))
                    self.assertTrue(example.lines[-1].startswith("unpaired: "), (language, example.lines))

    async def test_each_ends_with_its_bus(self):
        for language, command in self.examples.items():
            async with World() as world, Example(command, world) as example:
                await example.shows("requesting-code: none")
                world.stop()
                self.assertEqual(await example.ends(), 1, (language, example.lines))
                self.assertNotIn("Traceback", " ".join(example.lines))
