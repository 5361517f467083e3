# shellcheck shell=bash
# SIGTERM while a refresh that was sent waits for its answer, for longer than TimeoutStopSec=: the daemon asks systemd for time,
# takes the answer, stores it, and ends well. The next start serves that token.

drop_in 10-impatient <<<$'[Service]\nTimeoutStopSec=3s'
sim_start
provision
refreshing_early
systemctl start "$UNIT"
sim fault refresh stall-after 8
pair_for_long
sim await refresh 1 20
began=$SECONDS
systemctl stop "$UNIT"
took=$((SECONDS - began))
[ "$took" -ge 5 ] || die "it stopped after $took s, before the answer"
expect "result" "$(unit Result)" success
expect "refreshes" "$(sim count refreshes-committed)" 1
happened stopping || die "no word of the stop in the journal"

systemctl start "$UNIT"
expect "state" "$(state)" paired
expect "generation" "$(generation)" 2
expect "the token" "$(token)" "$(sim live "$CLIENT" access)"
expect "refreshes" "$(sim count refreshes)" 1
