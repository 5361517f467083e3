//! The mutants that I1–I9 have to find.

use super::*;

#[expect(clippy::too_many_lines, reason = "a list, one entry for each law")]
pub(super) fn mutants() -> Vec<(&'static str, Stage, Mutant)> {
    vec![
        (
            "i1_a_token_is_handed_out_only_when_durable",
            TOKEN,
            asks(|_, effects| {
                each_reply(effects, |reply| {
                    if let Reply::Token { access, .. } = reply {
                        let pair = Pair::of_access(access);
                        *access = Pair {
                            turn: pair.turn + 1,
                            ..pair
                        }
                        .access();
                    }
                });
            }),
        ),
        (
            "i1_the_snapshot_shows_only_what_is_durable",
            REFRESH,
            asks(|sim, effects| each_snapshot(sim, effects, |snapshot| snapshot.generation = Generation(7))),
        ),
        (
            "i1_the_disk_holds_what_is_handed_out",
            (
                Start::Candidate {
                    age: Duration::from_secs(60),
                },
                NOTHING,
                &[],
            ),
            asks(|_, effects| {
                each_reply(effects, |reply| {
                    if let Reply::Token { access, .. } = reply {
                        *access = Pair { family: 1, turn: 0 }.access();
                    }
                });
            }),
        ),
        (
            "i2_one_request_in_flight_per_grant",
            REFRESH,
            asks(|_, effects| {
                if let Some(Request::Refresh { token, .. }) = first_request(effects, is_refresh) {
                    let access = Pair::of_refresh(token).access();
                    effects.push(Effect::Request(NEW_OP, Request::Probe(access)));
                }
            }),
        ),
        (
            "i3_a_record_without_mark_holds_no_used_token",
            REFRESH,
            asks(|_, effects| {
                for pairing in effects.iter_mut().filter_map(paired_record) {
                    let pair = Pair::of_pair(&pairing.pair);
                    if pairing.mark.is_none() && pair.turn > 0 {
                        pairing.pair.refresh = Some(
                            Pair {
                                turn: pair.turn - 1,
                                ..pair
                            }
                            .refresh(),
                        );
                    }
                }
            }),
        ),
        (
            "i4_polls_keep_their_interval",
            (
                Start::Fresh,
                Budget {
                    asks: 1,
                    waits: 1,
                    ..NOTHING
                },
                &[START],
            ),
            asks(|sim, _| {
                for pace in &mut sim.world.history.paces {
                    pace.not_before = u64::MAX;
                }
            }),
        ),
        (
            "i5_never_wedged",
            (BEFORE_MANDATORY, Budget { waits: 2, ..NOTHING }, &[]),
            asks(|_, effects| effects.retain(|effect| !matches!(effect, Effect::Request(_, Request::Prepare)))),
        ),
        (
            "an_unpair_that_came_too_late_to_answer_is_carried_out",
            (
                YOUNG,
                Budget {
                    asks: 1,
                    stalls: 1,
                    ..NOTHING
                },
                &[Ask::Unpair],
            ),
            asks(|_, effects| {
                effects.retain(|effect| {
                    let Effect::Store(_, Store::Record { record, .. }) = effect else {
                        return true;
                    };
                    !matches!(record.body, Body::Tombstone(Reason::Unpaired))
                });
            }),
        ),
        (
            "i5_unpaired_says_what_a_person_must_do",
            (
                BEFORE_ADVISORY,
                Budget {
                    forgets: 1,
                    waits: 1,
                    ..NOTHING
                },
                &[],
            ),
            asks(|sim, effects| each_snapshot(sim, effects, |snapshot| snapshot.attention = false)),
        ),
        (
            "i5_a_token_handed_out_at_rest_lives",
            REFRESH,
            asks(|_, effects| {
                each_reply(effects, |reply| {
                    if let Reply::Token { access, .. } = reply {
                        *access = Pair { family: 0, turn: 0 }.access();
                    }
                });
            }),
        ),
        (
            "i6_replies_answer_open_calls",
            TOKEN,
            asks(|_, effects| double(effects, |effect| matches!(effect, Effect::Reply(..)))),
        ),
        (
            "i6_every_call_is_answered_in_time",
            TOKEN,
            asks(|_, effects| effects.retain(|effect| !matches!(effect, Effect::Reply(..)))),
        ),
        (
            "i7_a_tick_moves_the_deadline_forward",
            REFRESH,
            asks(|sim, _| sim.core.published.set_deadline(Some(sim.world.boot_time()))),
        ),
        (
            "i7_no_retry_without_delay",
            FAULT,
            asks(|_, effects| {
                let offline = |effect: &Effect| {
                    matches!(
                        effect,
                        Effect::Log(LogEvent::RefreshFailed {
                            fault: FaultKind::Offline,
                            ..
                        })
                    )
                };
                if effects.iter().any(offline) {
                    effects.push(Effect::Request(NEW_OP, Request::Prepare));
                }
            }),
        ),
        (
            "i7_no_burst_of_requests",
            REFRESH,
            asks(|_, effects| {
                if first_request(effects, |request| *request == Request::Prepare).is_some() {
                    effects.extend((0..12).map(|n| Effect::Request(OpId(NEW_OP.0 + n), Request::Prepare)));
                }
            }),
        ),
        (
            "i8_nothing_printed_holds_a_secret",
            SAMPLED,
            asks(|sim, effects| each_snapshot(sim, effects, |snapshot| snapshot.device.name = CANARY.into())),
        ),
        (
            "i9_sends_are_counted_on_disk_first",
            REFRESH,
            asks(|_, effects| {
                effects
                    .iter_mut()
                    .filter_map(paired_record)
                    .for_each(|pairing| pairing.mark = None);
            }),
        ),
        (
            "i9_only_a_verdict_or_the_user_ends_a_pairing",
            FAULT,
            told(|event| {
                if let Event::Answered {
                    answer: Answer::Refresh(answer @ RefreshAnswer::Failed(_)),
                    ..
                } = event
                {
                    *answer = RefreshAnswer::InvalidGrant;
                }
            }),
        ),
    ]
}
