# shellcheck shell=bash
# What scenarios are written with. Sourced by `one` under `set -Eeuo pipefail`: any command that fails fails the scenario.
#
# Owns: the fresh start of each scenario, the simulated server in the guest, calls as the three users. Waits always have a
# bound, and poll real processes; nothing sleeps for a guessed time.

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

# Each of these is a question for `within`.
is() { [ "$("${@:2}")" = "$1" ]; }
# at_least N COMMAND…
at_least() { [ "$("${@:2}")" -ge "$1" ]; }
like() { [[ $("${@:2}") =~ $1 ]]; }

# ---- a fresh world

# Nothing left of the scenario before: no state, no configuration, no drop-in, no server.
reset() {
    systemctl stop "$UNIT" c2c-sim.service 2>/dev/null || true
    umount --quiet "$STATE" 2>/dev/null || true
    rm -rf "${STATE:?}" /run/c2c-authd "$DROP_INS" "${CONFIG:?}" "$SIM_DIR"
    rm -f /etc/credstore.encrypted/client-secret /etc/credstore.encrypted/state-key
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

# The one outside, which outlives this system's boots, behind an interface that systemd-networkd manages.
sim_outside() {
    SIM_DIR=/run/world
}

sim() { c2c-sim ctl "$SIM_DIR/ctl" "$@"; }

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

# What every device is given beside it: an id, both secrets as credentials that only this system can decrypt.
provision() {
    device "client-id = \"$CLIENT\""
    mkdir -p "$STORE"
    head -c 32 /dev/urandom | credential state-key
    credential client-secret <"$SIM_DIR/client-secret"
}

# credential NAME: encrypts stdin with the host's key.
credential() {
    systemd-creds --quiet encrypt --with-key=host --name="$1" - "$STORE/$1" 2>/dev/null
    chmod 600 "$STORE/$1"
}

# A server, a provisioned device, the daemon running.
world() {
    sim_start "$@"
    provision
    systemctl start "$UNIT"
}

unit() { systemctl show --property="$1" --value "$UNIT"; }

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

# token [MIN_VALIDITY]: the token alone
token() { call uploader Tokens GetAccessToken u "${1:-0}" | cut -d '"' -f 2; }

generation() { property Tokens Generation; }

# pair: the whole of it, as a person would see it
pair() {
    start_pairing 0 >/dev/null
    sim approve any
    within 15 is paired state
}

# refreshing_early: a moment after the pairing the first refresh comes by itself; what it gets lives long.
refreshing_early() {
    configure 50-refresh <<<$'[refresh]\nat = "10%"'
    sim access-life 40
}
pair_for_long() {
    pair
    sim access-life 28800
}

# rejected GENERATION: an uploader with a 401 that is true. The server was asked after the pairing, which counts for ten seconds:
# an uploader whose requests still fail says so again.
rejected() {
    local tries
    for ((tries = 0; tries < 20; tries++)); do
        call uploader Tokens RejectAccessToken t "$1"
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

# Entries of this scenario that match, one JSON object a line. Not by --after-cursor: with a match, 252 also skips the first that is
# wanted.
since() {
    journalctl --quiet --cursor="$cursor" --all --output=json "$@" | jq --compact-output --arg cursor "$cursor" 'select(.__CURSOR != $cursor)'
}
# The daemon's.
entries() { since _SYSTEMD_UNIT="$UNIT"; }
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
