//! More connections than there are places, and more requests than anybody needs. By the real clock:
//! the runtime's own would jump over what the kernel, on a busy machine, hands over a moment later.

use std::io::Write as _;

use super::*;

/// How many too many: few enough for the descriptors of tests that run beside these.
const OVER: u32 = 64;

/// How long anything may take that is to happen at all.
const LIMIT: Duration = Duration::from_secs(20);

/// Connections that wait in the kernel: the runtime, and with it the listener, does not run
/// meanwhile.
fn crowd(port: u16, size: usize) -> Vec<std::net::TcpStream> {
    let connect = || std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    std::iter::repeat_with(connect).take(size).collect()
}

/// Until all that was sent is on the other side, without letting the runtime run.
fn arrived(stream: &std::net::TcpStream) {
    let local = format!("0100007F:{:04X}", stream.local_addr().unwrap().port());
    let limit = std::time::Instant::now() + LIMIT;
    loop {
        let table = std::fs::read_to_string("/proc/self/net/tcp").unwrap();
        let words = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        let queues = words.filter(|words| words.get(1) == Some(&local.as_str()));
        if queues
            .map(|words| words[4].to_owned())
            .any(|queues| queues.starts_with("00000000:"))
        {
            return;
        }
        assert!(std::time::Instant::now() < limit, "{local} in {table}");
    }
}

/// How long a browser waits behind a crowd that says nothing.
async fn behind_a_silent_crowd() -> Duration {
    let mut bench = Bench::new();
    let mut silent = crowd(bench.port, CONNECTIONS + OVER as usize);
    for stream in &mut silent {
        // Half a request holds its place no longer than none.
        stream.write_all(b"GET /callback HTTP/1.1\r\nHost:").unwrap();
    }
    let started = std::time::Instant::now();
    bench.pairs().await;
    started.elapsed()
}

#[tokio::test]
async fn connections_that_say_nothing_give_way_to_the_browser() {
    // One moment for all of them. A listener that takes one for each never needs less than this,
    // twice what is allowed here. A machine that is busy with other things now and then does.
    let each = GRACE * OVER;
    let mut all = Vec::new();
    for _ in 0..5 {
        let took = behind_a_silent_crowd().await;
        if took < each / 2 {
            return;
        }
        all.push(took);
    }
    panic!("{all:?}");
}

/// The worst turn for a browser: its place is the first to go, and a crowd came before its request
/// did.
#[tokio::test]
async fn a_request_that_has_arrived_is_read_before_anybody_gives_way() {
    let mut bench = Bench::new();
    let mut browser = crowd(bench.port, 1).remove(0);
    let _silent = crowd(bench.port, CONNECTIONS - 1);
    // No time passes while a connection is left to be taken.
    tokio::time::pause();
    tokio::time::sleep(GRACE * 2).await;
    tokio::time::resume();
    let _crowd = crowd(bench.port, 8);
    browser.write_all(bench.request(&right()).as_bytes()).unwrap();
    arrived(&browser);
    let handed = timeout(LIMIT, bench.handed.recv()).await;
    let (redirect, reply) = handed.expect("it was sent away").unwrap();
    assert_eq!(redirect.state.expose(), STATE);
    reply.send(Ok(())).unwrap();
    browser.set_nonblocking(true).unwrap();
    let page = answer(TcpStream::from_std(browser).unwrap()).await;
    assert!(page.contains("is paired"), "{page}");
}

#[tokio::test]
async fn a_flood_of_wrong_requests_uses_nothing_up() {
    let mut bench = Bench::new();
    for round in 0..20 {
        let mut streams = Vec::new();
        for attempt in 0..25 {
            let mut stream = bench.connect().await;
            let request = bench.request(&format!("/callback?state={round}-{attempt}&code=x"));
            // One that is cut meanwhile has been answered as well as it deserves.
            let _ = stream.write_all(request.as_bytes()).await;
            streams.push(stream);
        }
        for stream in streams {
            answer(stream).await;
        }
    }
    assert!(bench.is_undisturbed());
    bench.pairs().await;
}
