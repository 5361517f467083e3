//! The policy against servers of every kind: documents that are there, absent, foreign, broken,
//! slow or throttled, endpoints that lead nowhere, and time. The laws are checked after each step.

use std::collections::BTreeSet;
use std::time::Instant;

use hyper::http::{HeaderMap, HeaderValue, Method, StatusCode};
use proptest::prelude::*;
use zeroize::Zeroizing;

use super::policy::{Discovery, Fetch, Plan};
use super::*;
use crate::oauth::{HttpResponse, OauthDevice};

const WISH: Duration = Duration::from_secs(100);

/// The result of asking for one document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Document {
    Whole,
    /// With the token endpoint alone.
    Least,
    /// Without the token endpoint.
    Other,
    NoS256,
    Foreign,
    Page,
    Absent,
    Denied,
    Broken,
    Throttled,
    Slow,
    Garbled,
    Offline,
}

use Document::{Absent, Broken, Denied, Foreign, Garbled, Least, NoS256, Offline, Other, Page, Slow, Throttled, Whole};

const EVERY: [Document; 13] = [
    Whole, Least, Other, NoS256, Foreign, Page, Absent, Denied, Broken, Throttled, Slow, Garbled, Offline,
];

const KINDS: [Kind; 6] = [
    Kind::Prepare,
    Kind::Refresh,
    Kind::Poll,
    Kind::DeviceCode,
    Kind::Authorize,
    Kind::Revoke,
];

impl Document {
    const fn is_told(self) -> bool {
        matches!(self, Whole | Least | Other | NoS256)
    }

    const fn is_unfit(self) -> bool {
        matches!(self, Foreign | Page)
    }

    /// Neither told, nor unfit, nor absent: another time may bring more.
    const fn is_fault(self) -> bool {
        matches!(self, Denied | Broken | Throttled | Slow | Garbled | Offline)
    }

    fn result(self) -> Result<HttpResponse, FaultKind> {
        let (status, body) = match self {
            Whole => (
                200,
                r#"{"issuer":"https://id.example","token_endpoint":"https://id.example/t","revocation_endpoint":"https://id.example/r",
                    "authorization_endpoint":"https://id.example/a","device_authorization_endpoint":"https://id.example/d"}"#,
            ),
            Least => (
                200,
                r#"{"issuer":"https://id.example","token_endpoint":"https://id.example/t"}"#,
            ),
            Other => (
                200,
                r#"{"issuer":"https://id.example","authorization_endpoint":"https://id.example/a"}"#,
            ),
            NoS256 => (
                200,
                r#"{"issuer":"https://id.example","token_endpoint":"https://id.example/t",
                    "authorization_endpoint":"https://id.example/a","code_challenge_methods_supported":["plain"]}"#,
            ),
            Foreign => (
                200,
                r#"{"issuer":"https://other.example","token_endpoint":"https://other.example/t"}"#,
            ),
            Page => (200, "<html>"),
            Absent => (404, ""),
            Denied => (403, ""),
            Broken => (500, ""),
            Throttled => (503, ""),
            Slow => return Err(FaultKind::Lost),
            Garbled => return Err(FaultKind::Garbled),
            Offline => return Err(FaultKind::Offline),
        };
        let mut headers = HeaderMap::new();
        if self == Throttled {
            headers.insert("retry-after", HeaderValue::from(WISH.as_secs()));
        }
        Ok(HttpResponse {
            status: StatusCode::from_u16(status).unwrap(),
            headers,
            body: Ok(Zeroizing::new(body.as_bytes().to_vec())),
        })
    }
}

#[derive(Clone, Debug)]
enum Step {
    Request(Kind, [Document; 3]),
    NotFound(Kind),
    Pass(u64),
}

/// The policy, and what its laws need to know beside it.
struct World {
    configured: Provider,
    discovery: Discovery,
    now: Instant,
    /// The server wants to be left alone until then.
    wish: Option<Instant>,
    /// When a request last waited although it had its address.
    last_wait: Option<Instant>,
    absent: BTreeSet<String>,
    /// A told address led nowhere, and no document was read since.
    moved: bool,
}

impl World {
    fn new(configured: Provider) -> Self {
        Self {
            discovery: Discovery::new(Arc::new(configured.clone())),
            configured,
            now: Instant::now(),
            wish: None,
            last_wait: None,
            absent: BTreeSet::new(),
            moved: false,
        }
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Pass(seconds) => self.now += Duration::from_secs(*seconds),
            Step::NotFound(kind) => {
                let is_learned = !self.discovery.provider().documents().is_empty() && self.knows_more();
                self.discovery.endpoint_not_found(*kind);
                if self.configured.leaves_to_server(*kind) {
                    self.moved = is_learned;
                    self.absent.clear();
                }
            }
            Step::Request(kind, documents) => self.request(*kind, *documents),
        }
        let provider = self.discovery.provider();
        if let Some(written) = self.configured.token_origin() {
            assert_eq!(provider.token_origin(), Some(written), "a written address stays");
        }
    }

    fn knows_more(&self) -> bool {
        let provider = self.discovery.provider();
        provider.has_metadata()
            || KINDS
                .iter()
                .any(|kind| provider.missing_endpoint(*kind) != self.configured.missing_endpoint(*kind))
    }

    fn request(&mut self, kind: Kind, documents: [Document; 3]) {
        let before = self.discovery.provider();
        let is_needed = before.missing_endpoint(kind).is_some();
        let is_over = |until: Option<Instant>| until.is_none_or(|until| until <= self.now);
        let has_waited = !is_over(self.last_wait.map(|at| at + Duration::from_secs(60)));
        let fetch = match self.discovery.plan(kind, self.now) {
            Plan::Use(provider) => {
                assert_eq!(
                    provider.missing_endpoint(kind),
                    None,
                    "{kind:?} goes out without an address"
                );
                let may_ask = self.configured.leaves_to_server(kind) && is_over(self.wish) && !has_waited;
                assert!(!(self.moved && may_ask), "{kind:?} does not look for the server");
                return;
            }
            Plan::Fetch(fetch) => fetch,
        };
        assert!(
            is_needed || self.configured.leaves_to_server(kind) || matches!(kind, Kind::Authorize | Kind::DeviceCode),
            "{kind:?} asks for an address that is written"
        );
        let limit = if is_needed && kind != Kind::Revoke { 20 } else { 5 };
        assert_eq!(fetch.deadline - self.now, Duration::from_secs(limit), "{kind:?}");
        if !is_needed {
            assert!(is_over(self.wish), "{kind:?} does not leave the server alone");
            let wants = before.benefits_from_metadata(kind);
            assert!(wants || !has_waited, "{kind:?} waits a second time in a minute");
            if self.moved && !has_waited {
                self.last_wait = Some(self.now);
            }
        }
        let (answers, result) = self.read(fetch, documents);
        self.judge(kind, &before, &answers, &result);
    }

    /// Reads the documents, each at most once, those that were absent last.
    fn read(&mut self, mut fetch: Fetch, documents: [Document; 3]) -> (Vec<Document>, Result<Arc<Provider>, Fault>) {
        let mut asked: Vec<String> = Vec::new();
        let mut answers = Vec::new();
        let absent = self.absent.clone();
        while let Some(request) = fetch.next(self.now) {
            assert_eq!((&request.method, request.origin.host()), (&Method::GET, "id.example"));
            assert!(request.body.is_empty() && !request.headers.contains_key("authorization"));
            let path = request.path;
            assert!(!asked.contains(&path), "{path} is asked for twice");
            assert!(
                absent.contains(&path) || !asked.iter().any(|path| absent.contains(path)),
                "an absent document comes before another"
            );
            let document = documents[answers.len()];
            if document == Slow {
                self.now += fetch.document_limit;
            }
            if document == Absent {
                self.absent.insert(path.clone());
            }
            asked.push(path.clone());
            answers.push(document);
            self.discovery.received(&mut fetch, path, document.result());
        }
        let result = self.discovery.fetched(fetch, self.now);
        (answers, result)
    }

    fn judge(
        &mut self,
        kind: Kind,
        before: &Arc<Provider>,
        answers: &[Document],
        result: &Result<Arc<Provider>, Fault>,
    ) {
        let after = self.discovery.provider();
        let has = |what: fn(Document) -> bool| answers.iter().any(|document| what(*document));
        let (told, unfit) = (has(Document::is_told), has(Document::is_unfit));
        let failed = has(Document::is_fault) || answers.is_empty();
        assert!(
            before.missing_endpoint(Kind::Refresh).is_some() || after.missing_endpoint(Kind::Refresh).is_none(),
            "what is known is replaced by less"
        );
        assert!(
            after.has_metadata() || !before.has_metadata(),
            "what was heard is forgotten"
        );
        match result {
            Ok(provider) => assert_eq!(provider.missing_endpoint(kind), None),
            Err(fault) => {
                assert!(!fault.kind.ambiguous(), "{fault:?}");
                let wish = answers.contains(&Throttled).then_some(WISH);
                assert_eq!(fault.retry_after, wish, "the server's wish is passed on");
                let is_local = matches!(fault.kind, FaultKind::Local(_));
                assert!(
                    !is_local || !failed && (told || unfit),
                    "{fault:?} is not this device's fault"
                );
            }
        }
        let says_nothing_more = told || !unfit && !before.has_metadata();
        if kind == Kind::Revoke && !failed && says_nothing_more && after.missing_endpoint(Kind::Refresh).is_none() {
            assert!(result.is_ok(), "a revocation is tried for ever");
        }
        let knows_token = |provider: &Provider| provider.missing_endpoint(Kind::Refresh).is_none();
        let tells_token = knows_token(&self.configured) || has(|document| matches!(document, Whole | Least | NoS256));
        if told && (tells_token || !knows_token(before)) {
            (self.wish, self.moved) = (None, false);
        } else if answers.contains(&Throttled) {
            self.wish = self.wish.max(Some(self.now + WISH));
        }
    }
}

fn settings(endpoints: Endpoints) -> ServerSettings {
    ServerSettings {
        client_id: "c".to_owned(),
        client_secret: None,
        auth: ClientAuth::None,
        scope: None,
        issuer: Some(Issuer::parse("https://id.example").unwrap()),
        endpoints,
        ..ServerSettings::default()
    }
}

/// Nothing written, all but the revocation, the token endpoint alone.
fn providers() -> Vec<Provider> {
    let at = |path: &str| Some(Endpoint::parse(&format!("https://written.example{path}")).unwrap());
    let all = Endpoints {
        token: at("/t"),
        authorization: at("/a"),
        device_authorization: at("/d"),
        revocation: None,
    };
    let token = Endpoints {
        token: at("/t"),
        ..Endpoints::default()
    };
    let code = |endpoints| {
        let redirect = RedirectUri::parse("http://127.0.0.1/callback").unwrap();
        Provider::OauthCode(OauthCode::new(settings(endpoints), redirect))
    };
    let device = |endpoints| Provider::OauthDevice(OauthDevice::new(settings(endpoints)));
    vec![
        code(Endpoints::default()),
        code(all.clone()),
        code(token),
        device(Endpoints::default()),
        device(all),
    ]
}

fn document() -> impl Strategy<Value = Document> {
    prop::sample::select(&EVERY[..])
}

fn kind() -> impl Strategy<Value = Kind> {
    prop::sample::select(&KINDS[..])
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (kind(), [document(), document(), document()]).prop_map(|(kind, documents)| Step::Request(kind, documents)),
        1 => kind().prop_map(Step::NotFound),
        1 => prop::sample::select(&[1_u64, 54, 60, 100, 3_600][..]).prop_map(Step::Pass),
    ]
}

#[test]
fn the_laws_hold_for_every_pair_of_requests() {
    for provider in providers().into_iter().take(3) {
        for (first, second) in EVERY.into_iter().flat_map(|first| EVERY.map(|second| (first, second))) {
            for kind in [Kind::Prepare, Kind::Authorize, Kind::Revoke] {
                for (seconds, then) in [(0, Kind::Prepare), (60, Kind::Revoke), (100, Kind::Authorize)] {
                    for last in [Whole, Absent, Slow] {
                        let mut world = World::new(provider.clone());
                        world.step(&Step::Request(kind, [first, second, second]));
                        world.step(&Step::NotFound(then));
                        world.step(&Step::Pass(seconds));
                        world.step(&Step::Request(then, [last; 3]));
                        world.step(&Step::Request(kind, [second, first, first]));
                    }
                }
            }
        }
    }
}

/// Found by a long run: a new pairing read all documents, and a revocation read them again at once.
#[test]
fn a_look_for_what_a_server_promises_is_a_look_for_where_it_went() {
    for provider in providers() {
        let mut world = World::new(provider);
        world.step(&Step::Request(Kind::Revoke, [Absent, Absent, Whole]));
        world.step(&Step::NotFound(Kind::Revoke));
        world.step(&Step::Request(Kind::Authorize, [Foreign, Foreign, Whole]));
        world.step(&Step::Request(Kind::Revoke, [Whole; 3]));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]
    #[test]
    fn the_laws_hold_for_long_runs(steps in prop::collection::vec(step(), 1..24)) {
        for provider in providers() {
            let mut world = World::new(provider);
            for step in &steps {
                world.step(step);
            }
        }
    }
}
