//! Pairing by a browser (RFC 6749 §4.1), and providers that keep separate grants.

use super::*;

/// A provider of the code grant, without any resource to ask.
fn by_browser() -> Policy {
    Policy {
        grant: GrantKind::Code,
        separate_grants: true,
        can_probe: false,
        ..policy()
    }
}

fn start() -> Fixture {
    let none = Stored {
        record: Loaded::Missing,
        kept: Kept::Twice,
        revocations: vec![],
        flow: None,
        writable: true,
    };
    let mut fixture = Fixture::with(by_browser(), Provisioning::Ready, none);
    fixture.start_pairing(false);
    fixture
}

/// An address is on show; its state is `s1`.
pub(super) fn browsing() -> Fixture {
    let mut fixture = start();
    authorize(&mut fixture, 1);
    fixture
}

fn paired() -> Fixture {
    let mut fixture = browsing();
    let call = redirect(&mut fixture, 1, code());
    exchange(&mut fixture, ExchangeAnswer::Granted(grant(1)));
    assert_eq!(fixture.reply(call), Some(&Ok(Reply::Done)));
    assert!(fixture.core.snapshot().paired);
    fixture
}

fn authorize(fixture: &mut Fixture, n: u32) {
    let ready = Authorization {
        state: StateParameter::new(format!("s{n}")),
        verifier: CodeVerifier::new(format!("v{n}")),
        authorization_uri: UserCode::new(format!("https://example.test/auth?state=s{n}")),
        redirect_uri: "http://127.0.0.1:9/back".into(),
    };
    fixture.answer(is_authorize, Answer::Authorize(AuthorizeAnswer::Ready(ready)));
}

pub(super) fn code() -> RedirectOutcome {
    RedirectOutcome::Code(AuthorizationCode::new("c1".into()))
}

pub(super) fn redirect(fixture: &mut Fixture, n: u32, outcome: RedirectOutcome) -> CallId {
    fixture.call(Command::CompletePairing(Redirect {
        state: StateParameter::new(format!("s{n}")),
        outcome,
    }))
}

/// The second flow beside a pairing: the browser is back with its code.
fn come_back_again(fixture: &mut Fixture) {
    fixture.start_pairing(true);
    authorize(fixture, 2);
    redirect(fixture, 2, code());
}

/// A refresh is out, and the pairing that takes the place of its own is being written.
pub(super) fn replaced_while_a_refresh_is_out() -> Fixture {
    let mut fixture = paired();
    fixture.advance(secs(28_800 * 83 / 100));
    fixture.prepare(PrepareAnswer::Ready);
    come_back_again(&mut fixture);
    fixture.hold_stores = true;
    exchange(&mut fixture, ExchangeAnswer::Granted(grant(9)));
    fixture
}

/// The refresh token that is being revoked.
fn revoked(fixture: &mut Fixture) -> String {
    match fixture.take(is_revoke) {
        Some((_, Request::Revoke(Revocable::Refresh(token)))) => token.expose().to_owned(),
        other => panic!("{other:?}"),
    }
}

/// The process died, and starts again from what the disk holds.
fn restart(fixture: &Fixture) -> Fixture {
    let now = fixture.now.as_millis() + 1;
    Fixture::start(by_browser(), Provisioning::Ready, fixture.stored(), BOOT, now, true)
}

pub(super) fn exchange(fixture: &mut Fixture, answer: ExchangeAnswer) {
    fixture.answer(is_exchange, Answer::Exchange(answer));
}

#[test]
fn pairs_through_the_same_states_and_answers_the_redirect_when_it_is_durable() {
    let mut fixture = start();
    assert_eq!(fixture.state(), (PairingState::RequestingCode, Reason::None));
    authorize(&mut fixture, 1);
    assert_eq!(fixture.state(), (PairingState::AwaitingUser, Reason::None));
    let shown = fixture.call(Command::GetPairingCode);
    match fixture.reply(shown) {
        Some(Ok(Reply::Code(CodeView {
            prompt: Prompt::Browser { authorization_uri },
            expires_in,
            ..
        }))) => {
            assert_eq!(authorization_uri.expose(), "https://example.test/auth?state=s1");
            assert_eq!(*expires_in, secs(600), "it is good for the whole flow");
        }
        other => panic!("{other:?}"),
    }
    fixture.hold_stores = true;
    let call = redirect(&mut fixture, 1, code());
    let (op, request) = fixture.take(is_exchange).unwrap();
    assert_eq!(
        request,
        Request::Exchange {
            code: AuthorizationCode::new("c1".into()),
            verifier: CodeVerifier::new("v1".into()),
            redirect_uri: "http://127.0.0.1:9/back".into(),
            state: StateParameter::new("s1".into()),
        }
    );
    fixture.event(Event::Answered {
        op,
        date: None,
        answer: Answer::Exchange(ExchangeAnswer::Granted(grant(1))),
    });
    assert!(fixture.reply(call).is_none(), "not yet durable");
    assert!(!fixture.core.snapshot().paired);
    while fixture.stores_pending() {
        fixture.finish_store();
    }
    assert_eq!(fixture.reply(call), Some(&Ok(Reply::Done)));
    assert_eq!(fixture.state(), (PairingState::Paired, Reason::None));
    assert_eq!(fixture.cancelled.len(), 1, "the listener is closed");
    fixture.hold_stores = false;
    let token = fixture.get_token(None);
    assert_eq!(fixture.token(token), "a1");
}

#[test]
fn a_wrong_or_repeated_state_is_refused_and_disturbs_nothing() {
    let mut fixture = browsing();
    let forged = redirect(&mut fixture, 7, code());
    assert_eq!(fixture.error(forged), CallError::WrongState);
    let forged = redirect(&mut fixture, 7, RedirectOutcome::Denied);
    assert_eq!(fixture.error(forged), CallError::WrongState);
    assert!(fixture.requests.is_empty());
    assert_eq!(fixture.state().0, PairingState::AwaitingUser);
    let call = redirect(&mut fixture, 1, code());
    let again = redirect(&mut fixture, 1, code());
    assert_eq!(fixture.error(again), CallError::WrongState, "a code is used once");
    exchange(&mut fixture, ExchangeAnswer::Granted(grant(1)));
    assert_eq!(fixture.reply(call), Some(&Ok(Reply::Done)));
}

#[test]
fn without_a_flow_or_with_another_grant_there_is_nothing_to_complete() {
    let mut fixture = paired();
    let call = redirect(&mut fixture, 1, code());
    assert_eq!(fixture.error(call), CallError::NoPairing);
    let mut device = Fixture::unpaired();
    let call = redirect(&mut device, 1, code());
    assert_eq!(device.error(call), CallError::NotByRedirect);
}

#[test]
fn the_users_no_ends_the_flow() {
    let mut fixture = browsing();
    let call = redirect(&mut fixture, 1, RedirectOutcome::Denied);
    assert_eq!(fixture.error(call), CallError::NoPairing);
    assert_eq!(fixture.state(), (PairingState::Unpaired, Reason::Denied));
    assert_eq!(fixture.cancelled.len(), 1, "the listener is closed");
}

#[test]
fn a_server_that_refuses_the_client_ends_the_flow() {
    let mut fixture = browsing();
    redirect(&mut fixture, 1, RedirectOutcome::ClientRejected(OAuthErrorCode::Scope));
    assert_eq!(fixture.state(), (PairingState::Unpaired, Reason::ClientRejected));
    assert!(
        fixture.events.contains(&LogEvent::ClientRejected {
            error: OAuthErrorCode::Scope,
            paired: false
        }),
        "said in the server's words, and no pairing is spoken of"
    );
    let mut fixture = browsing();
    let call = redirect(&mut fixture, 1, code());
    exchange(&mut fixture, ExchangeAnswer::ClientRejected(OAuthErrorCode::Client));
    assert_eq!(fixture.error(call), CallError::ClientRejected);
    assert_eq!(fixture.state(), (PairingState::Unpaired, Reason::ClientRejected));
}

#[test]
fn a_code_that_buys_nothing_is_told_in_the_servers_words() {
    let mut fixture = browsing();
    redirect(&mut fixture, 1, code());
    exchange(
        &mut fixture,
        ExchangeAnswer::InvalidGrant(OAuthErrorCode::Request, None),
    );
    assert!(fixture.events.contains(&LogEvent::CodeRefused {
        error: OAuthErrorCode::Request,
        word: None,
    }));
}

#[test]
fn a_code_that_buys_nothing_or_may_be_spent_is_not_sent_again_and_the_user_is_asked_anew() {
    for (answer, error, reason) in [
        (
            ExchangeAnswer::InvalidGrant(OAuthErrorCode::Grant, None),
            CallError::ServerError,
            Reason::CodeExpired,
        ),
        (
            ExchangeAnswer::Failed(fault(FaultKind::Lost)),
            CallError::Offline,
            Reason::Offline,
        ),
        (
            ExchangeAnswer::Failed(fault(FaultKind::Garbled)),
            CallError::ServerError,
            Reason::ServerError,
        ),
    ] {
        let mut fixture = browsing();
        let call = redirect(&mut fixture, 1, code());
        exchange(&mut fixture, answer);
        assert_eq!(fixture.error(call), error);
        assert_eq!(fixture.state(), (PairingState::RequestingCode, reason));
        fixture.advance(secs(10));
        assert!(!fixture.out(is_exchange));
        authorize(&mut fixture, 2);
        let old = redirect(&mut fixture, 1, code());
        assert_eq!(fixture.error(old), CallError::WrongState);
        redirect(&mut fixture, 2, code());
        exchange(&mut fixture, ExchangeAnswer::Granted(grant(1)));
        assert!(fixture.core.snapshot().paired);
    }
}

#[test]
fn a_code_that_was_surely_not_spent_is_sent_again() {
    for kind in [FaultKind::Offline, FaultKind::RateLimited, FaultKind::Refused] {
        let mut fixture = browsing();
        let call = redirect(&mut fixture, 1, code());
        exchange(&mut fixture, ExchangeAnswer::Failed(fault(kind)));
        assert!(fixture.reply(call).is_none());
        assert!(!fixture.out(is_exchange), "not at once");
        fixture.advance(secs(30));
        exchange(&mut fixture, ExchangeAnswer::Granted(grant(1)));
        assert!(fixture.core.snapshot().paired);
    }
}

#[test]
fn the_network_coming_back_brings_the_code_forward() {
    let mut fixture = browsing();
    redirect(&mut fixture, 1, code());
    for _ in 0..4 {
        exchange(&mut fixture, ExchangeAnswer::Failed(fault(FaultKind::Offline)));
        fixture.advance(secs(30));
    }
    exchange(&mut fixture, ExchangeAnswer::Failed(fault(FaultKind::Offline)));
    fixture.advance(secs(6));
    assert!(!fixture.out(is_exchange), "this test can fail");
    fixture.event(Event::NetworkUp);
    assert!(fixture.out(is_exchange));
}

#[test]
fn the_flow_does_not_give_up_while_the_code_is_being_spent() {
    let mut fixture = browsing();
    fixture.advance(secs(599));
    redirect(&mut fixture, 1, code());
    fixture.advance(secs(20));
    assert!(fixture.out(is_exchange));
    exchange(&mut fixture, ExchangeAnswer::Granted(grant(1)));
    assert!(fixture.core.snapshot().paired);
    let mut idle = browsing();
    idle.advance(secs(601));
    assert_eq!(idle.state(), (PairingState::Unpaired, Reason::GaveUp));
    assert_eq!(idle.cancelled.len(), 1, "the listener ends with the flow");
}

#[test]
fn a_redirect_has_its_answer_within_twenty_seconds() {
    let mut fixture = browsing();
    let call = redirect(&mut fixture, 1, code());
    fixture.advance(secs(20));
    assert_eq!(fixture.error(call), CallError::Timeout);
    exchange(&mut fixture, ExchangeAnswer::Granted(grant(1)));
    assert!(fixture.core.snapshot().paired, "the work goes on");
}

#[test]
fn a_pair_that_comes_after_cancel_is_revoked() {
    let mut fixture = browsing();
    redirect(&mut fixture, 1, code());
    fixture.call(Command::CancelPairing);
    assert!(fixture.out(is_exchange), "a code that was sent is never cancelled");
    exchange(&mut fixture, ExchangeAnswer::Granted(grant(1)));
    assert!(!fixture.core.snapshot().paired);
    assert!(fixture.out(is_revoke));
}

#[test]
fn a_late_pair_beside_a_strangers_grant_is_revoked_and_the_living_one_kept() {
    let mut fixture = paired();
    fixture.advance(secs(6));
    come_back_again(&mut fixture);
    fixture.call(Command::CancelPairing);
    exchange(&mut fixture, ExchangeAnswer::Granted(grant(2)));
    assert!(fixture.on_disk().candidate.is_none());
    assert_eq!(revoked(&mut fixture), "r2");
    let token = fixture.get_token(None);
    assert_eq!(fixture.token(token), "a1");
}

#[test]
fn a_replaced_grant_is_revoked_once_the_new_one_is_durable() {
    let mut fixture = paired();
    fixture.advance(secs(6));
    come_back_again(&mut fixture);
    fixture.hold_stores = true;
    exchange(&mut fixture, ExchangeAnswer::Granted(grant(2)));
    fixture.finish_store();
    assert_eq!(fixture.revocations.len(), 1, "on the list before it gives way");
    assert!(!fixture.out(is_revoke));
    let restarted = restart(&fixture);
    assert_eq!(restarted.access_on_disk(), "a1");
    assert!(
        restarted.revocations.is_empty(),
        "a crash in between leaves the old one alive"
    );
    fixture.hold_stores = false;
    fixture.event(Event::Tick);
    assert_eq!(revoked(&mut fixture), "r1");
    let restarted = restart(&fixture);
    assert!(
        restarted.out(is_revoke),
        "and it is tried across restarts, beside the new pairing"
    );
}

#[test]
fn a_refresh_that_flies_while_its_grant_gives_way_is_revoked_by_its_newest_token() {
    let mut fixture = paired();
    fixture.advance(secs(28_800 * 83 / 100));
    fixture.prepare(PrepareAnswer::Ready);
    come_back_again(&mut fixture);
    exchange(&mut fixture, ExchangeAnswer::Granted(grant(9)));
    assert!(!fixture.out(is_revoke), "nobody knows yet which token is the newest");
    fixture.refresh(RefreshAnswer::Granted(grant(2)));
    assert_eq!(revoked(&mut fixture), "r2");
    let token = fixture.get_token(None);
    assert_eq!(fixture.token(token), "a9");
}

#[test]
fn a_refresh_answer_without_a_refresh_token_keeps_the_one_in_hand() {
    let mut fixture = paired();
    fixture.advance(secs(28_800 * 83 / 100));
    fixture.prepare(PrepareAnswer::Ready);
    fixture.refresh(RefreshAnswer::Granted(TokenGrant {
        refresh: Ok(None),
        ..grant(2)
    }));
    assert_eq!(fixture.on_disk().pair.refresh, Some(RefreshToken::new("r1".into())));
}

#[test]
fn without_a_resource_to_ask_a_rejection_leads_to_one_refresh_at_a_time() {
    let mut fixture = paired();
    fixture.get_token(None);
    fixture.advance(secs(11));
    fixture.reject(UPLOADER, 1);
    fixture.prepare(PrepareAnswer::Ready);
    fixture.refresh(RefreshAnswer::Granted(grant(2)));
    fixture.get_token(None);
    fixture.reject(UPLOADER, 2);
    fixture.advance(secs(290));
    assert!(!fixture.out(is_prepare), "five minutes apart");
    fixture.advance(secs(320));
    assert!(fixture.out(is_prepare), "delayed, never forgotten");
}

#[test]
fn the_secrets_of_the_redirect_do_not_show_in_debug_output() {
    let mut fixture = browsing();
    redirect(
        &mut fixture,
        1,
        RedirectOutcome::Code(AuthorizationCode::new("canary-code".into())),
    );
    let printed = format!("{:?} {:?}", fixture.core, fixture.requests);
    for secret in ["canary-code", "\"v1\"", "\"s1\"", "state=s1"] {
        assert!(!printed.contains(secret), "{secret}");
    }
}
