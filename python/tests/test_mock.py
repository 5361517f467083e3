"""The template for python-dbusmock: it has the contract's members, and each of its own methods does what it says."""

import asyncio
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from c2c_auth import NAME, PATH, TokenError, TokenSource

from fake import Example, World

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE = ROOT / "python/dbusmock/c2c_auth1.py"
MOCK = "org.freedesktop.DBus.Mock"


def members(xml: str) -> set[tuple[str, ...]]:
    """Methods and signals with the types of their arguments, properties with their type."""
    found = set()
    for interface in ElementTree.fromstring(xml).iter("interface"):
        if not interface.get("name").startswith(NAME):
            continue
        for method in interface.iter("method"):
            args = [(arg.get("direction", "in"), arg.get("type")) for arg in method.iter("arg")]
            types = ["".join(kind for way, kind in args if way == wanted) for wanted in ("in", "out")]
            found.add((interface.get("name"), method.get("name"), *types))
        for signal in interface.iter("signal"):
            found.add((interface.get("name"), signal.get("name"), "".join(arg.get("type") for arg in signal.iter("arg"))))
        found |= {(interface.get("name"), p.get("name"), p.get("type")) for p in interface.iter("property")}
    return found


class TheMock(unittest.IsolatedAsyncioTestCase):
    async def test_the_mock_has_the_members_of_the_contract_and_does_what_it_is_told(self):
        async with World() as world:
            world.daemon.disconnect()
            mock = subprocess.Popen(
                [sys.executable, "-m", "dbusmock", "--session", "--template", str(TEMPLATE)],
                env={"DBUS_SESSION_BUS_ADDRESS": world.address, "PATH": "/usr/bin:/bin"}, stdout=subprocess.DEVNULL,
            )
            try:
                await self.tried(world)
            finally:
                mock.terminate()
                mock.wait()

    async def test_the_commands_of_the_page_do_what_it_says(self):
        page = (ROOT / "docs/ui.md").read_text()
        block = page.split("## A mock")[1].split("```sh\n")[1].split("```")[0]
        async with World() as world:
            world.daemon.disconnect()
            told = await asyncio.to_thread(
                subprocess.run, ["sh", "-ec", "trap 'kill $!' EXIT\n" + block], cwd=ROOT, capture_output=True, text=True,
                env={"DBUS_SESSION_BUS_ADDRESS": world.address, "PATH": "/usr/bin:/bin"}, timeout=60,
            )
            self.assertEqual(told.returncode, 0, told.stderr)
            for line in ('SetProject "p-1" "The Feature"', 'SetState "paired" "none"'):
                self.assertIn(line, told.stdout)

    async def test_the_test_of_the_page_passes_and_has_ten_lines_at_most(self):
        test = (ROOT / "docs/ui.md").read_text().split("```python\n")[1].split("```")[0]
        self.assertLessEqual(len([line for line in test.splitlines() if line]), 10)

        async def run(test: str) -> tuple[int, str]:
            command = [sys.executable, "-c", test + "\nunittest.main()"]
            told = await asyncio.to_thread(subprocess.run, command, cwd=ROOT, capture_output=True, text=True, timeout=60)
            return told.returncode, told.stderr

        code, told = await run(test)
        self.assertEqual(code, 0, told)
        # It can fail.
        code, told = await run(test.replace('"paired", "none"', '"unpaired", "denied"'))
        self.assertEqual(code, 1, told)
        self.assertIn("unpaired: denied", told)

    async def test_an_uploader_is_tried_with_the_real_daemon_and_a_simulated_server(self):
        programs = str(ROOT / "target/debug")
        check = 'test -n "$(c2c-authctl token)" && c2c-sim ctl "$C2C_SIM" count pairings && c2c-authctl metrics'
        command = [str(ROOT / "examples/ci/uploader"), "sh", "-c", check]
        with tempfile.TemporaryDirectory() as folder:
            # As inside of another run, or of a developer's own simulator.
            theirs, ours = Path(folder) / "theirs", Path(folder) / "ours"
            (theirs / "sim").mkdir(parents=True)
            ours.mkdir()
            environment = {
                "PATH": f"{programs}:/usr/bin:/bin", "HOME": "/", "TMPDIR": str(ours), "C2C_SIM": str(theirs / "sim/ctl"),
            }
            told = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=90, env=environment)
            self.assertTrue((theirs / "sim").exists(), "it deleted what it did not make")
            self.assertEqual(list(ours.iterdir()), [])
        self.assertEqual(told.returncode, 0, told.stderr)
        pairings, metrics = told.stdout.split("\n", 1)
        self.assertEqual(pairings, "1")
        # As Prometheus reads them.
        families = {family.name: family for family in text_string_to_metric_families(metrics)}
        self.assertEqual(families["c2c_authd_paired"].samples[0].value, 1)
        self.assertTrue(all(family.type == "gauge" and family.documentation for family in families.values()), families)
        self.assertEqual([*families["c2c_authd_build_info"].samples[0].labels], ["version"])

    async def tried(self, world: World) -> None:
        user = await world.connect()
        bus = "org.freedesktop.DBus"
        for _ in range(500):
            if (await user.call(bus, "NameHasOwner", "s", NAME, destination=bus, path="/org/freedesktop/DBus"))[0]:
                break
            await asyncio.sleep(0.02)
        contract = members((ROOT / "dbus/org.cameratocloud.Auth1.xml").read_text())
        own = members((await user.call("org.freedesktop.DBus.Introspectable", "Introspect"))[0])
        self.assertEqual(own, contract)

        async def state() -> str:
            return (await user.call("org.freedesktop.DBus.Properties", "Get", "ss", f"{NAME}.Pairing", "PairingState"))[0].value

        source = await TokenSource.on(user)
        with self.assertRaises(TokenError) as told:
            await source.token()
        self.assertEqual(told.exception.row.why, "not-paired")
        code = (await user.call(f"{NAME}.Pairing", "StartPairing", "a{sv}", {}))[0]
        self.assertEqual(code["user-code"].value, "123456")
        self.assertEqual(await state(), "awaiting-user")
        await user.call(MOCK, "SetState", "ss", "paired", "none")
        self.assertEqual(await state(), "paired")
        await user.call(MOCK, "SetProject", "ss", "p-1", "The Feature")
        await user.call(MOCK, "SetToken", "t", 3)
        token = await source.token()
        self.assertEqual((token.access_token, token.generation), ("mock-token-3", 3))
        await source.rejected(3)
        await user.call(MOCK, "SetToken", "t", 4)
        self.assertEqual((await source.token()).generation, 4)
        await user.call(MOCK, "SetError", "s", f"{NAME}.Error.Offline")
        with self.assertRaises(TokenError) as told:
            await source.token()
        self.assertEqual(told.exception.row.why, "no-token")
        await user.call(MOCK, "SetError", "s", "")
        await user.call(MOCK, "SetToken", "t", 5)
        self.assertEqual((await source.token()).generation, 5)
        await user.call(MOCK, "SetState", "ss", "unpaired", "none")
        async with Example((sys.executable, str(ROOT / "examples/pair.py")), world) as example:
            await example.shows("123456")
            await user.call(MOCK, "SetState", "ss", "paired", "none")
            self.assertEqual(await example.ends(), 0, example.lines)
            self.assertEqual(example.lines[-1], "Connected to The Feature")
