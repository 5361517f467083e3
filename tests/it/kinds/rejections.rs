//! Uploaders that do not pause between get, 401, reject and get, at servers where no resource can
//! be asked: what examines a rejection is the refresh, and where its limit puts it off, each
//! connection gets the same token at most once in 20 s.

use std::time::{Duration, Instant};

use c2c_testkit::harness::{Harness, LIMIT};
use c2c_testkit::standard::Quirks;
use zbus::Connection;

use super::browser::pair;
use crate::DAEMON;

const TOKENS: &str = "org.cameratocloud.Auth1.Tokens";

async fn call<B>(user: &Connection, method: &str, body: &B) -> zbus::Result<zbus::Message>
where
    B: serde::Serialize + zbus::DynamicType,
{
    let name = "org.cameratocloud.Auth1";
    user.call_method(Some(name), "/org/cameratocloud/Auth1", Some(TOKENS), method, body)
        .await
}

async fn token(user: &Connection) -> u64 {
    let answer = call(user, "GetAccessToken", &(0_u32,)).await.unwrap();
    let (_, _, generation): (String, u32, u64) = answer.body().deserialize().unwrap();
    generation
}

/// An uploader whose API takes no generation up to `dead`. How many requests it made to the API in
/// these seconds, or until one was taken.
async fn insists(user: Connection, dead: u64, seconds: u64) -> usize {
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut requests = 0;
    while let Ok(generation) = tokio::time::timeout_at(end.into(), token(&user)).await {
        requests += 1;
        if generation > dead {
            break;
        }
        call(&user, "RejectAccessToken", &(generation,)).await.unwrap();
    }
    requests
}

async fn floods_nobody(kind: &str) {
    let world = Harness::standard(DAEMON, kind, Quirks::default());
    let user = world.user().await;
    let _daemon = world.start().await;
    pair(&world, &user, kind).await;
    let mut users = Vec::new();
    for _ in 0..6 {
        let user = zbus::connection::Builder::address(world.bus.address());
        users.push(user.method_timeout(LIMIT).build().await.unwrap());
    }
    // The first dies and can be refreshed. The second dies within the limit of such refreshes.
    for (dead, served) in [(1, true), (2, false)] {
        for user in &users {
            assert_eq!(token(user).await, dead);
        }
        let calls: Vec<_> = users
            .iter()
            .cloned()
            .map(|user| tokio::spawn(insists(user, dead, if served { 40 } else { 10 })))
            .collect();
        for call in calls {
            let requests = call.await.unwrap();
            assert!((1..=2).contains(&requests), "{requests} requests, and one before");
        }
        // A user that did not reject is served as ever.
        assert_eq!(user.token().await.unwrap().generation, 2);
    }
    world.no_request_was_strange();
}

#[tokio::test]
async fn a_token_that_the_api_refuses_floods_nobody_where_no_resource_can_be_asked() {
    tokio::join!(floods_nobody("oauth-device"), floods_nobody("oauth-code"));
}
