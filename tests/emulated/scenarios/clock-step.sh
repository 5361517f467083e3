# shellcheck shell=bash
# A real clock, stepped: in 1970 nothing that needs a certificate is believed to have failed for another reason, the step to the
# true time is noticed by itself, and later steps cost a pairing nothing: deadlines do not hang on that clock.

# Counts tries: the shell's own seconds are the clock that is being set.
eventually() {
    local tries=$1
    shift
    until "$@" >/dev/null 2>&1; do
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || die "never: $*" || return 1
        sleep 0.2
    done
}

# Later scenarios have the true time again.
read -r up _ </proc/uptime
zero=$(($(date +%s) - ${up%.*}))

# The server lives in a year in which its certificate is valid, and our build date is not.
truth='2027-06-01 12:00:00'
date --set "$truth" >/dev/null
sim_start
provision
date --set '1970-01-02 00:00:00' >/dev/null
systemctl start "$UNIT"
expect "state at first" "$(state)" unpaired
refuses ClockNotSet start_pairing 0
expect "reason" "$(property Pairing PairingReason)" clock-not-set

# NTP sets the clock like this.
date --set '2027-06-01 12:01:00' >/dev/null
eventually 100 is awaiting-user state
sim approve any
eventually 100 is paired state
first=$(token)
tries=$(sim count refreshes)
expect "refreshes" "$tries" 0

# A day back, half a year ahead, 1970 and the truth again: the token was handed out an hour's fraction ago, whatever they say.
for step in '2027-05-31 12:00:00' '2027-12-01 12:00:00' '1970-01-02 00:00:00' '2027-06-01 12:05:00'; do
    date --set "$step" >/dev/null
    expect "the token in $step" "$(token)" "$first"
    expect "the state in $step" "$(state)" paired
done
expect "refreshes after all steps" "$(sim count refreshes)" 0

# Started again with the clock in 1970: still paired, still the same token.
date --set '1970-01-02 00:00:00' >/dev/null
systemctl restart "$UNIT"
expect "state after a restart in 1970" "$(state)" paired
date --set '2027-06-01 12:10:00' >/dev/null
eventually 100 is "$first" token
expect "refreshes at the end" "$(sim count refreshes)" 0
expect "complaints of the server" "$(sim violations)" ""

read -r up _ </proc/uptime
date --set "@$((zero + ${up%.*}))" >/dev/null
