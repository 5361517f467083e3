//! Pairing by a browser (RFC 6749 §4.1), and providers whose grants are strangers to each other.

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

fn start() -> Scene {
    let none = Stored {
        record: Loaded::Missing,
        kept: Kept::Twice,
        revocations: vec![],
        flow: None,
    };
    let mut scene = Scene::with(by_browser(), Provisioning::Ready, none);
    scene.start_pairing(false);
    scene
}

/// An address is on show; its state is `s1`.
fn browsing() -> Scene {
    let mut scene = start();
    authorize(&mut scene, 1);
    scene
}

fn paired() -> Scene {
    let mut scene = browsing();
    let call = redirect(&mut scene, 1, code());
    exchange(&mut scene, ExchangeAnswer::Granted(grant(1)));
    assert_eq!(scene.reply(call), Some(&Ok(Reply::Done)));
    assert!(scene.core.snapshot().paired);
    scene
}

fn authorize(scene: &mut Scene, n: u32) {
    let ready = Authorization {
        state: StateParameter::new(format!("s{n}")),
        verifier: CodeVerifier::new(format!("v{n}")),
        authorization_uri: UserCode::new(format!("https://example.test/auth?state=s{n}")),
        redirect_uri: "http://127.0.0.1:9/back".into(),
    };
    scene.answer(is_authorize, Answer::Authorize(AuthorizeAnswer::Ready(ready)));
}

fn code() -> RedirectOutcome {
    RedirectOutcome::Code(AuthorizationCode::new("c1".into()))
}

fn redirect(scene: &mut Scene, n: u32, outcome: RedirectOutcome) -> CallId {
    scene.call(Command::CompletePairing(Redirect {
        state: StateParameter::new(format!("s{n}")),
        outcome,
    }))
}

/// The second flow beside a pairing: the browser is back with its code.
fn come_back_again(scene: &mut Scene) {
    scene.start_pairing(true);
    authorize(scene, 2);
    redirect(scene, 2, code());
}

/// The refresh token that is being revoked.
fn revoked(scene: &mut Scene) -> String {
    match scene.take(is_revoke) {
        Some((_, Request::Revoke(Revocable::Refresh(token)))) => token.expose().to_owned(),
        other => panic!("{other:?}"),
    }
}

/// The process died, and starts again from what the disk holds.
fn restart(scene: &Scene) -> Scene {
    let now = scene.now.as_millis() + 1;
    Scene::start(by_browser(), Provisioning::Ready, scene.stored(), BOOT, now, true)
}

fn exchange(scene: &mut Scene, answer: ExchangeAnswer) {
    scene.answer(is_exchange, Answer::Exchange(answer));
}

#[test]
fn pairs_through_the_same_states_and_answers_the_redirect_when_it_is_durable() {
    let mut scene = start();
    assert_eq!(scene.state(), (PairingState::RequestingCode, Reason::None));
    authorize(&mut scene, 1);
    assert_eq!(scene.state(), (PairingState::AwaitingUser, Reason::None));
    let shown = scene.call(Command::GetPairingCode);
    match scene.reply(shown) {
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
    scene.hold_stores = true;
    let call = redirect(&mut scene, 1, code());
    let (op, request) = scene.take(is_exchange).unwrap();
    assert_eq!(
        request,
        Request::Exchange {
            code: AuthorizationCode::new("c1".into()),
            verifier: CodeVerifier::new("v1".into()),
            redirect_uri: "http://127.0.0.1:9/back".into(),
            state: StateParameter::new("s1".into()),
        }
    );
    scene.event(Event::Answered {
        op,
        date: None,
        answer: Answer::Exchange(ExchangeAnswer::Granted(grant(1))),
    });
    assert!(scene.reply(call).is_none(), "not yet durable");
    assert!(!scene.core.snapshot().paired);
    while scene.stores_pending() {
        scene.finish_store();
    }
    assert_eq!(scene.reply(call), Some(&Ok(Reply::Done)));
    assert_eq!(scene.state(), (PairingState::Paired, Reason::None));
    assert_eq!(scene.cancelled.len(), 1, "the listener is closed");
    scene.hold_stores = false;
    let token = scene.get_token(None);
    assert_eq!(scene.token(token), "a1");
}

#[test]
fn a_wrong_or_repeated_state_is_refused_and_disturbs_nothing() {
    let mut scene = browsing();
    let forged = redirect(&mut scene, 7, code());
    assert_eq!(scene.error(forged), CallError::WrongState);
    let forged = redirect(&mut scene, 7, RedirectOutcome::Denied);
    assert_eq!(scene.error(forged), CallError::WrongState);
    assert!(scene.requests.is_empty());
    assert_eq!(scene.state().0, PairingState::AwaitingUser);
    let call = redirect(&mut scene, 1, code());
    let again = redirect(&mut scene, 1, code());
    assert_eq!(scene.error(again), CallError::WrongState, "a code is used once");
    exchange(&mut scene, ExchangeAnswer::Granted(grant(1)));
    assert_eq!(scene.reply(call), Some(&Ok(Reply::Done)));
}

#[test]
fn without_a_flow_or_with_another_grant_there_is_nothing_to_complete() {
    let mut scene = paired();
    let call = redirect(&mut scene, 1, code());
    assert_eq!(scene.error(call), CallError::NoPairing);
    let mut device = Scene::unpaired();
    let call = redirect(&mut device, 1, code());
    assert_eq!(device.error(call), CallError::NotByRedirect);
}

#[test]
fn the_users_no_ends_the_flow() {
    let mut scene = browsing();
    let call = redirect(&mut scene, 1, RedirectOutcome::Denied);
    assert_eq!(scene.error(call), CallError::NoPairing);
    assert_eq!(scene.state(), (PairingState::Unpaired, Reason::Denied));
    assert_eq!(scene.cancelled.len(), 1, "the listener is closed");
}

#[test]
fn a_server_that_refuses_the_client_ends_the_flow() {
    let mut scene = browsing();
    redirect(&mut scene, 1, RedirectOutcome::ClientRejected(OAuthErrorCode::Scope));
    assert_eq!(scene.state(), (PairingState::Unpaired, Reason::ClientRejected));
    assert!(
        scene.notes.contains(&Note::ClientRejected {
            objection: OAuthErrorCode::Scope,
            paired: false
        }),
        "said in the server's words, and no pairing is spoken of"
    );
    let mut scene = browsing();
    let call = redirect(&mut scene, 1, code());
    exchange(&mut scene, ExchangeAnswer::ClientRejected(OAuthErrorCode::Client));
    assert_eq!(scene.error(call), CallError::ClientRejected);
    assert_eq!(scene.state(), (PairingState::Unpaired, Reason::ClientRejected));
}

#[test]
fn a_code_that_buys_nothing_is_told_in_the_servers_words() {
    let mut scene = browsing();
    redirect(&mut scene, 1, code());
    exchange(&mut scene, ExchangeAnswer::Dead(OAuthErrorCode::Request, None));
    assert!(scene.notes.contains(&Note::CodeRefused {
        objection: OAuthErrorCode::Request,
        word: None,
    }));
}

#[test]
fn a_code_that_buys_nothing_or_may_be_spent_is_not_sent_again_and_the_user_is_asked_anew() {
    for (answer, error, reason) in [
        (
            ExchangeAnswer::Dead(OAuthErrorCode::Grant, None),
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
        let mut scene = browsing();
        let call = redirect(&mut scene, 1, code());
        exchange(&mut scene, answer);
        assert_eq!(scene.error(call), error);
        assert_eq!(scene.state(), (PairingState::RequestingCode, reason));
        scene.advance(secs(10));
        assert!(!scene.out(is_exchange));
        authorize(&mut scene, 2);
        let old = redirect(&mut scene, 1, code());
        assert_eq!(scene.error(old), CallError::WrongState);
        redirect(&mut scene, 2, code());
        exchange(&mut scene, ExchangeAnswer::Granted(grant(1)));
        assert!(scene.core.snapshot().paired);
    }
}

#[test]
fn a_code_that_was_surely_not_spent_is_sent_again() {
    for kind in [FaultKind::Offline, FaultKind::RateLimited, FaultKind::Refused] {
        let mut scene = browsing();
        let call = redirect(&mut scene, 1, code());
        exchange(&mut scene, ExchangeAnswer::Failed(fault(kind)));
        assert!(scene.reply(call).is_none());
        assert!(!scene.out(is_exchange), "not at once");
        scene.advance(secs(30));
        exchange(&mut scene, ExchangeAnswer::Granted(grant(1)));
        assert!(scene.core.snapshot().paired);
    }
}

#[test]
fn the_network_coming_back_brings_the_code_forward() {
    let mut scene = browsing();
    redirect(&mut scene, 1, code());
    for _ in 0..4 {
        exchange(&mut scene, ExchangeAnswer::Failed(fault(FaultKind::Offline)));
        scene.advance(secs(30));
    }
    exchange(&mut scene, ExchangeAnswer::Failed(fault(FaultKind::Offline)));
    scene.advance(secs(6));
    assert!(!scene.out(is_exchange), "this test can fail");
    scene.event(Event::NetworkUp);
    assert!(scene.out(is_exchange));
}

#[test]
fn the_flow_does_not_give_up_while_the_code_is_being_spent() {
    let mut scene = browsing();
    scene.advance(secs(599));
    redirect(&mut scene, 1, code());
    scene.advance(secs(20));
    assert!(scene.out(is_exchange));
    exchange(&mut scene, ExchangeAnswer::Granted(grant(1)));
    assert!(scene.core.snapshot().paired);
    let mut idle = browsing();
    idle.advance(secs(601));
    assert_eq!(idle.state(), (PairingState::Unpaired, Reason::GaveUp));
    assert_eq!(idle.cancelled.len(), 1, "the listener ends with the flow");
}

#[test]
fn a_redirect_has_its_answer_within_twenty_seconds() {
    let mut scene = browsing();
    let call = redirect(&mut scene, 1, code());
    scene.advance(secs(20));
    assert_eq!(scene.error(call), CallError::Timeout);
    exchange(&mut scene, ExchangeAnswer::Granted(grant(1)));
    assert!(scene.core.snapshot().paired, "the work goes on");
}

#[test]
fn a_pair_that_comes_after_cancel_is_revoked() {
    let mut scene = browsing();
    redirect(&mut scene, 1, code());
    scene.call(Command::CancelPairing);
    assert!(scene.out(is_exchange), "a code that was sent is never cancelled");
    exchange(&mut scene, ExchangeAnswer::Granted(grant(1)));
    assert!(!scene.core.snapshot().paired);
    assert!(scene.out(is_revoke));
}

#[test]
fn a_late_pair_beside_a_strangers_grant_is_revoked_and_the_living_one_kept() {
    let mut scene = paired();
    scene.advance(secs(6));
    come_back_again(&mut scene);
    scene.call(Command::CancelPairing);
    exchange(&mut scene, ExchangeAnswer::Granted(grant(2)));
    assert!(scene.on_disk().candidate.is_none());
    assert_eq!(revoked(&mut scene), "r2");
    let token = scene.get_token(None);
    assert_eq!(scene.token(token), "a1");
}

#[test]
fn a_replaced_grant_is_revoked_once_the_new_one_is_durable() {
    let mut scene = paired();
    scene.advance(secs(6));
    come_back_again(&mut scene);
    scene.hold_stores = true;
    exchange(&mut scene, ExchangeAnswer::Granted(grant(2)));
    scene.finish_store();
    assert_eq!(scene.revocations.len(), 1, "on the list before it gives way");
    assert!(!scene.out(is_revoke));
    let restarted = restart(&scene);
    assert_eq!(restarted.access_on_disk(), "a1");
    assert!(
        restarted.revocations.is_empty(),
        "a crash in between leaves the old one alive"
    );
    scene.hold_stores = false;
    scene.event(Event::Tick);
    assert_eq!(revoked(&mut scene), "r1");
    let restarted = restart(&scene);
    assert!(
        restarted.out(is_revoke),
        "and it is tried across restarts, beside the new pairing"
    );
}

#[test]
fn a_refresh_that_flies_while_its_grant_gives_way_is_revoked_by_its_newest_token() {
    let mut scene = paired();
    scene.advance(secs(28_800 * 83 / 100));
    scene.prepare(PrepareAnswer::Ready);
    come_back_again(&mut scene);
    exchange(&mut scene, ExchangeAnswer::Granted(grant(9)));
    assert!(!scene.out(is_revoke), "nobody knows yet which token is the newest");
    scene.refresh(RefreshAnswer::Granted(grant(2)));
    assert_eq!(revoked(&mut scene), "r2");
    let token = scene.get_token(None);
    assert_eq!(scene.token(token), "a9");
}

#[test]
fn a_refresh_answer_without_a_refresh_token_keeps_the_one_in_hand() {
    let mut scene = paired();
    scene.advance(secs(28_800 * 83 / 100));
    scene.prepare(PrepareAnswer::Ready);
    scene.refresh(RefreshAnswer::Granted(TokenGrant {
        refresh: Ok(None),
        ..grant(2)
    }));
    assert_eq!(scene.on_disk().pair.refresh, Some(RefreshToken::new("r1".into())));
}

#[test]
fn without_a_resource_to_ask_a_rejection_leads_to_one_refresh_at_a_time() {
    let mut scene = paired();
    scene.get_token(None);
    scene.advance(secs(11));
    scene.reject(UPLOADER, 1);
    scene.prepare(PrepareAnswer::Ready);
    scene.refresh(RefreshAnswer::Granted(grant(2)));
    scene.get_token(None);
    scene.reject(UPLOADER, 2);
    scene.advance(secs(290));
    assert!(!scene.out(is_prepare), "five minutes apart");
    scene.advance(secs(320));
    assert!(scene.out(is_prepare), "delayed, never forgotten");
}

#[test]
fn the_secrets_of_the_redirect_do_not_show_in_debug_output() {
    let mut scene = browsing();
    redirect(
        &mut scene,
        1,
        RedirectOutcome::Code(AuthorizationCode::new("canary-code".into())),
    );
    let printed = format!("{:?} {:?}", scene.core, scene.requests);
    for secret in ["canary-code", "\"v1\"", "\"s1\"", "state=s1"] {
        assert!(!printed.contains(secret), "{secret}");
    }
}
