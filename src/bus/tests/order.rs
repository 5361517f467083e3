//! The order of signals and answers (D4).

use super::*;
use c2c_auth_core::{ErrorWord, WallTime};

type Change = (String, HashMap<String, OwnedVariant>, Vec<String>);

fn change(message: &Message) -> Change {
    message.body().deserialize().unwrap()
}

fn names(change: &Change) -> Vec<&str> {
    let mut names: Vec<_> = change.1.keys().map(String::as_str).collect();
    names.sort_unstable();
    names
}

#[tokio::test(start_paused = true)]
async fn the_state_at_the_start_is_told_once_and_whole() {
    let mut pair = Pair::new(everybody(), paired()).await;
    let told = [
        pair.arrival().await,
        pair.arrival().await,
        pair.arrival().await,
        pair.arrival().await,
        pair.arrival().await,
    ];
    assert_eq!(
        told.each_ref().map(label),
        [
            "PropertiesChanged Pairing",
            "PropertiesChanged Tokens",
            "PropertiesChanged Device",
            "PairingStateChanged",
            "AccessTokenChanged"
        ]
    );
    assert_eq!(
        names(&change(&told[0])),
        ["AttentionNeeded", "Paired", "PairingReason", "PairingState"]
    );
    assert_eq!(names(&change(&told[1])), ["Generation", "TokenState"]);
    assert_eq!(
        names(&change(&told[2])),
        [
            "AuthorizationExpires",
            "DeviceName",
            "LastError",
            "PairedSince",
            "Paused",
            "ProjectId",
            "ProjectName",
            "RefreshBy",
            "TokenExpires",
        ]
    );
    let state: (String, String) = told[3].body().deserialize().unwrap();
    assert_eq!(state, ("paired".into(), "none".into()));
    assert_eq!(told[4].body().deserialize::<u64>().unwrap(), 1);

    let mut pair = Pair::new(everybody(), unpaired()).await;
    for expected in ["Pairing", "Tokens", "Device"] {
        assert_eq!(label(&pair.arrival().await), format!("PropertiesChanged {expected}"));
    }
    assert_eq!(label(&pair.arrival().await), "PairingStateChanged");
    // No AccessTokenChanged for "there never was one": the next thing to arrive is the answer to a
    // ping.
    call(&pair.client, "org.freedesktop.DBus.Peer", "Ping", &())
        .await
        .unwrap();
    assert_eq!(label(&pair.arrival().await), "MethodReturn");
}

#[tokio::test(start_paused = true)]
async fn properties_come_before_signals_and_signals_before_the_answer() {
    let mut pair = Pair::settled(everybody(), unpaired()).await;
    let call = pair.call(PAIRING, "Unpair", ());
    let asked = pair.calls.recv().await.unwrap();
    pair.bus.publish(paired());
    asked.reply.send(Ok(Reply::Done)).unwrap();
    for expected in [
        "PropertiesChanged Pairing",
        "PropertiesChanged Tokens",
        "PropertiesChanged Device",
        "PairingStateChanged",
        "AccessTokenChanged",
        "MethodReturn",
    ] {
        assert_eq!(label(&pair.arrival().await), expected);
    }
    call.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_answer_waits_for_what_was_published_before_it_and_for_nothing_else() {
    let signals = SignalQueue::new(unpaired());
    let limit = Duration::from_secs(3600);
    assert!(
        tokio::time::timeout(limit, signals.flushed()).await.is_err(),
        "the first state is not out yet"
    );

    let (ours, theirs) = Channel::pair();
    let guid = Guid::generate();
    let _client = Builder::authenticated_socket(theirs, guid.clone())
        .p2p()
        .build()
        .await
        .unwrap();
    let connection = Builder::authenticated_socket(ours, guid).p2p().build().await.unwrap();
    assert!(
        tokio::time::timeout(limit, signals.run(&connection)).await.is_err(),
        "runs for ever"
    );
    signals.flushed().await;

    signals.publish(unpaired());
    signals.flushed().await;
    signals.publish(paired());
    assert!(tokio::time::timeout(limit, signals.flushed()).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn no_answer_overtakes_its_signals_even_when_they_are_stuck() {
    let mut pair = Pair::settled(everybody(), unpaired()).await;
    pair.bus.tasks.shutdown().await;
    let call = pair.call(PAIRING, "Unpair", ());
    let asked = pair.calls.recv().await.unwrap();
    pair.bus.publish(paired());
    asked.reply.send(Ok(Reply::Done)).unwrap();
    assert_eq!(failure(call.await.unwrap()).0, ErrorName::Timeout);
}

#[tokio::test(start_paused = true)]
async fn only_what_changed_is_told_and_no_change_is_silence() {
    let mut pair = Pair::settled(everybody(), paired()).await;
    pair.bus.publish(paired());
    let mut refreshed = paired();
    refreshed.generation = Generation(2);
    pair.bus.publish(refreshed.clone());
    let told = pair.arrival().await;
    assert_eq!(label(&told), "PropertiesChanged Tokens");
    let told = change(&told);
    assert_eq!(names(&told), ["Generation"]);
    assert!(told.2.is_empty());
    assert_eq!(label(&pair.arrival().await), "AccessTokenChanged");

    // The last of an ended pairing, found alive, was announced before.
    let mut ended = unpaired();
    ended.device = refreshed.device.clone();
    ended.lifetimes = refreshed.lifetimes;
    ended.contact = refreshed.contact;
    pair.bus.publish(ended.clone());
    for expected in [
        "PropertiesChanged Pairing",
        "PropertiesChanged Tokens",
        "PairingStateChanged",
    ] {
        assert_eq!(label(&pair.arrival().await), expected);
    }
    ended.generation = Generation(2);
    pair.bus.publish(ended.clone());
    assert_eq!(label(&pair.arrival().await), "PropertiesChanged Tokens");
    pair.bus.publish(refreshed.clone());
    for expected in [
        "PropertiesChanged Pairing",
        "PropertiesChanged Tokens",
        "PairingStateChanged",
    ] {
        assert_eq!(label(&pair.arrival().await), expected);
    }

    // The time of the last contact is read, not told.
    refreshed.contact.at = Some(WallTime::from_secs(1_790_000_000));
    pair.bus.publish(refreshed.clone());
    // Another reason in the same state is worth a signal. An error is not.
    refreshed.reason = Reason::Offline;
    refreshed.last_error = Some((ErrorWord::Offline, Some(WallTime::from_secs(1_790_000_000))));
    pair.bus.publish(refreshed);
    let told = pair.arrival().await;
    assert_eq!(label(&told), "PropertiesChanged Pairing");
    assert_eq!(names(&change(&told)), ["PairingReason"]);
    let mut told = change(&pair.arrival().await);
    assert_eq!(names(&told), ["LastError"]);
    let error: (String, u64) = told.1.remove("LastError").unwrap().try_into().unwrap();
    assert_eq!(error, ("offline".into(), 1_790_000_000));
    assert_eq!(label(&pair.arrival().await), "PairingStateChanged");
}

#[tokio::test(start_paused = true)]
async fn a_bus_that_does_not_read_costs_steps_in_between_but_never_the_last() {
    let mut pair = Pair::settled(everybody(), paired()).await;
    for generation in 2..=1000 {
        let mut snapshot = paired();
        snapshot.generation = Generation(generation);
        pair.bus.publish(snapshot);
    }
    let mut told = Vec::new();
    while told.last() != Some(&1000) {
        let message = pair.arrival().await;
        if label(&message) == "AccessTokenChanged" {
            told.push(message.body().deserialize::<u64>().unwrap());
        }
    }
    assert!(told.len() <= 64, "{} states were queued", told.len());
    assert!(told.is_sorted());
}

#[tokio::test(start_paused = true)]
async fn getters_show_the_new_state_at_once() {
    let pair = Pair::settled(everybody(), unpaired()).await;
    pair.bus.publish(paired());
    let all = |interface: &'static str| {
        let client = pair.client.clone();
        async move {
            dictionary(
                &call(&client, "org.freedesktop.DBus.Properties", "GetAll", &(interface,))
                    .await
                    .unwrap(),
            )
        }
    };
    let text = |value: &OwnedVariant| String::try_from(value.try_clone().unwrap()).unwrap();

    let pairing = all(PAIRING).await;
    assert_eq!(text(&pairing["PairingState"]), "paired");
    assert_eq!(text(&pairing["PairingReason"]), "none");
    assert_eq!(pairing["Paired"], OwnedVariant::from(true));
    assert_eq!(pairing["AttentionNeeded"], OwnedVariant::from(false));
    let tokens = all(TOKENS).await;
    assert_eq!(text(&tokens["TokenState"]), "valid");
    assert_eq!(tokens["Generation"], OwnedVariant::from(1u64));
    let device = all(DEVICE).await;
    for (name, value) in [
        ("ClientId", "SN-000123"),
        ("DeviceName", "Camera A"),
        ("ProjectId", "p-1"),
        ("ProjectName", "Feature film"),
        ("FirmwareVersion", "2.16.4"),
        ("DaemonVersion", "0.1.0"),
        ("Provider", "frameio-c2c"),
    ] {
        assert_eq!(text(&device[name]), value, "{name}");
    }
    let error: (String, u64) = device["LastError"].try_clone().unwrap().try_into().unwrap();
    assert_eq!(error, ("none".into(), 0));
}

#[tokio::test(start_paused = true)]
async fn a_lost_connection_is_noticed_and_publishing_goes_on_without_it() {
    let pair = Pair::settled(everybody(), unpaired()).await;
    let closed = pair.bus.closed();
    pair.client.close().await.unwrap();
    closed.await;
    pair.bus.publish(paired());
    pair.bus.gateway.signals.flushed().await;
    pair.bus.leave().await;
}
