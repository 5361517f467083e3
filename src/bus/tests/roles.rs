//! The roles: who may call what, what reaches the loop, and what comes back.

use super::contract::contract;
use super::*;
use c2c_auth_core::{Client, LocalFault, PairingOptions};

/// A well-formed call of every method in the contract.
async fn call_any(pair: &mut Pair, interface: &'static str, method: &'static str) -> zbus::Result<Message> {
    match method {
        "StartPairing" | "GetQrCode" => pair.answered(interface, method, (no_options(),)).await,
        "GetPairingCode" | "CancelPairing" | "Unpair" => pair.answered(interface, method, ()).await,
        "CompletePairing" => pair.answered(interface, method, ("http://127.0.0.1/good",)).await,
        "GetAccessToken" => pair.answered(interface, method, (0u32,)).await,
        "RejectAccessToken" => pair.answered(interface, method, (1u64,)).await,
        other => panic!("{other} is new: say who may call it"),
    }
}

/// Every method of the contract.
fn methods() -> Vec<(&'static str, &'static str)> {
    let contract = contract();
    let mut methods = Vec::new();
    for interface in [PAIRING, TOKENS, DEVICE] {
        let node = contract
            .interfaces()
            .iter()
            .find(|node| node.name() == interface)
            .unwrap();
        methods.extend(
            node.methods()
                .map(|method| (interface, &*String::leak(method.name().to_string()))),
        );
    }
    assert_eq!(methods.len(), 8);
    methods
}

#[tokio::test(start_paused = true)]
async fn each_method_is_for_its_role_and_for_root_and_for_nobody_else() {
    let table = [
        ("ui", caller(1000, &[500]), true, false),
        ("uploader", caller(1001, &[600]), false, true),
        ("both", everybody(), true, true),
        ("root", caller(0, &[]), true, true),
        ("stranger", caller(1002, &[100]), false, false),
        ("no groups known", caller(1000, &[]), false, false),
    ];
    for (who, caller, ui, uploader) in table {
        let mut pair = Pair::settled(caller, paired()).await;
        for (interface, method) in methods() {
            let may = if interface == PAIRING { ui } else { uploader };
            let result = call_any(&mut pair, interface, method).await;
            let denied = result.is_err() && failure(result).0 == ErrorName::AccessDenied;
            assert_eq!(denied, !may, "{who} calls {method}");
        }
        assert!(pair.calls.try_recv().is_err());
    }
}

#[tokio::test(start_paused = true)]
async fn a_stranger_never_reaches_the_loop() {
    let mut pair = Pair::settled(caller(1002, &[100]), paired()).await;
    for (interface, method) in methods() {
        let (kind, text) = failure(call_any(&mut pair, interface, method).await);
        assert_eq!(kind, ErrorName::AccessDenied);
        assert!(
            text.contains("add this program's user to the group c2c-"),
            "the text names the cure: {text}"
        );
    }
    drop(pair.bus);
    assert!(pair.calls.recv().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_reload_of_the_roles_holds_from_the_next_call_on() {
    let mut pair = Pair::settled(caller(1001, &[600]), paired()).await;
    assert!(pair.answered(TOKENS, "GetAccessToken", (0u32,)).await.is_ok());
    pair.access.send_replace(Arc::default());
    assert_eq!(
        failure(pair.answered(TOKENS, "GetAccessToken", (0u32,)).await).0,
        ErrorName::AccessDenied
    );
    pair.access.send_replace(Arc::new(Access {
        ui: Vec::new(),
        uploader: vec![Principal::Uid(1001)],
    }));
    assert!(pair.answered(TOKENS, "GetAccessToken", (0u32,)).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn the_loop_gets_exactly_what_was_asked() {
    let mut pair = Pair::settled(everybody(), paired()).await;
    let seconds = Duration::from_secs;
    let start = |options| Command::StartPairing { caller: 1000, options };
    let given = options([
        ("renew", false.into()),
        ("replace", true.into()),
        ("give-up-after", 90u32.into()),
        ("timeout", 3u32.into()),
    ]);
    let client = Client {
        uid: 1000,
        connection: 0,
    };
    let token = |min_validity| Command::GetAccessToken { client, min_validity };

    let mut calls = Vec::new();
    let handles = [
        pair.call(PAIRING, "StartPairing", (no_options(),)),
        pair.call(PAIRING, "StartPairing", (given,)),
        pair.call(PAIRING, "GetPairingCode", ()),
        pair.call(PAIRING, "GetQrCode", (no_options(),)),
        pair.call(PAIRING, "CancelPairing", ()),
        pair.call(PAIRING, "Unpair", ()),
        pair.call(TOKENS, "GetAccessToken", (0u32,)),
        pair.call(TOKENS, "GetAccessToken", (u32::MAX,)),
        pair.call(TOKENS, "RejectAccessToken", (u64::MAX,)),
    ];
    for _ in 0..handles.len() {
        calls.push(pair.calls.recv().await.unwrap());
    }
    for expected in [
        start(PairingOptions {
            renew: true,
            replace: false,
            give_up_after: None,
            timeout: None,
        }),
        start(PairingOptions {
            renew: false,
            replace: true,
            give_up_after: Some(seconds(90)),
            timeout: Some(seconds(3)),
        }),
        Command::GetPairingCode,
        Command::GetPairingCode,
        Command::CancelPairing,
        Command::Unpair,
        token(None),
        token(Some(seconds(u32::MAX.into()))),
        Command::RejectAccessToken {
            client,
            newest: 0,
            generation: Generation(u64::MAX),
        },
    ] {
        // In any order: calls sent together may be carried out in any.
        let at = calls.iter().position(|call| call.command == expected);
        let call = calls.swap_remove(at.unwrap_or_else(|| panic!("{expected:?} did not arrive")));
        let good = answer(&call.command);
        call.reply.send(Ok(good)).unwrap();
    }
    for handle in handles {
        handle.await.unwrap().unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn answers_carry_what_the_contract_says() {
    let mut pair = Pair::settled(everybody(), paired()).await;
    let reply = pair.answered(TOKENS, "GetAccessToken", (0u32,)).await.unwrap();
    let token: (String, u32, u64) = reply.body().deserialize().unwrap();
    assert_eq!(token, (TOKEN.into(), 28_799, 1), "seconds are rounded down");

    let mut told = dictionary(&pair.answered(PAIRING, "GetPairingCode", ()).await.unwrap());
    let mut expected: HashMap<String, OwnedVariant> = [
        ("code-id", Variant::from(7u64)),
        ("user-code", USER_CODE.into()),
        ("verification-uri", ADDRESS.into()),
        ("verification-uri-complete", COMPLETE.into()),
        ("device-name", "Camera A".into()),
        ("expires-in", 119u32.into()),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_owned(), value.try_into().unwrap()))
    .collect();
    assert_eq!(told, expected);

    told = dictionary(&pair.answered(PAIRING, "StartPairing", (no_options(),)).await.unwrap());
    expected.insert("renew".into(), true.into());
    expected.insert("replace".into(), false.into());
    expected.insert("give-up-after".into(), 600u32.into());
    assert_eq!(told, expected);

    let call = pair.call(PAIRING, "GetPairingCode", ());
    let plain = without_complete_uri();
    pair.calls
        .recv()
        .await
        .unwrap()
        .reply
        .send(Ok(Reply::Code(plain)))
        .unwrap();
    let told = dictionary(&call.await.unwrap().unwrap());
    assert!(!told.contains_key("verification-uri-complete"), "absent, not empty");
}

#[tokio::test(start_paused = true)]
async fn a_qr_code_comes_in_three_formats_and_only_of_the_code_on_show() {
    let mut pair = Pair::settled(everybody(), paired()).await;
    for (format, media_type, text, size) in [
        ("png", "image/png", COMPLETE, 250),
        ("svg", "image/svg+xml", COMPLETE, 400),
        ("text", "text/plain;charset=utf-8", ADDRESS, 250),
    ] {
        let what = if text == COMPLETE { "complete" } else { "uri" };
        let asked = options([
            ("format", format.into()),
            ("what", what.into()),
            ("size", u32::into(size)),
            ("code-id", 7u64.into()),
        ]);
        let reply = pair.answered(PAIRING, "GetQrCode", (asked,)).await.unwrap();
        let (got, data): (String, Vec<u8>) = reply.body().deserialize().unwrap();
        assert_eq!(got, media_type);
        assert_eq!(Some(data), qr::draw(text, qr::Format::from_word(format).unwrap(), size));
    }
    let stale = options([("code-id", 6u64.into())]);
    assert_eq!(
        failure(pair.answered(PAIRING, "GetQrCode", (stale,)).await).0,
        ErrorName::NoPairing
    );

    let plain = without_complete_uri();
    let call = pair.call(PAIRING, "GetQrCode", (no_options(),));
    pair.calls
        .recv()
        .await
        .unwrap()
        .reply
        .send(Ok(Reply::Code(plain)))
        .unwrap();
    let (kind, text) = failure(call.await.unwrap());
    assert_eq!(kind, ErrorName::NotSupported);
    assert!(text.contains("url-pairing"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn an_option_that_is_unknown_or_of_another_type_is_named_and_nothing_starts() {
    let mut pair = Pair::settled(everybody(), paired()).await;
    for (method, key, value, told) in [
        ("StartPairing", "renwe", Variant::from(true), "renwe"),
        ("StartPairing", "renew", 1u32.into(), "renew"),
        ("StartPairing", "timeout", 3i32.into(), "timeout"),
        ("StartPairing", "give-up-after", "10min".into(), "give-up-after"),
        ("StartPairing", "code-id", 1u64.into(), "code-id"),
        ("GetQrCode", "format", "gif".into(), "gif"),
        ("GetQrCode", "format", true.into(), "format"),
        ("GetQrCode", "what", "secret".into(), "what"),
        ("GetQrCode", "size", 0u32.into(), "size"),
        ("GetQrCode", "size", 249u32.into(), "from 250 to 1000"),
        ("GetQrCode", "size", 1001u32.into(), "from 250 to 1000"),
        ("GetQrCode", "code-id", 7u32.into(), "code-id"),
        ("GetQrCode", "renew", true.into(), "renew"),
    ] {
        let (kind, text) = failure(pair.answered(PAIRING, method, (options([(key, value)]),)).await);
        assert_eq!(kind, ErrorName::InvalidArgs, "{method} {key}");
        assert!(text.contains(told), "{method} {key}: {text}");
    }
    drop(pair.bus);
    assert!(pair.calls.recv().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn each_error_of_the_core_has_its_name_and_a_text_with_a_cure() {
    use crate::messages::contract::ErrorName as K;
    // A new error does not compile here before it has its place in the list as well.
    let kind_of = |error| match error {
        CallError::NotProvisioned => K::NotProvisioned,
        CallError::NotPaired => K::NotPaired,
        CallError::AlreadyPaired => K::AlreadyPaired,
        CallError::NoPairing => K::NoPairing,
        CallError::Offline | CallError::Untrusted => K::Offline,
        CallError::ClockNotSet => K::ClockNotSet,
        CallError::ClientRejected => K::ClientRejected,
        CallError::ServerError | CallError::TokenRefused { .. } => K::ServerError,
        CallError::StorageFailed | CallError::FlowNotRemoved => K::StorageFailed,
        CallError::Timeout => K::Timeout,
        CallError::NotByRedirect => K::NotSupported,
        CallError::WrongState | CallError::UnknownGeneration => K::InvalidArgs,
        CallError::NotYours => K::AccessDenied,
        CallError::TooOften { .. } => K::LimitsExceeded,
        CallError::Local(fault) => match fault {
            LocalFault::PortTaken => K::AddressInUse,
            LocalFault::NoListener | LocalFault::NoEntropy => K::Failed,
            LocalFault::AnotherIssuer | LocalFault::NoEndpoint | LocalFault::NoS256 => K::NotSupported,
        },
    };
    let mut pair = Pair::settled(everybody(), paired()).await;
    for error in [
        CallError::NotProvisioned,
        CallError::NotPaired,
        CallError::AlreadyPaired,
        CallError::NoPairing,
        CallError::Offline,
        CallError::ClockNotSet,
        CallError::Untrusted,
        CallError::ClientRejected,
        CallError::ServerError,
        CallError::TokenRefused {
            wait: Duration::from_secs(240),
        },
        CallError::StorageFailed,
        CallError::FlowNotRemoved,
        CallError::Timeout,
        CallError::NotByRedirect,
        CallError::WrongState,
        CallError::UnknownGeneration,
        CallError::NotYours,
        CallError::TooOften {
            wait: Duration::from_secs(3),
        },
        CallError::Local(LocalFault::PortTaken),
        CallError::Local(LocalFault::NoListener),
        CallError::Local(LocalFault::NoEntropy),
        CallError::Local(LocalFault::AnotherIssuer),
        CallError::Local(LocalFault::NoEndpoint),
        CallError::Local(LocalFault::NoS256),
    ] {
        let call = pair.call(TOKENS, "GetAccessToken", (0u32,));
        pair.calls.recv().await.unwrap().reply.send(Err(error.into())).unwrap();
        let (got, text) = failure(call.await.unwrap());
        assert_eq!(got, kind_of(error));
        assert!(text.len() > 30, "{text}");
    }
    let (kind, _) = failure(
        pair.answered(PAIRING, "CompletePairing", ("http://127.0.0.1/none",))
            .await,
    );
    assert_eq!(kind, K::NotSupported);
}

#[tokio::test(start_paused = true)]
async fn a_stuck_loop_hangs_nobody_and_a_gone_one_says_so() {
    let mut pair = Pair::settled(everybody(), paired()).await;
    let start = tokio::time::Instant::now();
    let call = pair.call(TOKENS, "GetAccessToken", (0u32,));
    let kept = pair.calls.recv().await.unwrap();
    assert_eq!(failure(call.await.unwrap()).0, ErrorName::Timeout);
    assert_eq!((tokio::time::Instant::now() - start).as_secs(), 21);
    drop(kept);

    let call = pair.call(TOKENS, "GetAccessToken", (0u32,));
    drop(pair.calls.recv().await.unwrap());
    assert_eq!(failure(call.await.unwrap()).0, ErrorName::Failed);
    pair.calls.close();
    assert_eq!(
        failure(pair.call(TOKENS, "GetAccessToken", (0u32,)).await.unwrap()).0,
        ErrorName::Failed
    );
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_refuses_instead_of_waiting() {
    let mut pair = Pair::with_queue(everybody(), paired(), 1).await;
    let first = pair.call(TOKENS, "GetAccessToken", (0u32,));
    let second = pair.call(TOKENS, "GetAccessToken", (0u32,));
    assert_eq!(failure(second.await.unwrap()).0, ErrorName::LimitsExceeded);
    let call = pair.calls.recv().await.unwrap();
    let good = answer(&call.command);
    call.reply.send(Ok(good)).unwrap();
    first.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn one_uid_may_have_many_calls_open_but_not_without_end() {
    let mut pair = Pair::settled(everybody(), paired()).await;
    let calls: Vec<_> = (0..200).map(|_| pair.call(TOKENS, "GetAccessToken", (0u32,))).collect();
    let mut open = Vec::new();
    for _ in 0..throttle::WAITING {
        open.push(pair.calls.recv().await.unwrap());
    }
    let refused = tokio::time::timeout(Duration::from_secs(1), pair.calls.recv()).await;
    assert!(refused.is_err(), "the loop got one call more");
    for call in open {
        let good = answer(&call.command);
        call.reply.send(Ok(good)).unwrap();
    }
    let (mut good, mut limited) = (0, 0);
    for call in calls {
        match call.await.unwrap() {
            Ok(_) => good += 1,
            Err(error) => {
                assert_eq!(failure(Err(error)).0, ErrorName::LimitsExceeded);
                limited += 1;
            }
        }
    }
    assert_eq!((good, limited), (128, 72));
    assert!(
        pair.answered(TOKENS, "GetAccessToken", (0u32,)).await.is_ok(),
        "there is room again"
    );
}

#[tokio::test(start_paused = true)]
async fn rejections_and_cancelling_get_through_while_as_many_calls_wait_as_may() {
    let mut pair = Pair::settled(everybody(), paired()).await;
    let (held, open) = pair.waits_in_full().await;
    assert!(pair.answered(TOKENS, "RejectAccessToken", (1u64,)).await.is_ok());
    assert!(pair.answered(PAIRING, "CancelPairing", ()).await.is_ok());
    assert_eq!(
        failure(pair.answered(TOKENS, "GetAccessToken", (0u32,)).await).0,
        ErrorName::LimitsExceeded
    );
    for call in open {
        let good = answer(&call.command);
        call.reply.send(Ok(good)).unwrap();
    }
    for call in held {
        call.await.unwrap().unwrap();
    }
}

/// The code of a server that sends no address with the code inside.
fn without_complete_uri() -> CodeView {
    let mut view = code();
    if let Prompt::Code {
        verification_uri_complete,
        ..
    } = &mut view.prompt
    {
        *verification_uri_complete = None;
    }
    view
}
