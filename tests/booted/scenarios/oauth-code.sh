# shellcheck shell=bash
# The code grant under the shipped unit: the listener is bound on both loopback addresses and nowhere else, another user's process on
# the board reaches it, a redirect completes the pairing and ends the listener. Refreshed and restarted as every kind; a fixed
# port can be had again at once; an answer of a browser elsewhere comes in by `c2c-authctl complete`, from who may.

standard_start
sim access-life 40
standard_device oauth-code
configure 50-refresh <<<$'[refresh]\nat = "10%"'
systemctl start "$UNIT"
expect "state at first" "$(state)" unpaired

# back: where the server sends the browser of a person who approves what is on show
back() {
    local uri
    uri=$(busctl --system --json=short call "$NAME" "$OBJECT" "$NAME.Pairing" GetPairingCode | jq --raw-output '.data[0]."authorization-uri".data')
    sim browse "$uri" approve
}
# The listeners on this port.
listening() { ss --no-header --listening --tcp --numeric --processes "sport = :$1"; }
# opens ADDRESS: in a browser of somebody's who has no role
opens() { as nobody /booted/guest/browser <<<"$1"; }
# fails ADDRESS: nobody is there
fails() { ! opens "$1" >/dev/null 2>&1; }

start_pairing 0 >/dev/null
expect "state" "$(state)" awaiting-user
to=$(back)
port=${to#http://*:}
port=${port%%/*}
listening "$port"
expect "where it listens" "$(listening "$port" | awk '{ print $4 }' | sort | tr '\n' ' ')" "127.0.0.1:$port [::1]:$port "
expect "who does" "$(listening "$port" | grep --only-matching 'pid=[0-9]*' | sort --unique)" "pid=$(unit MainPID)"
# From the network's side there is nothing, and strangers inside get nothing.
soon ip route get 10.99.0.1
here=$(ip -4 -oneline address show dev host0 | sed -n 's/.*inet \([0-9.]*\).*/\1/p')
[ -n "$here" ] || die "the address on the network's side is not known"
fails "${to/127.0.0.1/$here}" || die "it is reached from outside"
expect_like "a stranger's guess" "$(opens "http://127.0.0.1:$port/callback?state=guess&code=x")" '^HTTP/1.1 400 '
expect_like "another page" "$(opens "http://127.0.0.1:$port/favicon.ico")" '^HTTP/1.1 404 '
expect_like "by the other address" "$(opens "http://[::1]:$port/callback?state=guess&code=x")" '^HTTP/1.1 400 '
expect "state among strangers" "$(state)" awaiting-user
page=$(opens "$to")
expect_like "the page" "$page" '^HTTP/1.1 200 .*is paired'
expect "state" "$(state)" paired
expect "what listens afterwards" "$(listening "$port")" ""
fails "$to" || die "somebody still answers there"

soon at_least 3 generation
settled
first=$(token)
sim takes "$first"
systemctl restart "$UNIT"
expect "state after a restart" "$(state)" paired
expect "the token after a restart" "$(token)" "$first"

# unpaired: and the server has heard of it, for the Nth time. The daemon has its answer: stopped before that, it would tell the
# server once more at its next start.
revocations() { entries | jq 'select(.C2C_EVENT == "revoked") | 1' | wc -l; }
unpaired() {
    call ui Pairing Unpair
    soon is "$1" sim seen 'POST /revoke'
    soon is "$1" revocations
    expect "grants that live" "$(sim grants)" 0
}
unpaired 1

# A fixed port: with a restart while it is bound, and again while the connection of the time before may linger.
standard_device oauth-code 'redirect-uri = "http://127.0.0.1:8910/callback"'
systemctl restart "$UNIT"
soon start_pairing 0
[ -n "$(listening 8910)" ] || die "nobody listens on the fixed port"
systemctl kill --signal=KILL "$UNIT"
soon restarted
expect "a flow after a restart, whose listener is gone" "$(state)" unpaired
for round in 2 3; do
    soon start_pairing 0
    expect_like "the page" "$(opens "$(back)")" '^HTTP/1.1 200 .*is paired'
    unpaired "$round"
done

# A browser elsewhere: its answer is handed in, and by whom it is handed in matters.
standard_device oauth-code 'redirect-uri = "com.example.camera:/callback"'
systemctl restart "$UNIT"
round=4
for who in root ui; do
    soon start_pairing 0
    to=$(back)
    code=0
    as uploader c2c-authctl complete <<<"$to" || code=$?
    expect "exit code of an uploader" "$code" 6
    code=0
    as "$who" c2c-authctl complete <<<"${to/state=/state=x}" || code=$?
    [ "$code" -ne 0 ] || die "a wrong answer was taken"
    expect "state" "$(state)" awaiting-user
    expect "what it says to $who" "$(as "$who" c2c-authctl complete <<<"$to")" "Paired."
    expect "state" "$(state)" paired
    sim takes "$(token)"
    unpaired "$round"
    round=$((round + 1))
done
expect "what no client may send" "$(sim violations)" ""
