#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use super::*;

struct Manager {
    socket: UnixDatagram,
    dir: tempfile::TempDir,
}

impl Manager {
    fn listen() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let socket = UnixDatagram::bind(dir.path().join("notify")).unwrap();
        socket.set_nonblocking(true).unwrap();
        Self { socket, dir }
    }

    fn notifier(&self) -> Notifier {
        Notifier::to(self.dir.path().join("notify").as_os_str()).unwrap()
    }

    fn heard(&self) -> Vec<String> {
        let mut all = Vec::new();
        let mut buffer = [0; 4096];
        while let Ok(length) = self.socket.recv(&mut buffer) {
            all.push(String::from_utf8(buffer[..length].to_vec()).unwrap());
        }
        all
    }
}

#[test]
fn each_word_arrives_as_systemd_reads_it() {
    let manager = Manager::listen();
    let mut notifier = manager.notifier();
    notifier.status("Not paired.");
    notifier.ready();
    notifier.stopping();
    notifier.extend();
    assert_eq!(
        manager.heard(),
        [
            "STATUS=Not paired.\n",
            "READY=1\n",
            "STOPPING=1\n",
            "EXTEND_TIMEOUT_USEC=15000000\n"
        ]
    );
}

#[test]
fn reloading_and_its_time_travel_in_one_datagram() {
    let manager = Manager::listen();
    manager.notifier().reloading();
    let heard = manager.heard();
    assert_eq!(heard.len(), 1);
    let usec = heard[0].strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap().trim();
    assert!(usec.parse::<u64>().unwrap() > 0);
}

#[test]
fn a_status_is_sent_once_and_stays_one_line() {
    let manager = Manager::listen();
    let mut notifier = manager.notifier();
    notifier.status("Paired\nREADY=1\r\nMAINPID=1");
    notifier.status("Paired\nREADY=1\r\nMAINPID=1");
    assert_eq!(manager.heard(), ["STATUS=Paired READY=1  MAINPID=1\n"]);
}

#[test]
fn an_abstract_address_is_understood() {
    let name = format!(
        "c2c-authd-test-{}-{:?}",
        std::process::id(),
        std::thread::current().id()
    );
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    let socket = UnixDatagram::bind_addr(&address).unwrap();
    Notifier::to(format!("@{name}").as_ref()).unwrap().ready();
    let mut buffer = [0; 64];
    let length = socket.recv(&mut buffer).unwrap();
    assert_eq!(&buffer[..length], b"READY=1\n");
}

#[test]
fn an_address_of_another_family_is_refused() {
    assert_eq!(
        Notifier::to("vsock:2:1234".as_ref()).unwrap_err().kind(),
        io::ErrorKind::Unsupported
    );
    assert!(Notifier::to("/nonexistent/notify".as_ref()).is_err());
}

#[test]
fn a_manager_that_went_away_does_no_harm() {
    let manager = Manager::listen();
    let mut notifier = manager.notifier();
    drop(manager);
    notifier.status("Paired.");
    notifier.ready();
}

#[test]
fn the_watchdog_is_fed_by_progress_and_at_most_once_per_interval() {
    let manager = Manager::listen();
    let notifier = manager.notifier();
    let mut watchdog = Watchdog::new(Duration::from_secs(10));
    let start = BootTime::from_millis(1000);
    for _ in 0..5 {
        watchdog.progress(start, &notifier);
    }
    assert_eq!(manager.heard(), ["WATCHDOG=1\n"]);
    assert_eq!(watchdog.due(), start.after(Duration::from_secs(10)));
    watchdog.progress(watchdog.due().before(Duration::from_millis(1)), &notifier);
    assert!(manager.heard().is_empty());
    watchdog.progress(watchdog.due(), &notifier);
    assert_eq!(manager.heard(), ["WATCHDOG=1\n"]);
}

#[test]
fn a_watchdog_without_patience_does_not_spin() {
    let mut watchdog = Watchdog::new(Duration::from_nanos(1));
    watchdog.progress(BootTime::from_millis(7), &Notifier::silent());
    assert!(watchdog.due() > BootTime::from_millis(7));
}
