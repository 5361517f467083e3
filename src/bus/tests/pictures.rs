//! The cost of pictures to those who did not ask for one.

use super::*;

/// A code whose address is the longest that a QR code holds.
fn longest() -> CodeView {
    CodeView {
        prompt: Prompt::Code {
            user_code: UserCode::new(USER_CODE.into()),
            verification_uri: ADDRESS.into(),
            verification_uri_complete: Some(UserCode::new("x".repeat(2331))),
        },
        ..code()
    }
}

#[tokio::test]
async fn a_flood_of_pictures_holds_no_token_back() {
    let Pair {
        bus: _bus,
        mut calls,
        access: _access,
        client,
        mut arrivals,
    } = Pair::settled(everybody(), paired()).await;
    tokio::spawn(async move {
        while let Some(call) = calls.recv().await {
            let reply = match &call.command {
                Command::GetPairingCode => Reply::Code(longest()),
                command => answer(command),
            };
            // Whoever asked may be gone at the end of this test.
            let _ = call.reply.send(Ok(reply));
        }
    });
    let ask = |method, body: HashMap<&'static str, Variant<'static>>| {
        let client = client.clone();
        tokio::spawn(async move { call(&client, PAIRING, method, &(body,)).await })
    };
    // Each of another size, so that each has to be drawn.
    for size in 900..964u32 {
        ask("GetQrCode", options([("size", size.into())]));
    }
    let mut answered = async || loop {
        let message = next(&mut arrivals).await;
        match (message.message_type(), message.body().signature().to_string().as_str()) {
            (MessageType::MethodReturn, "(say)") => return true,
            (MessageType::MethodReturn, "(sut)") => return false,
            (MessageType::Error, _) => panic!("{message:?}"),
            _ => {}
        }
    };
    assert!(answered().await, "a picture");
    let token = client.clone();
    tokio::spawn(async move { call(&token, TOKENS, "GetAccessToken", &(0u32,)).await });
    let mut pictures = 0;
    while answered().await {
        pictures += 1;
    }
    // One is being drawn. On a busy machine a few may come in before the token has made its way.
    assert!(pictures < 16, "{pictures} pictures came before the token");
}

#[tokio::test]
async fn the_kept_picture_goes_with_its_code() {
    let mut pair = Pair::settled(everybody(), unpaired()).await;
    let awaiting = Snapshot {
        pairing: PairingState::AwaitingUser,
        reason: Reason::None,
        ..unpaired()
    };
    for after in [unpaired(), paired()] {
        pair.bus.publish(awaiting.clone());
        pair.answered(PAIRING, "GetQrCode", (no_options(),)).await.unwrap();
        assert!(pair.bus.gateway.pictures.keeps_one());
        pair.bus.publish(awaiting.clone());
        assert!(pair.bus.gateway.pictures.keeps_one(), "the code is still on show");
        pair.bus.publish(after);
        assert!(!pair.bus.gateway.pictures.keeps_one());
    }
}
