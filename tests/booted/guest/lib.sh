# shellcheck shell=bash
# The library of the scenarios. Sourced by `one` under `set -Eeuo pipefail`: any command that fails
# fails the scenario.
#
# Owns: the fresh start of each scenario, the simulated server in the guest, calls as the three users. Waits always have a
# bound, and poll real processes; nothing sleeps for a guessed time.
#
# For scenarios that stay steady on a busy machine: what becomes so in its own time is waited for with `soon`; what must happen
# while an answer is outstanding has the server hold it (`released`) until it was seen; two readings of what may change in
# between are no comparison (`serves_live`). `within` is for where the time is the point, and then far from the alternative.

NAME=org.cameratocloud.Auth1
OBJECT=/org/cameratocloud/Auth1
UNIT=c2c-authd.service
# The unit's id, as the server knows it.
CLIENT=SIM-000123
SIM_DIR=/run/c2c-sim
STATE=/var/lib/c2c-authd
DROP_INS=/run/systemd/system/$UNIT.d
CONFIG=/etc/c2c-authd/config.d
STORE=/etc/credstore.encrypted
# Every secret there was since the system was booted, for `leaks`.
SECRETS=/run/c2c-secrets

# ---- verdicts

die() {
    printf -- '-- %s\n' "$*"
    return 1
}

# note: what the run is to print of this scenario also when it passes, from stdin.
note() { cat >>"/run/results/$scenario.note"; }

# expect WHAT ACTUAL WANTED
expect() { [ "$2" = "$3" ] || die "$1: is «$2», wanted «$3»"; }

# expect_like WHAT ACTUAL REGEX
expect_like() { [[ $2 =~ $3 ]] || die "$1: is «$2», wanted like «$3»"; }

# refuses ERROR COMMAND…: the call is answered with the error of this name (ours without its prefix).
refuses() {
    local wanted=$1 said
    shift
    # busctl shows names of errors only to those who debug it.
    if said=$(SYSTEMD_LOG_LEVEL=debug SYSTEMD_LOG_TARGET=console "$@" 2>&1); then
        die "should have been refused with $wanted: $*"
        return 1
    fi
    said=$(grep --only-matching 'error-name=[^ ]*' <<<"$said" | tail -n 1 || true)
    said=${said#error-name=}
    expect "the error of $*" "${said#"$NAME".Error.}" "$wanted"
}

# within SECONDS COMMAND…: until it succeeds.
within() {
    local limit=$1 end
    shift
    end=$((SECONDS + limit))
    until "$@" >/dev/null 2>&1; do
        [ "$SECONDS" -lt "$end" ] || die "not within $limit s: $*" || return 1
        sleep 0.1
    done
}

# soon COMMAND…: the same where the time is not the point. A busy machine meets this bound; what never happens does not.
soon() { within 60 "$@"; }

# stays SECONDS COMMAND…: that it succeeds for at least so long.
stays() {
    local end=$((SECONDS + $1 + 1))
    shift
    while [ "$SECONDS" -lt "$end" ]; do
        "$@" >/dev/null || die "no longer: $*" || return 1
        sleep 0.2
    done
}

# Each of these is a question for those three.
is() { [ "$("${@:2}")" = "$1" ]; }
# at_least N COMMAND…
at_least() { [ "$("${@:2}")" -ge "$1" ]; }
like() { [[ $("${@:2}") =~ $1 ]]; }

# ---- a fresh world

# Nothing left of the scenario before: no state, no configuration, no drop-in, no server.
reset() {
    # Codes are too short to be looked for in what others did.
    if systemctl --quiet is-active c2c-sim.service; then secrets_of_sim | sed '/^user-code/d' >>"$SECRETS"; fi
    systemctl stop "$UNIT" c2c-authd-again.timer c2c-sim.service 2>/dev/null || true
    umount --quiet "$STATE" 2>/dev/null || true
    # Covered by scenarios that failed before they could uncover it.
    umount --quiet /usr/bin/systemd-creds 2>/dev/null || true
    rm -rf "${STATE:?}" /run/c2c-authd "$DROP_INS" "${CONFIG:?}" "$SIM_DIR"
    rm -f /etc/credstore.encrypted/c2c-authd.client-secret /etc/credstore.encrypted/c2c-authd.state-key
    systemctl daemon-reload
    systemctl reset-failed "$UNIT" c2c-sim.service 2>/dev/null || true
}

# drop_in NAME: the unit's drop-in of this name, from stdin. Not for what is shown to work as shipped.
drop_in() {
    mkdir -p "$DROP_INS"
    cat >"$DROP_INS/$1.conf"
    systemctl daemon-reload
}

# ---- the simulated server

# sim_start [FLAG…]: in this system, on loopback.
sim_start() {
    systemd-run --quiet --collect --unit=c2c-sim --service-type=notify \
        /usr/local/bin/c2c-sim serve "$SIM_DIR" "$@"
}

# standard_start: the standard one in its place, for the kinds that are not Frame.io's.
standard_start() {
    systemd-run --quiet --collect --unit=c2c-sim --service-type=notify /usr/local/bin/c2c-sim standard "$SIM_DIR"
}

# The one outside, which outlives this system's boots, behind an interface that systemd-networkd manages.
sim_outside() {
    SIM_DIR=/run/world
}

sim() { c2c-sim ctl "$SIM_DIR/ctl" "$@"; }

# secrets_of_sim: all that it ever gave out or was given, as `leaks` reads them
secrets_of_sim() {
    local kind kinds
    # On its own: a loop over nothing would look like a server that gave out nothing.
    kinds=$(sim kinds) || return 1
    [ -n "$kinds" ] || die "the simulated server names no kinds" || return 1
    for kind in $kinds; do
        sim secrets "$kind" | hex "$kind"
    done
    # Public clients have none.
    [ ! -e "$SIM_DIR/client-secret" ] || hex client-secret <"$SIM_DIR/client-secret"
}

# hex KIND: lines of stdin
hex() { perl -ne 'BEGIN { $kind = shift } chomp; print "$kind\t", unpack("H*", $_), "\n" if length' "$1"; }

# ---- the device

# configure NAME: a drop-in of the configuration, from stdin.
configure() {
    mkdir -p "$CONFIG"
    cat >"$CONFIG/$1.toml"
}

# device [LINE]: what an image knows, the server; neither id nor secrets. LINE is one more of [device].
device() {
    mkdir -p /etc/c2c-authd
    install --mode=644 "$SIM_DIR/ca.pem" /etc/c2c-authd/ca.pem
    configure 10-device <<END
[device]
${1:-}
firmware-version = "2.16.4"
[provider]
base-uri = "$(cat "$SIM_DIR/base-uri")"
[tls]
ca-file = "/etc/c2c-authd/ca.pem"
[heartbeat]
interval = "off"
END
}

# Gives every device the rest: an id, and both secrets as credentials that only this system can
# decrypt.
provision() {
    device "client-id = \"$CLIENT\""
    mkdir -p "$STORE"
    local key
    key=$(head -c 32 /dev/urandom | od --address-radix=n --format=x1 | tr -d ' \n')
    printf 'state-key\t%s\n' "$key" >>"$SECRETS"
    perl -e 'print pack "H*", shift' "$key" | credential state-key
    credential client-secret <"$SIM_DIR/client-secret"
}

# standard_device KIND [LINE]: the same for a public client of the standard server, whose state key the production line's step makes:
# it has no secret to ask for. LINE is one more of [provider].
standard_device() {
    mkdir -p /etc/c2c-authd
    install --mode=644 "$SIM_DIR/ca.pem" /etc/c2c-authd/ca.pem
    configure 10-device <<END
[provider]
kind = "$1"
client-id = "camera-app"
client-auth = "none"
issuer = "$(cat "$SIM_DIR/issuer")"
${2:-}
[tls]
ca-file = "/etc/c2c-authd/ca.pem"
END
    [ -e "$STORE/c2c-authd.state-key" ] || c2c-authctl provision --with-key host </dev/null
    systemd-creds decrypt --name=state-key "$STORE/c2c-authd.state-key" - | perl -0777 -ne 'print "state-key\t", unpack("H*", $_), "\n"' >>"$SECRETS"
}

# credential NAME: encrypts stdin with the host's key, into the file that the unit maps to this name.
credential() {
    systemd-creds --quiet encrypt --with-key=host --name="$1" - "$STORE/c2c-authd.$1" 2>/dev/null
    chmod 600 "$STORE/c2c-authd.$1"
}

# A server, a provisioned device, the daemon running.
world() {
    sim_start "$@"
    provision
    systemctl start "$UNIT"
}

unit() { systemctl show --property="$1" --value "$UNIT"; }

# has_ended CODE: a question: the last run of the unit ended so. It may be started again already: see `soon`.
has_ended() { [ "$(unit ExecMainStatus)" = "$1" ]; }

# runs_again: a question: systemd has started it again by itself, and it runs.
runs_again() { [ "$(unit NRestarts)" -ge 1 ] && [ "$(unit ActiveState)" = active ]; }
# restarted: the same, with one try.
restarted() { runs_again && [ "$(unit NRestarts)" = 1 ]; }

# back_on_the_bus: the bus was restarted: it ended for that, and was started again, by one try or more.
back_on_the_bus() {
    soon runs_again
    said _PID=1 >/tmp/said
    grep --quiet 'status=75' /tmp/said || die "it did not end with 75"
}

# systemd_version: 252, 257
systemd_version() { systemctl --version | sed -n '1s/^systemd \([0-9]*\).*/\1/p'; }

# ---- calls

# as USER COMMAND…
as() { setpriv --reuid="$1" --regid="$(id --group "$1")" --init-groups -- "${@:2}"; }

# call USER INTERFACE MEMBER [SIGNATURE ARGUMENT…]
call() {
    as "$1" busctl --system --timeout=25 call "$NAME" "$OBJECT" "$NAME.$2" "${@:3}"
}

# property INTERFACE NAME, without its type and quotes
property() {
    busctl --system --json=short get-property "$NAME" "$OBJECT" "$NAME.$1" "$2" | jq --raw-output .data
}

state() { property Pairing PairingState; }

start_pairing() { call ui Pairing StartPairing 'a{sv}' "$@"; }

# token: the token alone
token() { call uploader Tokens GetAccessToken u 0 | cut -d '"' -f 2; }

# lives: for how many seconds it does
lives() { call uploader Tokens GetAccessToken u 0 | awk '{ print $3 }'; }

generation() { property Tokens Generation; }

# pair: the whole of it, as a person would see it
pair() {
    start_pairing 0 >/dev/null
    sim approve any
    soon is paired state
}

# refreshing_often: the first refresh comes by itself four seconds after the pairing, the next ones five seconds apart.
refreshing_often() {
    configure 50-refresh <<<$'[refresh]\nat = "10%"'
    sim access-life 40
}
# refreshing_early: the first one, and then none: what it brings lives long.
refreshing_early() {
    refreshing_often
    sim refreshed-life 28800
}

# held_refresh: from a server that runs to a paired device whose first refresh was sent, and carried out at the server, which holds
# the answer back until `sim release`.
held_refresh() {
    provision
    refreshing_early
    sim fault refresh stall-after released
    # Also one that runs already, and has to read its secrets.
    systemctl restart "$UNIT"
    pair
    sim await refresh 1 60
}

# settled: no refresh is due any more: the standard server's tokens live long from here on, and the device has one of those.
settled() {
    sim access-life 28800
    soon at_least 1000 lives
}

# serves_live: a question: the token that uploaders get is the one that the server takes.
serves_live() { [ "$(token)" = "$(sim live "$CLIENT" access)" ]; }

# rejected GENERATION: an uploader with a 401 that is true. One whose requests still fail says so again, also when the daemon
# could not find out.
rejected() {
    local end=$((SECONDS + 60))
    while [ "$SECONDS" -lt "$end" ]; do
        call uploader Tokens RejectAccessToken t "$1" || true
        [ "$(generation)" = "$1" ] || return 0
        sleep 1
    done
    die "generation $1 is still there"
}

last_error() {
    busctl --system --json=short get-property "$NAME" "$OBJECT" "$NAME.Device" LastError | jq --raw-output '.data[0]'
}

# ---- the journal

journal_now() { journalctl --quiet --lines=0 --show-cursor | sed -n 's/^-- cursor: //p'; }

# Entries of this scenario that match, one JSON object a line: all that was said before, so journald is first asked to take in what
# waits in its socket. Not by --after-cursor: with a match, 252 also skips the first that is wanted.
since() {
    journalctl --sync
    journalctl --quiet --cursor="$cursor" --all --output=json "$@" | jq --compact-output --arg cursor "$cursor" 'select(.__CURSOR != $cursor)'
}
# The daemon's. By its name too: journald asks the kernel for the unit of a sender after it has read
# the entry, and finds none where the process has ended meanwhile.
entries() { since _SYSTEMD_UNIT="$UNIT" + SYSLOG_IDENTIFIER=c2c-authd; }
# The texts of those that match.
said() { since "$@" | jq --raw-output .MESSAGE; }

# event NAME [FIELD]: the last entry of this event, or one field of it
event() {
    entries | jq --slurp --raw-output --arg event "$1" --arg field "${2:-MESSAGE}" \
        'map(select(.C2C_EVENT == $event)) | last | .[$field] // empty'
}

# happened NAME: a question
happened() { [ -n "$(event "$1" C2C_EVENT)" ]; }

# ---- other boots

# next_boot HOW…: the scenario goes on in the next boot, as its next phase. HOW is what the operator says: systemctl reboot.
next_boot() {
    touch "/run/results/$scenario.next"
    "$@"
}

# late_answer: what the server outside holds back is answered when this system goes down and the daemon waits for it.
late_answer() {
    cat >/run/systemd/system/c2c-late-answer.service <<END
[Unit]
Description=The answer that comes late
RequiresMountsFor=/run/world /booted
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=true
ExecStop=/booted/guest/late-answer
END
    systemctl daemon-reload
    systemctl start c2c-late-answer.service
}

# down_mid_refresh HOW: both phases of a device whose system goes down by `systemctl HOW` while the answer to a refresh is held.
down_mid_refresh() {
    sim_outside
    if [ "$phase" = 1 ]; then
        systemctl enable "$UNIT"
        soon ip route get 10.99.0.1
        late_answer
        held_refresh
        next_boot systemctl "$1"
        return
    fi
    echo "-- the end of the boot before"
    journalctl --quiet --boot=-1 --no-pager --output=short-precise | tail -n 80
    soon is active unit ActiveState
    expect "state" "$(state)" paired
    expect "generation" "$(generation)" 2
    soon serves_live
    expect "refreshes" "$(sim requests refresh)" 1
    drained_before_the_network
}

# drained_before_the_network: in the boot before, the daemon was told to stop, got its answer after that, and ended; then the network did.
drained_before_the_network() {
    local order
    order=$(journalctl --quiet --boot=-1 --output=json _SYSTEMD_UNIT="$UNIT" + SYSLOG_IDENTIFIER=c2c-authd | jq --raw-output '.C2C_EVENT |
        select(. == "stopping" or . == "refreshed")' | tail -n 2 | tr '\n' ' ')
    expect "the order of stop and answer" "$order" "stopping refreshed "
    order=$(journalctl --quiet --boot=-1 --output=json _PID=1 | jq --raw-output 'select(.JOB_TYPE == "stop" and .JOB_RESULT == "done") |
        .UNIT | select(. == "c2c-authd.service" or . == "systemd-networkd.service")' | tail -n 2 | tr '\n' ' ')
    expect "the order of their ends" "$order" "c2c-authd.service systemd-networkd.service "
}
