# shellcheck shell=bash
# SIGTERM while a refresh that was sent waits for its answer, for longer than TimeoutStopSec=: the daemon asks systemd for time,
# takes the answer, stores it, and ends well. The next start serves that token.

drop_in 10-impatient <<<$'[Service]\nTimeoutStopSec=3s'
sim_start
held_refresh
systemctl stop "$UNIT" &
stop=$!
soon is deactivating unit ActiveState
stays 7 is deactivating unit ActiveState
sim release
wait "$stop"
expect "result" "$(unit Result)" success
expect "refreshes" "$(sim count refreshes-committed)" 1
happened stopping || die "no word of the stop in the journal"

systemctl start "$UNIT"
expect "state" "$(state)" paired
expect "generation" "$(generation)" 2
soon serves_live
expect "refreshes" "$(sim count refreshes)" 1
