//! The secrets that must never be on the bus.

use super::*;

/// True if the raw bytes of a message hold a text.
fn holds(message: &Message, text: &str) -> bool {
    let bytes = message.data();
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

#[tokio::test(start_paused = true)]
async fn no_signal_no_property_and_no_error_holds_a_code_or_a_token() {
    let mut pair = Pair::new(everybody(), unpaired()).await;
    let started = pair.answered(PAIRING, "StartPairing", (no_options(),)).await.unwrap();
    assert!(holds(&started, USER_CODE), "this test can fail");
    pair.answered(PAIRING, "GetPairingCode", ()).await.unwrap();
    pair.answered(PAIRING, "GetQrCode", (no_options(),)).await.unwrap();
    let mut awaiting = unpaired();
    awaiting.pairing = PairingState::AwaitingUser;
    pair.bus.publish(awaiting);
    pair.bus.publish(paired());
    let token = pair.answered(TOKENS, "GetAccessToken", (0u32,)).await.unwrap();
    assert!(holds(&token, TOKEN), "this test can fail");
    let misspelt = options([("renwe", true.into())]);
    pair.answered(PAIRING, "StartPairing", (misspelt,)).await.unwrap_err();
    for interface in [PAIRING, TOKENS, DEVICE] {
        call(&pair.client, "org.freedesktop.DBus.Properties", "GetAll", &(interface,))
            .await
            .unwrap();
    }

    // Four answers are meant to carry one. The last of 3 property calls ends the list.
    let (mut carriers, mut properties, mut signals) = (0, 0, 0);
    while properties < 3 {
        let message = pair.arrival().await;
        let secret = holds(&message, USER_CODE) || holds(&message, TOKEN);
        match message.message_type() {
            MessageType::Signal => {
                signals += 1;
                assert!(!secret, "{message:?}");
            }
            MessageType::MethodReturn => {
                let dictionary = message.body().signature().to_string() == "a{sv}";
                if dictionary
                    && message
                        .body()
                        .deserialize::<HashMap<String, OwnedVariant>>()
                        .unwrap()
                        .contains_key("user-code")
                {
                    carriers += 1;
                } else if dictionary {
                    properties += 1;
                    assert!(!secret, "{message:?}");
                } else if message.body().signature().to_string() == "(sut)" {
                    carriers += 1;
                } else {
                    assert!(!secret, "{message:?}");
                }
            }
            MessageType::Error | MessageType::MethodCall => assert!(!secret, "{message:?}"),
        }
    }
    assert_eq!(carriers, 3);
    assert!(signals >= 4);
}

#[tokio::test(start_paused = true)]
async fn a_nul_never_reaches_the_wire() {
    let mut first = paired();
    first.device.name = "Cam\0era".into();
    let mut pair = Pair::settled(everybody(), first).await;
    let name = call(
        &pair.client,
        "org.freedesktop.DBus.Properties",
        "Get",
        &(DEVICE, "DeviceName"),
    )
    .await
    .unwrap();
    let name: OwnedVariant = name.body().deserialize().unwrap();
    assert_eq!(String::try_from(name).unwrap(), "Camera");

    let mut hostile = paired();
    hostile.device.project_name = "\0Second\0 unit\0".into();
    pair.bus.publish(hostile);
    assert_eq!(label(&pair.arrival().await), "MethodReturn");
    let told = pair.arrival().await;
    assert!(!holds(&told, "Second\0"));
    assert!(holds(&told, "Second unit"), "this test can fail");

    let call = pair.call(PAIRING, "GetPairingCode", ());
    let mut nasty = code();
    nasty.device_name = "a\0b".into();
    nasty.prompt = Prompt::Code {
        user_code: UserCode::new("4242\0xx".into()),
        verification_uri: "https://x\0y".into(),
        verification_uri_complete: Some(UserCode::new("https://x\0y?1".into())),
    };
    pair.calls
        .recv()
        .await
        .unwrap()
        .reply
        .send(Ok(Reply::Code(nasty)))
        .unwrap();
    let told = dictionary(&call.await.unwrap().unwrap());
    let text = |key: &str| String::try_from(told[key].try_clone().unwrap()).unwrap();
    assert_eq!(
        [
            "user-code",
            "device-name",
            "verification-uri",
            "verification-uri-complete"
        ]
        .map(text),
        ["4242xx", "ab", "https://xy", "https://xy?1"]
    );

    let call = pair.call(TOKENS, "GetAccessToken", (0u32,));
    let broken = Reply::Token {
        access: AccessToken::new("to\0ken".into()),
        expires_in: Duration::from_secs(60),
        generation: Generation(1),
    };
    pair.calls.recv().await.unwrap().reply.send(Ok(broken)).unwrap();
    assert_eq!(
        failure(call.await.unwrap()).0,
        ErrorName::ServerError,
        "a token that lost a byte is no token"
    );
}
