"""The wiring on a real bus: each error ends in its row, and news ends its pause."""

import asyncio
import time
import unittest

from dbus_fast import Message

from c2c_auth import NAME, PATH, TokenError, TokenSource

from fake import World, until

OURS, BUS = "org.cameratocloud.Auth1.Error.", "org.freedesktop.DBus.Error."


class TheSource(unittest.IsolatedAsyncioTestCase):
    async def test_each_error_ends_in_its_row_and_news_ends_the_pause(self):
        for error, why in (
            (OURS + "NotPaired", "not-paired"),
            (OURS + "Offline", "no-token"),
            (OURS + "StorageFailed", "no-token"),
            (BUS + "Timeout", "no-token"),
            (BUS + "LimitsExceeded", "too-often"),
            (OURS + "ClientRejected", "not-accepted"),
            (OURS + "NotProvisioned", "not-accepted"),
            (BUS + "AccessDenied", "refused"),
        ):
            async with World() as world:
                source = await TokenSource.on(await world.connect())
                world.tokens.error = error
                with self.assertRaises(TokenError) as told:
                    await source.token()
                self.assertEqual((told.exception.row.why, str(told.exception)), (why, "refused"))
                self.assertEqual(told.exception.for_a_person, why in ("not-accepted", "refused"))
                world.tokens.error = None
                if told.exception.final:
                    with self.assertRaises(TokenError):
                        await source.token()
                    self.assertEqual(world.tokens.calls, ["GetAccessToken"])
                    continue
                world.tokens.AccessTokenChanged()
                asked = time.monotonic()
                self.assertEqual((await source.token()).generation, 7)
                took = time.monotonic() - asked
                self.assertTrue(1 <= took < 4 if why == "too-often" else took < 4, (error, took))

    async def test_a_call_that_is_cancelled_before_its_answer_leaves_its_news_to_the_next(self):
        for error, is_owner in ((OURS + "NotPaired", False), (OURS + "NotPaired", True), (OURS + "ClientRejected", False)):
            async with World() as world:
                source = await TokenSource.on(await world.connect())
                world.tokens.error = error
                with self.assertRaises(TokenError):
                    await source.token()
                world.tokens.error = None
                world.tokens.answers.clear()
                # The first one is cancelled in its wait, the second one in its call, the third one waits for its turn meanwhile.
                waits = asyncio.ensure_future(source.token())
                await asyncio.sleep(0)
                asks, waits_for_turn = asyncio.ensure_future(source.token()), asyncio.ensure_future(source.token())
                waits.cancel()
                if is_owner:
                    await world.leave()
                    await world.come_back()
                else:
                    world.tokens.AccessTokenChanged()
                await until(lambda: len(world.tokens.calls) == 2)
                asks.cancel()
                await until(lambda: len(world.tokens.calls) == 3)
                waits_for_turn.cancel()
                await asyncio.wait({waits, asks, waits_for_turn})
                world.tokens.answers.set()
                self.assertEqual((await asyncio.wait_for(source.token(), 4)).generation, 7, error)
                self.assertFalse(source._news.is_set(), "the answer spends it")

    async def test_without_a_daemon_the_next_owner_is_waited_for(self):
        async with World() as world:
            await world.leave()
            source = await TokenSource.on(await world.connect())
            with self.assertRaises(TokenError) as told:
                await source.token()
            self.assertEqual(told.exception.row.why, "no-daemon")
            await world.come_back()
            asked = time.monotonic()
            self.assertEqual((await source.token()).access_token, "token")
            self.assertLess(time.monotonic() - asked, 4)

    async def test_a_signal_of_a_stranger_is_no_news(self):
        async with World() as world:
            source = await TokenSource.on(await world.connect())
            stranger = await world.connect()
            # A bus delivers a signal that names its receiver, whatever the match rules say.
            forged = Message.new_signal(PATH, f"{NAME}.Tokens", "AccessTokenChanged", "t", [8])
            forged.destination = source._connection.bus.unique_name
            await stranger.bus.send(forged)
            await stranger.call("org.freedesktop.DBus.Peer", "Ping", destination="org.freedesktop.DBus")
            # The bus keeps the order: an answer comes after the signal.
            await source._ask_bus("GetId", "")
            self.assertFalse(source._news.is_set())
            world.tokens.AccessTokenChanged()
            await until(source._news.is_set)

    async def test_a_rejected_token_is_held_back_and_not_shown(self):
        async with World() as world:
            source = await TokenSource.on(await world.connect())
            token = await source.token()
            self.assertNotIn("'token'", repr(token))
            await source.rejected(token.generation)
            asked = time.monotonic()
            again = await source.token()
            self.assertGreaterEqual(time.monotonic() - asked, 1.99)
            self.assertIn(again.expires_in, (58, 59))
            self.assertIn("RejectAccessToken", world.tokens.calls)

    async def test_a_lost_bus_is_final_also_for_one_who_waits(self):
        async with World() as world:
            source = await TokenSource.on(await world.connect())
            world.tokens.error = OURS + "NotPaired"
            with self.assertRaises(TokenError):
                await source.token()
            world.stop()
            with self.assertRaises(TokenError) as told:
                await source.token()
            self.assertTrue(told.exception.final)
            await until(lambda: not world.daemon.connected)
