# shellcheck shell=bash
# boots: 1
# The bus is restarted while a refresh that was sent waits for its answer: the daemon takes the answer and stores it, and only then
# ends with 75 to be started again.

sim_start
provision
refreshing_early
systemctl start "$UNIT"
sim fault refresh stall-after released
pair
sim await refresh 1 60
before=$(unit MainPID)
systemctl restart dbus.service
soon happened bus-lost
stays 4 is "$before" unit MainPID
sim release
back() { [ "$(unit NRestarts)" -ge 1 ] && [ "$(unit ActiveState)" = active ]; }
soon back
said _PID=1 >/tmp/said
grep --quiet 'status=75' /tmp/said || die "it did not end with 75"
expect "state" "$(state)" paired
expect "generation" "$(generation)" 2
soon serves_live
expect "refreshes" "$(sim count refreshes)" 1
