//! The mutants that the laws beside I1–I9 have to find.

use super::*;

#[expect(clippy::too_many_lines, reason = "a list, one entry for each law")]
pub(super) fn mutants() -> Vec<(&'static str, Stage, Mutant)> {
    vec![
        (
            "refreshes_are_five_seconds_apart",
            REFRESH,
            asks(|sim, _| sim.world.history.refreshed = Some(sim.world.real)),
        ),
        (
            "an_answer_settles_only_what_came_before_it_was_sent",
            (YOUNG, Budget { asks: 1, ..NOTHING }, &[Ask::RejectCurrent]),
            asks(|sim, effects| {
                // A 2xx answers whoever waits, also who rejected the token after it had been asked
                // about.
                let Some(answering) = &sim.world.answering else { return };
                if matches!(answering.answer, Answer::Probe(ProbeAnswer::Accepted(_))) {
                    let late = sim
                        .world
                        .calls
                        .iter()
                        .filter(|call| call.id.0 >= answering.flight.calls);
                    effects.extend(late.map(|call| Effect::Reply(call.id, Ok(Reply::Done))));
                }
            }),
        ),
        (
            "a_refresh_has_a_reason",
            (YOUNG, ONE_WAIT, &[]),
            told(|event| {
                if matches!(
                    event,
                    Event::Answered {
                        answer: Answer::Probe(_),
                        ..
                    }
                ) {
                    *event = Event::PolicyChanged(Policy {
                        refresh_at_percent: 1,
                        ..eager()
                    });
                }
            }),
        ),
        (
            "a_candidate_takes_over_by_the_servers_word_alone",
            (
                Start::Candidate {
                    age: Duration::from_secs(60),
                },
                Budget { faults: 1, ..NOTHING },
                &[],
            ),
            told(|event| {
                if let Event::Answered {
                    answer: Answer::Probe(answer @ ProbeAnswer::Failed(_)),
                    ..
                } = event
                {
                    *answer = ProbeAnswer::Rejected;
                }
            }),
        ),
        (
            "a_living_candidate_does_not_give_way_to_a_dead_pair",
            (
                Start::Candidate {
                    age: Duration::from_secs(60),
                },
                NOTHING,
                &[],
            ),
            told(|event| {
                if let Event::Answered {
                    answer: Answer::Probe(answer @ ProbeAnswer::Rejected),
                    ..
                } = event
                {
                    *answer = ProbeAnswer::Accepted(None);
                }
            }),
        ),
        (
            "a_rejected_token_comes_back_only_when_examined",
            (YOUNG, Budget { asks: 2, ..NOTHING }, &[Ask::RejectCurrent, Ask::Token]),
            told(|event| {
                if let Event::Call(_, Command::RejectAccessToken { client, .. }) = event {
                    client.connection += 1;
                }
            }),
        ),
        (
            "a_living_token_is_handed_out_whatever_clients_say",
            TOKEN,
            asks(|_, effects| {
                for effect in effects {
                    if let Effect::Reply(_, reply @ Ok(Reply::Token { .. })) = effect {
                        *reply = Err(CallError::ServerError);
                    }
                }
            }),
        ),
        (
            "a_refresh_uses_its_proven_connection",
            REFRESH,
            asks(|_, effects| {
                if let Some(Request::Refresh { on, .. }) = first_request(effects, is_refresh) {
                    *on = NEW_OP;
                }
            }),
        ),
        (
            "a_refresh_is_sent_only_while_inhibiting",
            REFRESH,
            asks(|_, effects| effects.retain(|effect| *effect != Effect::Inhibit)),
        ),
        (
            "a_sent_refresh_or_poll_is_never_cancelled",
            (
                BEFORE_ADVISORY,
                Budget {
                    asks: 1,
                    waits: 1,
                    ..NOTHING
                },
                &[Ask::Token],
            ),
            asks(|sim, effects| {
                let refresh = sim.world.in_flight.iter().find(|flight| is_refresh(&flight.request));
                effects.extend(refresh.map(|flight| Effect::Cancel(flight.op)));
            }),
        ),
        (
            "inhibit_and_release_alternate",
            REFRESH,
            asks(|_, effects| double(effects, |effect| *effect == Effect::Inhibit)),
        ),
        (
            "retry_after_is_waited_for",
            FAULT,
            told(|event| {
                if let Event::Answered { answer, .. } = event
                    && let Some(fault) = fault_mut(answer)
                {
                    fault.retry_after = None;
                }
            }),
        ),
        (
            "a_handed_token_is_not_known_to_be_dead",
            (
                YOUNG,
                Budget {
                    asks: 1,
                    forgets: 1,
                    ..NOTHING
                },
                &[Ask::Token],
            ),
            told(|event| {
                if let Event::Answered {
                    answer: Answer::Probe(answer @ ProbeAnswer::Rejected),
                    ..
                } = event
                {
                    *answer = ProbeAnswer::Accepted(None);
                }
            }),
        ),
        (
            "a_generation_names_one_token",
            (
                BEFORE_ADVISORY,
                Budget {
                    asks: 1,
                    waits: 1,
                    ..NOTHING
                },
                &[Ask::Token],
            ),
            asks(|_, effects| {
                each_reply(effects, |reply| {
                    if let Reply::Token { generation, .. } = reply {
                        *generation = Generation(1);
                    }
                });
            }),
        ),
        (
            "done_means_durable",
            UNPAIR,
            asks(|_, effects| {
                for effect in effects {
                    if let Effect::Store(_, Store::Record { slots, .. }) = effect {
                        *slots = Slots::One;
                    }
                }
            }),
        ),
        (
            "a_pairing_at_rest_is_in_both_generations",
            REFRESH,
            asks(|sim, effects| {
                // The second write is asked of nobody.
                let newest = sim.world.disk.newest.clone();
                effects.retain(|effect| match effect {
                    Effect::Store(_, Store::Record { record, .. }) => {
                        newest.as_ref().is_none_or(|newest| **record != *newest)
                    }
                    _ => true,
                });
            }),
        ),
        (
            "a_spilled_pairing_is_written_again",
            (
                BEFORE_ADVISORY,
                Budget {
                    disk: 1,
                    waits: 1,
                    ..NOTHING
                },
                &[],
            ),
            asks(|sim, _| {
                let spill = sim.world.disk.spill.as_ref();
                if spill.is_some_and(|spill| sim.world.disk.keeps(spill) == Kept::Spilled) {
                    sim.core.published.set_deadline(None);
                }
            }),
        ),
        (
            "an_unusable_record_is_written_over_for_people_alone",
            (Start::Foreign, NOTHING, &[]),
            asks(|_, effects| {
                let record = Box::new(Record {
                    generation: Generation(1),
                    grant: GrantId(1),
                    floor: None,
                    body: Body::Tombstone(Reason::ForeignRecord),
                });
                let slots = Slots::Both;
                effects.push(Effect::Store(NEW_OP, Store::Record { record, slots }));
            }),
        ),
        (
            "a_refused_revocation_is_told",
            (
                YOUNG,
                Budget {
                    asks: 1,
                    faults: 1,
                    ..NOTHING
                },
                &[Ask::Unpair],
            ),
            asks(|_, effects| effects.retain(|effect| *effect != Effect::Log(LogEvent::RevocationDropped))),
        ),
        (
            "a_refused_revocation_is_not_sent_again",
            (
                YOUNG,
                Budget {
                    asks: 1,
                    faults: 1,
                    ..NOTHING
                },
                &[Ask::Unpair],
            ),
            asks(|sim, effects| {
                if let Some(pair) = sim.world.history.refused.first()
                    && effects.contains(&Effect::Log(LogEvent::RevocationDropped))
                {
                    let token = crate::Revocable::Refresh(pair.refresh());
                    effects.push(Effect::Request(NEW_OP, Request::Revoke(token)));
                }
            }),
        ),
        (
            "nothing_is_revoked_while_paired",
            UNPAIR,
            asks(|sim, effects| {
                let revoked = effects.iter().find_map(|effect| match effect {
                    Effect::Store(_, Store::Revocations(list)) => list.first().map(|pending| pending.token.clone()),
                    _ => None,
                });
                if let Some(token) = revoked.filter(|_| !sim.world.is_in_flight(RequestKind::Probe)) {
                    effects.push(Effect::Request(NEW_OP, Request::Revoke(token)));
                }
            }),
        ),
        (
            "a_pending_revocation_goes_before_the_first_code_request",
            (
                YOUNG,
                Budget {
                    asks: 2,
                    faults: 1,
                    ..NOTHING
                },
                &[Ask::Unpair, START],
            ),
            asks(|sim, effects| {
                // The revocation that failed is forgotten in between.
                if effects.iter().any(|effect| matches!(effect, Effect::Publish(_))) {
                    sim.world.history.tried = 0;
                }
                let flow_runs = sim.flow_runs();
                if let Some(request) = first_request(effects, |request| matches!(request, Request::Revoke(_)))
                    && flow_runs
                {
                    *request = Request::DeviceCode;
                }
            }),
        ),
        (
            "no_ghost_device_in_the_project",
            UNPAIR,
            asks(|_, effects| {
                if let Some(Request::Revoke(token)) =
                    first_request(effects, |request| matches!(request, Request::Revoke(_)))
                {
                    *token = crate::Revocable::Refresh(Pair { family: 0, turn: 9 }.refresh());
                }
            }),
        ),
        (
            "an_approval_in_time_pairs",
            PAIR,
            asks(|sim, _| sim.world.history.promised = Some(77)),
        ),
        (
            "a_code_is_spent_once_and_with_its_proof",
            BROWSER,
            told(|event| {
                if let Event::Answered {
                    answer: Answer::Exchange(ExchangeAnswer::Failed(fault)),
                    ..
                } = event
                {
                    fault.kind = FaultKind::Offline;
                }
            }),
        ),
        (
            "a_listener_stands_only_while_a_browser_is_out",
            BROWSER,
            asks(|_, effects| effects.retain(|effect| !matches!(effect, Effect::Cancel(_)))),
        ),
        (
            "a_stray_redirect_changes_nothing",
            (
                Start::Fresh,
                Budget { asks: 2, ..NOTHING },
                &[START, Ask::Redirect(RedirectKind::Forged)],
            ),
            told(|event| {
                if let Event::Call(_, Command::CompletePairing(redirect)) = event {
                    redirect.state = state_of(0);
                }
            }),
        ),
        (
            "d3_stale_answers_are_dropped",
            SAMPLED,
            asks(|sim, _| {
                let later = sim.core.next_deadline().map(|at| at.after(Duration::from_millis(1)));
                sim.core.published.set_deadline(later);
            }),
        ),
        (
            "d4_publish_comes_before_replies",
            PAIR,
            asks(|_, effects| effects.sort_by_key(|effect| matches!(effect, Effect::Publish(_)))),
        ),
        (
            "d4_what_changed_is_published_once",
            REFRESH,
            asks(|_, effects| double(effects, |effect| matches!(effect, Effect::Publish(_)))),
        ),
        (
            "shutdown_starts_nothing_new",
            (
                YOUNG,
                Budget {
                    shutdowns: 1,
                    waits: 1,
                    ..NOTHING
                },
                &[],
            ),
            told(|event| {
                if *event == Event::Shutdown {
                    *event = Event::NetworkUp;
                }
            }),
        ),
        (
            "drained_means_that_nothing_is_left",
            (
                BEFORE_ADVISORY,
                Budget {
                    shutdowns: 1,
                    waits: 1,
                    ..NOTHING
                },
                &[],
            ),
            asks(|sim, effects| {
                if sim.world.history.stopping && sim.world.is_in_flight(RequestKind::Refresh) {
                    effects.push(Effect::Drained);
                }
            }),
        ),
        (
            "the_snapshot_makes_sense",
            REFRESH,
            asks(|sim, effects| each_snapshot(sim, effects, |snapshot| snapshot.paired = false)),
        ),
        (
            "the core never panics",
            REFRESH,
            told(|event| assert!(*event != Event::Tick, "planted")),
        ),
    ]
}
