//! Reports of clients against a token: at which distances they are examined, and how many are
//! remembered.

use super::*;

const fn on(uid: u32, connection: u64) -> Client {
    Client { uid, connection }
}

/// Lets time pass until a probe is out. How long that took.
fn until_probe(fixture: &mut Fixture) -> Duration {
    let from = fixture.now;
    while !fixture.out(is_probe) {
        fixture.now = fixture.core.next_deadline().unwrap().max(fixture.now);
        fixture.event(Event::Tick);
    }
    fixture.now.since(from)
}

/// Paired for a while, and these users hold generation 1.
fn handed(uids: std::ops::Range<u32>) -> Fixture {
    let mut fixture = Fixture::paired();
    for uid in uids {
        fixture.get_as(client(uid));
    }
    fixture.advance(secs(6));
    fixture
}

#[test]
fn a_rejection_is_examined_a_second_after_the_last_probe_and_ten_seconds_after_a_wrong_one() {
    let mut fixture = handed(UPLOADER..OTHER + 1);
    fixture.reject(UPLOADER, 1);
    assert_eq!(until_probe(&mut fixture), Duration::ZERO);
    fixture.alive();
    fixture.reject(OTHER, 1);
    assert_eq!(until_probe(&mut fixture), secs(1));
    fixture.alive();
    fixture.reject(UPLOADER, 1);
    assert_eq!(until_probe(&mut fixture), secs(9));
    fixture.alive();
}

#[test]
fn new_connections_of_a_rejecting_user_get_the_token_once_a_second() {
    let mut fixture = handed(UPLOADER..UPLOADER + 1);
    fixture.reject(UPLOADER, 1);
    fixture.alive();
    let first = fixture.get_as(on(UPLOADER, 5000));
    assert_eq!(fixture.token(first), "a1");
    let second = fixture.get_as(on(UPLOADER, 5001));
    fixture.advance(Duration::from_millis(999));
    assert_eq!(fixture.reply(second), None);
    fixture.advance(Duration::from_millis(1));
    assert_eq!(fixture.token(second), "a1");
}

#[test]
fn a_hundred_and_twenty_eight_rejecting_connections_wait_and_one_more_lets_the_oldest_go() {
    let mut fixture = handed(UPLOADER..UPLOADER + 1);
    for connection in 5000..5128 {
        fixture.reject_as(on(UPLOADER, connection), 1);
    }
    let oldest = fixture.get_as(on(UPLOADER, 5000));
    let next = fixture.get_as(on(UPLOADER, 5001));
    assert_eq!(fixture.reply(oldest), None);
    fixture.reject_as(on(UPLOADER, 5128), 1);
    assert_eq!(fixture.token(oldest), "a1");
    assert_eq!(fixture.reply(next), None);
}

#[test]
fn sixty_four_rejecting_users_are_remembered_and_one_more_lets_the_oldest_go() {
    let mut fixture = handed(2000..2065);
    for uid in 2000..2064 {
        fixture.reject(uid, 1);
        fixture.now = fixture.now.after(Duration::from_millis(1));
    }
    let [oldest, next] = [2000, 2001].map(|uid| fixture.get_as(on(uid, 5000 + u64::from(uid))));
    assert_eq!(fixture.reply(oldest), None, "it may have connected again");
    assert_eq!(fixture.reply(next), None);
    fixture.reject(2064, 1);
    let [oldest, next] = [2000, 2001].map(|uid| fixture.get_as(on(uid, 6000 + u64::from(uid))));
    assert_eq!(fixture.token(oldest), "a1");
    assert_eq!(fixture.reply(next), None);
}
