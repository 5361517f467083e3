"""The rule row by row in simulated time, and the page's table."""

import unittest
from pathlib import Path

from c2c_auth.rule import ROWS, SAME_TOKEN, Rule, row_of

ROOT = Path(__file__).resolve().parents[2]


def simulated(answer, news=(), end=300):
    """A caller without a pause of its own. `answer(now)`: an error's name, or a generation and from when on the API takes it.

    Returns when calls for a token leave, and when requests to the API do.
    """
    rule, now, calls, requests = Rule(), 0, [], []

    def after(now):
        return next((at for at in news if at > now), float("inf"))

    while True:
        row, timer = rule.row, rule.next_call()
        if row is not None:
            timer = float("inf") if timer is None else timer
            now = min(timer, after(now)) if row.until_news else timer
        if now >= end:
            return calls, requests
        calls.append(now)
        assert len(calls) < 10_000, "a flood"
        told = answer(now)
        if isinstance(told, str):
            rule.failed(now, row_of(told))
            continue
        generation, good_from = told
        until = rule.served(now, generation)
        if until is not None:
            if after(now) < until:
                now = after(now)
                continue
            now = until
        if now >= end:
            return calls, requests
        requests.append(now)
        if now >= good_from:
            now += 60
        else:
            rule.rejected(now, generation)


def calls(error, news=(), end=300):
    return simulated(lambda _: error, news, end)[0]


class TheRule(unittest.TestCase):
    def test_each_error_is_paced_as_its_row_has_it(self):
        ours, bus = "org.cameratocloud.Auth1.Error.", "org.freedesktop.DBus.Error."
        for error in (
            ours + "Offline", ours + "ClockNotSet", ours + "ServerError", ours + "StorageFailed", bus + "Timeout",
            bus + "Failed", ours + "OnlyANewerDaemonHasThis", bus + "ServiceUnknown", bus + "NameHasNoOwner",
            bus + "NoReply", bus + "TimedOut", bus + "Spawn.ChildExited", "org.freedesktop.systemd1.NoSuchUnit",
        ):
            self.assertEqual(calls(error), [0, 5, 15, 35, 75, 135, 195, 255], error)
            self.assertEqual(calls(error, [2], 10), [0, 2], error)
        self.assertEqual(calls(bus + "LimitsExceeded", end=200), [0, 1, 3, 7, 15, 31, 63, 123, 183])
        self.assertEqual(calls(bus + "LimitsExceeded", [4, 5], 8), [0, 1, 3, 7])
        for error in ("ClientRejected", "NotProvisioned"):
            self.assertEqual(calls(ours + error, end=10_000), [0, 3600, 7200])
            self.assertEqual(calls(ours + error, [60], 3000), [0, 60])
        for error in ("AccessDenied", "InvalidArgs"):
            self.assertTrue(row_of(bus + error).final)
            self.assertEqual(calls(bus + error, [1, 2], 10**9), [0])

    def test_an_unpaired_device_is_asked_when_there_is_news_and_by_no_timer(self):
        month = 30 * 86_400
        self.assertEqual(calls("NotPaired", (), month), [0])
        self.assertEqual(calls("NotPaired", [40, 90_000], month), [0, 40, 90_000])

    def test_pauses_begin_anew_after_a_token_and_after_another_error(self):
        told = simulated(lambda now: (1, 0) if 10 <= now < 20 else "Offline", end=100)
        self.assertEqual(told[0], [0, 5, 15, 75, 80, 90])
        told = simulated(lambda now: "Offline" if now < 15 else "LimitsExceeded", end=20)
        self.assertEqual(told[0], [0, 5, 15, 16, 18])

    def test_a_rejected_token_that_comes_back_is_used_after_2_s_that_double_to_60(self):
        requests = simulated(lambda _: (7, 10**9))[1]
        self.assertEqual(requests, [0, 2, 6, 14, 30, 62, 122, 182, 242])

    def test_another_generation_resets_the_pause_and_news_of_it_ends_it(self):
        requests = simulated(lambda now: (7, 10**9) if now < 20 else (8, 25), [20], 90)[1]
        self.assertEqual(requests, [0, 2, 6, 14, 20, 22, 26, 86])
        self.assertEqual(simulated(lambda _: (7, 1), end=200)[1], [0, 2, 62, 122, 182])

    def test_several_requests_that_found_one_token_dead_count_once(self):
        rule = Rule()
        rule.rejected(0, 7)
        rule.rejected(0, 7)
        self.assertEqual(rule.served(0, 7), 2)
        rule.rejected(1, 7)
        rule.rejected(1, 6)
        self.assertEqual(rule.served(1, 7), 2)
        self.assertIsNone(rule.served(2, 7))
        rule.rejected(3, 7)
        self.assertEqual(rule.served(3, 7), 7)

    def test_the_page_has_the_rows_of_this_table(self):
        lines = (ROOT / "docs/uploader.md").read_text().splitlines()
        start = next(index for index, line in enumerate(lines) if line.startswith("| error |")) + 2
        told = []
        for line in lines[start:]:
            if not line.startswith("|"):
                break
            cells = [cell.strip() for cell in line.split("|")]
            seconds = [int(cell.removesuffix(" s").replace(",", "")) for cell in cells[3:5] if cell != "-"]
            told.append((tuple(cells[1].split("`")[1::2]), tuple(seconds) or None, cells[5] == "yes"))
        ours = [(row.errors, row.pause, row.until_news) for row in ROWS]
        self.assertEqual(told, [*ours, ((), SAME_TOKEN, True)])
