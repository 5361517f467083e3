"""packaging/line: a batch of a thousand units, with a stub in the place of ssh."""

import collections
import json
import signal
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

LINE = Path(__file__).resolve().parents[2] / "packaging/line"

# Notes what it is called with, and ends as its unit would. A file named after a unit is its fault.
STUB = """#!/bin/sh
cd "${0%/*}" || exit
echo "$1 $3" >>calls
case $3 in
provision) read -r secret <&0; [ "$secret" = made-up ] && [ "$5" = "SN-$1" ] || exit 99 ;;
check) [ "$4" = --accepted ] || exit 98 ;;
esac
if [ -e "fault-$1-$3" ]; then
    read -r code words <"fault-$1-$3"
    echo "$words" >&2
    exit "$code"
fi
echo "the last word"
"""
BAD = {"100": ("provision", 8, "another secret is there"), "500": ("check", 4, "refused"), "999": ("provision", 255, "no route")}


class TheLine(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.calls = self.folder / "calls"
        stub = self.folder / "stub"
        stub.write_text(STUB)
        stub.chmod(0o755)
        (self.folder / "secret").write_text("made-up\n")
        self.units = self.folder / "units.csv"
        self.batch(range(1, 1001))

    def batch(self, numbers):
        self.units.write_text("host,client-id\n" + "".join(f"{number},SN-{number}\n" for number in numbers))

    def start(self, *more):
        command = [LINE, self.units, "--run", f"{self.folder}/stub {{host}}", "--secret", self.folder / "secret", *more]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def run_to_the_end(self, *more):
        process = self.start(*more)
        out, err = process.communicate(timeout=120)
        return process.returncode, out, err

    def log(self):
        return [json.loads(line) for line in (self.folder / "units.csv.log").read_text().splitlines()]

    def called(self):
        return self.calls.read_text().splitlines() if self.calls.exists() else []

    def test_a_batch_that_is_killed_anywhere_is_finished_and_repeats_nothing(self):
        for unit, (step, code, words) in BAD.items():
            (self.folder / f"fault-{unit}-{step}").write_text(f"{code} {words}\n")
        kills = [1, 2, 333, 1000, 1901]
        for at in kills:
            process = self.start()
            while len(self.called()) < at and process.poll() is None:
                time.sleep(0.002)
            self.assertIsNone(process.poll(), "it was still at work")
            process.send_signal(signal.SIGKILL)
            process.communicate()
        code, out, err = self.run_to_the_end()
        self.assertEqual(code, 1, err)
        self.assertIn("997 of 1000 units are ready; failed: SN-100, SN-500, SN-999", out)
        for unit, (step, code, words) in BAD.items():
            self.assertIn(f"SN-{unit}: {step}: {code}: {words}", err)
        calls = collections.Counter(self.called())
        good = [str(unit) for unit in range(1, 1001) if str(unit) not in BAD]
        for verb in ("provision", "check"):
            again = [unit for unit in good if calls[f"{unit} {verb}"] != 1]
            self.assertLessEqual(len(again), len(kills), "the one in work, at each kill")
            self.assertTrue(all(calls[f"{unit} {verb}"] for unit in good))
        entries = collections.Counter((entry["client-id"], entry["result"]) for entry in self.log())
        self.assertTrue(all(entries[f"SN-{unit}", "ok"] == 1 for unit in good))
        self.assertNotIn("made-up", (self.folder / "units.csv.log").read_text())

        # Once they are mended, they alone are tried; then nothing is left.
        for fault in self.folder.glob("fault-*"):
            fault.unlink()
        before = len(self.called())
        for more in (2 * len(BAD), 0):
            code, out, err = self.run_to_the_end()
            self.assertEqual((code, out), (0, "1000 of 1000 units are ready\n"), err)
            self.assertEqual(len(self.called()) - before, more)
            before += more

    def test_a_unit_that_hangs_and_a_line_that_was_cut_hold_nobody_up(self):
        self.batch([1])
        (self.folder / "units.csv.log").write_text('{"client-id": "SN-1", "result": "o')
        (self.folder / "stub").write_text("#!/bin/sh\nexec sleep 60\n")
        code, _, err = self.run_to_the_end("--limit", "0.2")
        self.assertEqual(code, 1)
        self.assertIn("no end within 0.2 s", err)
        self.assertIn('"step": "provision"', (self.folder / "units.csv.log").read_text().splitlines()[-1])

    def test_what_a_shell_on_the_unit_would_obey_is_refused_before_the_first_unit(self):
        for row in ("1,SN-1;reboot", "-oProxyCommand=x,SN-1", "$(x),SN-1", ",SN-1", "1,", "1,SN-1\n2,SN-1"):
            self.units.write_text(f"host,client-id\n{row}\n")
            code, _, err = self.run_to_the_end()
            self.assertEqual(code, 2, row)
            self.assertIn("row", err)
        self.assertEqual(self.called(), [])

    def test_where_it_cannot_begin_it_says_why_and_ends_with_2(self):
        unended, empty = "No closing quotation", "it is empty"
        # The last one of an option counts.
        for told, *more in (
            (unended, "--run", "ssh 'root@{host}"), (unended, "--check", "check 'x"), (empty, "--check", " "),
            (empty, "--run", ""), (empty, "--run", " "), (empty, "--run", "'' stub"),
        ):
            code, _, err = self.run_to_the_end(*more)
            self.assertEqual((code, "Traceback" in err), (2, False), (more, err))
            self.assertIn(told, err)
        head, good = b"host,client-id\n", self.units.read_bytes()
        long = b"1" * 200_000 + b",SN-1\n"
        for name, content in (("csv", head + b"\xff,SN-1\n"), ("csv", head + long), ("csv", b""), ("csv.log", b"\xff\n")):
            self.units.write_bytes(good)
            (self.folder / f"units.{name}").write_bytes(content)
            code, _, err = self.run_to_the_end()
            self.assertEqual((code, "Traceback" in err), (2, False), (content[:40], err[-300:]))
        self.assertEqual(self.called(), [])


if __name__ == "__main__":
    unittest.main()
