//! Pairing by a browser: the address to open, and the address it comes back with.

use super::*;

const AUTHORIZE: &str = "https://id.example/authorize?state=canary-authorize";

fn browsing() -> CodeView {
    CodeView {
        id: 9,
        prompt: Prompt::Browser {
            authorization_uri: UserCode::new(AUTHORIZE.into()),
        },
        device_name: String::new(),
        expires_in: Duration::from_secs(600),
    }
}

/// The next call gets this answer.
async fn answer_next(pair: &mut Pair, reply: Result<Reply, CallError>) -> Command {
    let call = pair.calls.recv().await.unwrap();
    call.reply.send(reply.map_err(Into::into)).unwrap();
    call.command
}

#[tokio::test(start_paused = true)]
async fn the_address_to_open_takes_the_place_of_the_code() {
    let mut pair = Pair::settled(everybody(), unpaired()).await;
    let started = pair.call(PAIRING, "StartPairing", (no_options(),));
    let reply = Reply::Started {
        code: browsing(),
        renew: true,
        replace: false,
        give_up_in: Duration::from_secs(600),
    };
    answer_next(&mut pair, Ok(reply)).await;
    let shown = pair.call(PAIRING, "GetPairingCode", ());
    answer_next(&mut pair, Ok(Reply::Code(browsing()))).await;
    for call in [started, shown] {
        let message = call.await.unwrap().unwrap();
        let told: HashMap<String, OwnedVariant> = message.body().deserialize().unwrap();
        assert_eq!(*told["authorization-uri"], Variant::from(AUTHORIZE));
        assert_eq!(*told["code-id"], Variant::from(9u64));
        for absent in ["user-code", "verification-uri", "verification-uri-complete"] {
            assert!(!told.contains_key(absent), "{absent}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_qr_code_holds_the_address_to_open() {
    let mut pair = Pair::settled(everybody(), unpaired()).await;
    let text = |what: &'static str| options([("format", "text".into()), ("what", what.into())]);
    let call = pair.call(PAIRING, "GetQrCode", (text("complete"),));
    answer_next(&mut pair, Ok(Reply::Code(browsing()))).await;
    let message = call.await.unwrap().unwrap();
    let (_, drawn): (String, Vec<u8>) = message.body().deserialize().unwrap();
    let wanted = qr::draw(AUTHORIZE, qr::Format::Text, qr::DEFAULT_SIZE).unwrap();
    assert_eq!(drawn, wanted);

    let call = pair.call(PAIRING, "GetQrCode", (text("uri"),));
    answer_next(&mut pair, Ok(Reply::Code(browsing()))).await;
    assert_eq!(failure(call.await.unwrap()).0, ErrorName::NotSupported);
}

#[tokio::test(start_paused = true)]
async fn an_address_that_is_handed_in_reaches_the_loop_as_what_it_says() {
    let mut pair = Pair::settled(everybody(), unpaired()).await;
    let call = pair.call(PAIRING, "CompletePairing", ("http://127.0.0.1/good",));
    let command = answer_next(&mut pair, Ok(Reply::Done)).await;
    call.await.unwrap().unwrap();
    let wanted = Redirect {
        state: StateParameter::new(STATE.into()),
        outcome: RedirectOutcome::Code(AuthorizationCode::new(AUTHORIZATION_CODE.into())),
    };
    assert_eq!(command, Command::CompletePairing(wanted));
}

#[tokio::test(start_paused = true)]
async fn an_address_that_says_nothing_never_reaches_the_loop_and_is_not_repeated() {
    let mut pair = Pair::settled(everybody(), unpaired()).await;
    let bad = "http://evil.example/?code=canary-stray&state=canary-stray";
    let (kind, text) = failure(pair.answered(PAIRING, "CompletePairing", (bad,)).await);
    assert_eq!(kind, ErrorName::InvalidArgs);
    assert!(
        text.len() > 30 && !text.contains("canary") && !text.contains("evil"),
        "{text}"
    );
    let none = "http://127.0.0.1/none";
    let (kind, _) = failure(pair.answered(PAIRING, "CompletePairing", (none,)).await);
    assert_eq!(kind, ErrorName::NotSupported);
    assert!(pair.calls.try_recv().is_err());
}

#[tokio::test(start_paused = true)]
async fn how_a_redirect_ended_is_told_by_the_names_of_the_contract() {
    use crate::messages::contract::ErrorName as K;
    let mut pair = Pair::settled(everybody(), unpaired()).await;
    for (error, kind) in [
        (CallError::WrongState, K::InvalidArgs),
        (CallError::NoPairing, K::NoPairing),
        (CallError::ClientRejected, K::ClientRejected),
        (CallError::ServerError, K::ServerError),
        (CallError::Offline, K::Offline),
        (CallError::Timeout, K::Timeout),
    ] {
        let call = pair.call(PAIRING, "CompletePairing", ("http://127.0.0.1/good",));
        answer_next(&mut pair, Err(error)).await;
        assert_eq!(failure(call.await.unwrap()).0, kind);
    }
}
