//! A server with several addresses: which is tried when, and which of them serves.

mod served;

use std::cell::RefCell;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;

use rustls::HandshakeKind;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::log::Log;
use super::*;
use crate::transport::addresses::{Ended, Failed, Memory, race};

fn addresses(list: &[&str]) -> Vec<SocketAddr> {
    list.iter().map(|address| address.parse().unwrap()).collect()
}

/// One address in a race: after so many seconds it is through, or has failed.
type Runner = (u64, Result<(), &'static str>);

const NEVER: Runner = (u64::MAX, Ok(()));

/// A race of 10 s between the addresses `[::1]:0`, `[::1]:1` and so on, and when each began. TCP is
/// up after a second.
async fn run(runners: &[Runner]) -> (Ended<(), &'static str>, Vec<u64>, u64) {
    let start = Instant::now();
    let began = RefCell::new(Vec::new());
    let list = (0..)
        .zip(runners)
        .map(|(port, _)| SocketAddr::new([0; 16].into(), port));
    let deadline = start + CONNECT;
    let ended = race(list.collect(), deadline, |address, connected| {
        began.borrow_mut().push(start.elapsed().as_secs());
        let (seconds, end) = runners[usize::from(address.port())];
        async move {
            let tcp = Duration::from_secs(seconds.min(1));
            tokio::time::sleep(tcp).await;
            connected.store(true, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_secs(seconds.min(1_000)).saturating_sub(tcp)).await;
            end
        }
    })
    .await;
    (ended, began.into_inner(), start.elapsed().as_secs())
}

fn winner<E>(ended: &Ended<(), E>) -> Option<u16> {
    ended.won.as_ref().map(|(address, ())| address.port())
}

#[tokio::test(start_paused = true)]
async fn three_addresses_that_take_five_seconds_each_lead_to_the_first() {
    let (ended, began, seconds) = run(&[(5, Ok(())); 3]).await;
    assert_eq!((winner(&ended), began, seconds), (Some(0), vec![0, 3], 5));
    assert_eq!(ended.failed, [], "a later one that is overtaken has not failed");
}

#[tokio::test(start_paused = true)]
async fn the_next_address_begins_after_three_seconds_or_at_once_after_a_failure() {
    let (ended, began, seconds) = run(&[(1, Err("cut")), NEVER, (1, Ok(()))]).await;
    assert_eq!((winner(&ended), began, seconds), (Some(2), vec![0, 1, 4], 5));
    let failed: Vec<_> = ended.failed.iter().map(|failed| failed.error).collect();
    assert_eq!(failed, [Some("cut"), None]);

    let (ended, began, seconds) = run(&[(0, Err("refused")); 4]).await;
    assert_eq!((winner(&ended), began, seconds), (None, vec![0; 4], 0));
    assert_eq!(ended.failed.len(), 4);
}

#[tokio::test(start_paused = true)]
async fn no_try_is_ended_for_another_and_no_more_than_two_run_at_once() {
    let (ended, began, seconds) = run(&[(9, Ok(())), NEVER, (1, Ok(()))]).await;
    assert_eq!((winner(&ended), began, seconds), (Some(0), vec![0, 3], 9));

    let (ended, began, seconds) = run(&[(9, Ok(())), (4, Err("garbage")), (1, Err("cut")), NEVER]).await;
    assert_eq!((winner(&ended), began, seconds), (Some(0), vec![0, 3, 7, 8], 9));

    let (ended, began, seconds) = run(&[NEVER; 3]).await;
    assert_eq!((winner(&ended), began, seconds), (None, vec![0, 3], 10));
    let silent = |address: &str| Failed {
        address: address.parse().unwrap(),
        connected: true,
        error: None,
    };
    assert_eq!(ended.failed, [silent("[::]:0"), silent("[::]:1")]);
}

fn order(memory: &Memory, list: &[&str]) -> Vec<String> {
    let order = memory.order(addresses(list));
    order.iter().map(ToString::to_string).collect()
}

#[test]
fn families_alternate_and_keep_their_order() {
    let memory = Memory::default();
    assert_eq!(
        order(&memory, &["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1", "2.2.2.2:1"]),
        ["[::1]:1", "1.1.1.1:1", "[::2]:1", "2.2.2.2:1", "[::3]:1"]
    );
    assert_eq!(
        order(&memory, &["1.1.1.1:1", "[::1]:1", "1.1.1.1:1", "2.2.2.2:1"]),
        ["1.1.1.1:1", "[::1]:1", "2.2.2.2:1"],
        "each address once"
    );
    assert_eq!(order(&memory, &[]), [""; 0]);
}

fn ended(won: &[&str], failed: &[(&str, bool)]) -> Ended<(), ()> {
    Ended {
        won: addresses(won).pop().map(|address| (address, ())),
        failed: failed
            .iter()
            .map(|(address, connected)| Failed {
                address: address.parse().unwrap(),
                connected: *connected,
                error: None,
            })
            .collect(),
    }
}

#[tokio::test(start_paused = true)]
async fn a_family_without_a_handshake_is_second_for_ten_minutes() {
    const USUAL: [&str; 4] = ["[::1]:1", "1.1.1.1:1", "[::2]:1", "2.2.2.2:1"];
    const SWAPPED: [&str; 4] = ["1.1.1.1:1", "[::2]:1", "2.2.2.2:1", "[::1]:1"];
    let v6 = "[::1]:1".parse().unwrap();
    let mut memory = Memory::default();
    // TCP need not have been up: a lost SYN takes as long.
    memory.record(&ended(&["1.1.1.1:1"], &[("[::1]:1", false)]));
    assert_eq!(order(&memory, &USUAL), SWAPPED);
    tokio::time::advance(Duration::from_secs(599)).await;
    assert_eq!(order(&memory, &USUAL), SWAPPED);
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(order(&memory, &USUAL), USUAL);
    assert!(memory.is_doubtful(&v6), "until it has served");
    memory.record(&ended(&["[::1]:1"], &[]));
    assert!(!memory.is_doubtful(&v6));
}

#[test]
fn a_failure_of_both_families_leaves_the_resolvers_family_first() {
    let list = ["[::1]:1", "1.1.1.1:1"];
    for failed in [[false, false], [false, true], [true, false], [true, true]] {
        let mut memory = Memory::default();
        memory.record(&ended(&[], &[("[::1]:1", failed[0]), ("1.1.1.1:1", failed[1])]));
        assert_eq!(order(&memory, &list), list, "{failed:?}");
    }
}

/// The resolver's first family finishes no handshake, whether or not it takes TCP. The other one
/// takes 2.5 s for each round trip: beside the wait for the first family, too little of the 10 s is
/// left for a request.
#[tokio::test(start_paused = true)]
async fn a_request_lost_for_want_of_time_does_not_lead_back_to_a_silent_family() {
    let round_trip = Duration::from_millis(2_500);
    let list = addresses(&["[::1]:1", "1.1.1.1:1"]);
    for [silent, slow] in [[list[0], list[1]], [list[1], list[0]]] {
        for takes_tcp in [true, false] {
            let mut memory = Memory::default();
            let mut seconds = Vec::new();
            for _ in 0..4 {
                let start = Instant::now();
                let deadline = start + CONNECT;
                let ended: Ended<(), ()> = race(
                    memory.order([silent, slow]),
                    deadline,
                    |address, connected| async move {
                        let is_silent = address == silent;
                        connected.store(!is_silent || takes_tcp, Ordering::Relaxed);
                        let handshake = if is_silent { CONNECT * 2 } else { round_trip * 2 };
                        tokio::time::sleep(handshake).await;
                        Ok(())
                    },
                )
                .await;
                memory.record(&ended);
                assert_eq!(ended.won, Some((slow, ())));
                let answered = timeout_at(deadline, tokio::time::sleep(round_trip)).await;
                if answered.is_err() {
                    memory.lost(slow);
                }
                seconds.push(start.elapsed().as_secs_f32());
                tokio::time::advance(Duration::from_secs(120)).await;
            }
            assert_eq!(seconds, [10.0, 7.5, 7.5, 7.5], "{silent} takes TCP: {takes_tcp}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_request_weighs_less_than_a_handshake_that_did_not_finish() {
    const V6: &str = "[::1]:1";
    const V4: &str = "1.1.1.1:1";
    let [v6, v4] = [V6, V4].map(|address| address.parse().unwrap());
    let mut memory = Memory::default();
    memory.record(&ended(&[V6], &[]));
    memory.lost(v6);
    assert_eq!(order(&memory, &[V6, V4]), [V4, V6], "the other has no mark");
    memory.record(&ended(&[V6], &[(V4, true)]));
    memory.lost(v6);
    assert_eq!(order(&memory, &[V4, V6]), [V6, V4], "the other has the worse mark");
    memory.lost(v4);
    assert_eq!(
        order(&memory, &[V4, V6]),
        [V6, V4],
        "a lost request takes no worse mark away"
    );
    assert!(memory.is_doubtful(&v6) && memory.is_doubtful(&v4));
    tokio::time::advance(Duration::from_secs(599)).await;
    memory.lost(v6);
    assert_eq!(order(&memory, &[V4, V6]), [V6, V4]);
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(order(&memory, &[V6, V4]), [V4, V6], "ten minutes later");
}

#[tokio::test(start_paused = true)]
async fn of_two_marked_families_the_one_that_served_last_is_first() {
    const LISTS: [[&str; 2]; 2] = [["[::1]:1", "1.1.1.1:1"], ["1.1.1.1:1", "[::1]:1"]];
    for [one, other] in LISTS {
        let mut memory = Memory::default();
        memory.record(&ended(&[other], &[]));
        tokio::time::advance(Duration::from_secs(1)).await;
        memory.record(&ended(&[one], &[]));
        for list in LISTS {
            assert_eq!(order(&memory, &list), list, "none is marked");
        }
        for address in [one, other] {
            memory.lost(address.parse().unwrap());
        }
        for list in LISTS {
            assert_eq!(order(&memory, &list), [one, other], "a request was lost on both");
        }
        memory.record(&ended(&[], &[(one, true), (other, true)]));
        for list in LISTS {
            assert_eq!(order(&memory, &list), [one, other], "no handshake on both");
        }
        tokio::time::advance(Duration::from_secs(600)).await;
        for list in LISTS {
            assert_eq!(order(&memory, &list), list, "ten minutes later");
        }
    }
}

/// Two silent ones may not hide a third for ever.
#[test]
fn an_address_that_failed_comes_after_the_others_of_its_family() {
    let list = ["1.1.1.1:1", "2.2.2.2:1", "3.3.3.3:1"];
    let mut memory = Memory::default();
    memory.record(&ended(&[], &[("1.1.1.1:1", true), ("2.2.2.2:1", false)]));
    assert_eq!(order(&memory, &list), ["3.3.3.3:1", "1.1.1.1:1", "2.2.2.2:1"]);
    memory.record(&ended(&["2.2.2.2:1"], &[]));
    assert_eq!(order(&memory, &list), ["2.2.2.2:1", "3.3.3.3:1", "1.1.1.1:1"]);
}
