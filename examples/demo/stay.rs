//! The hints for playing on when everything is left running.

use std::time::Duration;

use crate::cast::{Cast, Role};
use crate::say::Say;
use crate::stage::Stage;

/// Long enough to do something with a token, short enough to see a refresh.
const LIFE: Duration = Duration::from_secs(60);

pub(crate) fn invite(say: &Say, stage: &Stage) {
    stage.tokens_live(LIFE);
    let address = stage.bus.address();
    let call = |interface: &str, call: &str| {
        format!(
            "busctl --address={address} call org.cameratocloud.Auth1 /org/cameratocloud/Auth1 \
             org.cameratocloud.Auth1.{interface} {call}"
        )
    };
    say.line("\nEverything is left running until Ctrl-C. Play with it from another terminal:\n");
    for (what, line) in [
        (
            "What there is to call",
            format!("busctl --address={address} introspect org.cameratocloud.Auth1 /org/cameratocloud/Auth1"),
        ),
        (
            "What is said on the bus, tokens included (on the system bus only root may listen so)",
            format!("busctl --address={address} monitor"),
        ),
        (
            "Pair; the answer holds the code",
            call("Pairing", "StartPairing 'a{sv}' 0"),
        ),
        (
            "The code as a picture",
            format!("{} --bus {address} qr --svg -", stage.binaries.tool.display()),
        ),
        (
            "Approve it",
            format!("curl -d code=CODE -d do=approve {}", stage.page.plain_url()),
        ),
        ("A token", call("Tokens", "GetAccessToken u 0")),
        (
            "The API did not take it",
            call("Tokens", "RejectAccessToken t GENERATION"),
        ),
        ("Unpair", call("Pairing", "Unpair")),
        (
            "The same for people",
            format!("{} --bus {address} pair", stage.binaries.tool.display()),
        ),
    ] {
        say.line(&format!("  {what}:\n    {line}"));
    }
    say.line(&format!(
        "\nTokens live {} s here. The server is at {}, the daemon is process {}.",
        LIFE.as_secs(),
        stage.server.base_uri(),
        stage.daemon.pid()
    ));
    if stage.cast == Cast::Users {
        say.line(&format!(
            "As root you may call everything. To be somebody else: setpriv --reuid {} --clear-groups busctl …",
            stage.cast.uid(Role::Stranger)
        ));
    }
}
