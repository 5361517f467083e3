use std::collections::BTreeSet;

use super::*;
use c2c_auth_core::{ErrorCode, OAuthErrorCode, TOKEN_MAX, TokenKind, Unusable};

const MINUTE: Duration = Duration::from_secs(60);

fn entry_of(event: &LogEvent) -> Entry {
    Entry::because(event, None)
}

/// One of each, by an exhaustive match: a new event does not compile until it is listed here.
fn every_event() -> Vec<LogEvent> {
    let generation = Generation(9);
    let fault = FaultKind::Lost;
    let mut events = vec![LogEvent::CodeShown { expires_in: MINUTE }];
    while let Some(last) = events.last() {
        let next = match last {
            LogEvent::CodeShown { .. } => LogEvent::CodeRequestFailed {
                fault,
                retry_in: MINUTE,
            },
            LogEvent::CodeRequestFailed { .. } => LogEvent::BadUserCode,
            LogEvent::BadUserCode => LogEvent::StrayRedirect,
            LogEvent::StrayRedirect => LogEvent::ExchangeFailed { fault, retry_in: None },
            LogEvent::ExchangeFailed { .. } => LogEvent::CodeRefused {
                error: OAuthErrorCode::Grant,
                word: None,
            },
            LogEvent::CodeRefused { .. } => LogEvent::CodeEnded { word: None },
            LogEvent::CodeEnded { .. } => LogEvent::SlowedDown { interval: MINUTE },
            LogEvent::SlowedDown { .. } => LogEvent::FlowEnded {
                reason: Reason::GaveUp,
                word: None,
            },
            LogEvent::FlowEnded { .. } => LogEvent::Paired {
                generation,
                replaced: false,
                refreshable: true,
            },
            LogEvent::Paired { .. } => LogEvent::Refreshed {
                generation,
                expires_in: 480 * MINUTE,
            },
            LogEvent::Refreshed { .. } => LogEvent::TokenUnusable {
                token: TokenKind::Access,
                why: Unusable::TooLong(75_000),
                retry_in: MINUTE,
            },
            LogEvent::TokenUnusable { .. } => LogEvent::RefreshFailed {
                fault,
                retry_in: MINUTE,
                ambiguous: true,
                sends: 2,
            },
            LogEvent::RefreshFailed { .. } => LogEvent::ClientRejected {
                error: OAuthErrorCode::Scope,
                paired: true,
            },
            LogEvent::ClientRejected { .. } => LogEvent::PairingLost {
                reason: Reason::RefreshAnswerLost,
            },
            LogEvent::PairingLost { .. } => LogEvent::Unpaired,
            LogEvent::Unpaired => LogEvent::Revoked,
            LogEvent::Revoked => LogEvent::RevocationDropped,
            LogEvent::RevocationDropped => LogEvent::ReportContradicted {
                caller: 1000,
                generation,
            },
            LogEvent::ReportContradicted { .. } => LogEvent::ReportUnverified {
                caller: 1000,
                generation,
            },
            LogEvent::ReportUnverified { .. } => LogEvent::TokenRejected { generation },
            LogEvent::TokenRejected { .. } => LogEvent::StoreFailed,
            LogEvent::StoreFailed => LogEvent::StoreRecovered,
            LogEvent::StoreRecovered => LogEvent::RefreshTokenAging {
                age: Duration::from_secs(12 * 24 * 3600),
            },
            LogEvent::RefreshTokenAging { .. } => LogEvent::AuthorizationEnding {
                remaining: Duration::from_secs(2 * 24 * 3600),
            },
            LogEvent::AuthorizationEnding { .. } => LogEvent::RecordUnusable {
                reason: Reason::ForeignRecord,
            },
            LogEvent::RecordUnusable { .. } => LogEvent::RecordFellBack,
            LogEvent::RecordFellBack => LogEvent::RecordSpilled { doubted: true },
            LogEvent::RecordSpilled { .. } => LogEvent::FlowResumed,
            LogEvent::FlowResumed => break,
        };
        events.push(next);
    }
    events
}

#[test]
fn every_event_has_a_kind_of_its_own_and_a_whole_sentence() {
    let mut seen = BTreeSet::new();
    for event in every_event() {
        let entry = entry_of(&event);
        assert!(seen.insert(entry.kind.id), "{event:?} shares its id");
        assert!(Kind::ALL.contains(&entry.kind));
        let text = &entry.sentence;
        assert!(
            text.ends_with('.') && !text.contains('\n') && !text.contains("  "),
            "{text:?}"
        );
        assert!(text.starts_with(char::is_uppercase), "{text:?}");
    }
}

#[test]
fn ids_are_128_random_bits_and_words_are_kebab_case_and_neither_repeats() {
    let ids: BTreeSet<_> = Kind::ALL.iter().map(|kind| kind.id).collect();
    let words: BTreeSet<_> = Kind::ALL.iter().map(|kind| kind.word).collect();
    assert_eq!((ids.len(), words.len()), (Kind::ALL.len(), Kind::ALL.len()));
    for kind in Kind::ALL {
        assert!(
            kind.id.len() == 32
                && kind
                    .id
                    .bytes()
                    .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
        );
        assert!(
            kind.word.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'),
            "{}",
            kind.word
        );
    }
}

#[test]
fn ids_never_change() {
    // A sample of the table, written down a second time: these are API.
    assert_eq!(PAIRED.id, "0689bdc1edb0430894efb0b91c475fa3");
    assert_eq!(PAIRING_LOST.id, "63c27caa7ef04eaca829cc6bf729ba88");
    assert_eq!(REFRESHED.id, "8fd028cc304d4fa797f3486eeb1b107d");
}

#[test]
fn being_offline_is_information_and_a_lost_pairing_is_an_error() {
    let offline = LogEvent::RefreshFailed {
        fault: FaultKind::Offline,
        retry_in: MINUTE,
        ambiguous: false,
        sends: 0,
    };
    assert_eq!(entry_of(&offline).priority, Priority::Info);
    let ambiguous = LogEvent::RefreshFailed {
        fault: FaultKind::Lost,
        retry_in: MINUTE,
        ambiguous: true,
        sends: 1,
    };
    assert_eq!(entry_of(&ambiguous).priority, Priority::Warning);
    assert_eq!(
        entry_of(&LogEvent::PairingLost {
            reason: Reason::Revoked
        })
        .priority,
        Priority::Error
    );
    assert_eq!(
        entry_of(&LogEvent::FlowEnded {
            reason: Reason::Cancelled,
            word: None,
        })
        .priority,
        Priority::Info
    );
    assert_eq!(
        entry_of(&LogEvent::FlowEnded {
            reason: Reason::ClientRejected,
            word: None,
        })
        .priority,
        Priority::Error
    );
}

#[test]
fn structured_fields_carry_what_the_sentence_says() {
    let entry = entry_of(&LogEvent::ReportContradicted {
        caller: 1000,
        generation: Generation(4),
    });
    assert_eq!((entry.caller, entry.generation), (Some(1000), Some(Generation(4))));
    let entry = entry_of(&LogEvent::PairingLost {
        reason: Reason::Revoked,
    });
    assert_eq!(entry.reason, Some(Reason::Revoked));
}

#[test]
fn what_the_server_objects_to_is_named_with_the_setting_that_cures_it() {
    for (error, paired, said) in [
        (
            OAuthErrorCode::Client,
            true,
            ["invalid_client", "provider.client-id", "The pairing is kept"],
        ),
        (
            OAuthErrorCode::Scope,
            true,
            ["invalid_scope", "provider.scope", "The pairing is kept"],
        ),
    ] {
        let sentence = entry_of(&LogEvent::ClientRejected { error, paired }).sentence;
        for word in said {
            assert!(sentence.contains(word), "{word}: {sentence}");
        }
    }
    let error = OAuthErrorCode::Request;
    let sentence = entry_of(&LogEvent::ClientRejected { error, paired: false }).sentence;
    assert!(!sentence.contains("pairing"), "there is none: {sentence}");
    let entry = entry_of(&LogEvent::CodeRefused { error, word: None });
    assert!(entry.sentence.contains("provider.redirect-uri"), "{}", entry.sentence);
    assert_eq!(entry.priority, Priority::Warning);
}

#[test]
fn a_token_that_cannot_be_used_is_told_with_its_size_or_its_fault() {
    for (why, said) in [
        (Unusable::TooLong(75_000), "a token of 75000 bytes, 32,768 are taken"),
        (Unusable::TokenType, "token_type is not Bearer"),
        (Unusable::Characters, "characters that no token may hold"),
        (Unusable::Absent, "holds none"),
    ] {
        let retry_in = 15 * MINUTE;
        for (token, what) in [
            (TokenKind::Access, "access token cannot be used"),
            (TokenKind::Refresh, "refresh token cannot be used"),
        ] {
            let entry = entry_of(&LogEvent::TokenUnusable { token, why, retry_in });
            for part in [said, what, "15 min"] {
                assert!(entry.sentence.contains(part), "{}", entry.sentence);
            }
            assert_eq!(entry.priority, Priority::Error);
        }
    }
    assert_eq!(TOKEN_MAX, 32_768, "as the sentence says");
}

#[test]
fn a_word_of_no_standard_is_named_and_nobody_is_sent_to_look_for_a_portal() {
    let word = ErrorCode::new("bad_verification_code");
    for event in [
        LogEvent::CodeEnded { word: word.clone() },
        LogEvent::CodeRefused {
            error: OAuthErrorCode::Other,
            word: word.clone(),
        },
        LogEvent::FlowEnded {
            reason: Reason::ServerError,
            word,
        },
    ] {
        let sentence = entry_of(&event).sentence;
        assert!(sentence.contains("\"bad_verification_code\""), "{sentence}");
        assert!(!sentence.contains("portal"), "{sentence}");
    }
}

#[test]
fn the_entry_of_a_flow_that_the_server_ended_points_to_no_other_place_and_promises_no_retry() {
    let reason = Reason::ServerError;
    for (word, said) in [
        (
            ErrorCode::new("out_of_codes"),
            "Pairing failed: the server refused several pairing codes in a row, with the error \"out_of_codes\". That may be the \
             user's refusal in other words, or a setting at the server. Pair this device, on its screen or by: c2c-authctl pair.",
        ),
        (
            None,
            "Pairing failed: the server refused several codes in a row, or the only one, with nothing that can be named here. \
             That may be the user's refusal in other words, or a setting at the server. Pair this device, on its screen or by: \
             c2c-authctl pair.",
        ),
    ] {
        assert_eq!(entry_of(&LogEvent::FlowEnded { reason, word }).sentence, said);
    }
    for &reason in Reason::ALL {
        let sentence = entry_of(&LogEvent::FlowEnded { reason, word: None }).sentence;
        assert!(
            !sentence.contains("tries again") && !sentence.contains("newest code"),
            "{sentence}"
        );
    }
}

#[test]
fn spans_are_written_for_people() {
    let cases = [
        (Duration::from_millis(100), "less than a second"),
        (Duration::from_millis(500), "1 s"),
        (Duration::from_secs(40), "40 s"),
        (Duration::from_secs(90), "1 min 30 s"),
        (Duration::from_secs(8 * 3600), "8 h"),
        (Duration::from_secs(14 * 86_400 + 61), "14 d"),
    ];
    for (duration, text) in cases {
        assert_eq!(span(duration), text);
    }
}
