# shellcheck shell=bash
# boots: 1
# needs: packages
# The package is upgraded while a refresh that was sent waits for its answer: the old process takes the answer and stores it, then
# the new one serves that token. This is the moment in which an upgrade could cost a pairing.

# Over what the rig has put there file by file; dpkg takes these files over.
DEBIAN_FRONTEND=noninteractive dpkg --force-confold --install /packages/previous.deb
sim_start
held_refresh
before=$(unit MainPID)
dpkg --force-confold --install /packages/current.deb >/tmp/upgrade 2>&1 &
upgrade=$!
soon is deactivating unit ActiveState
stays 4 is deactivating unit ActiveState
expect "the process" "$(unit MainPID)" "$before"
sim release
wait "$upgrade" || die "the upgrade failed: $(cat /tmp/upgrade)"
cat /tmp/upgrade
[ "$(unit MainPID)" != "$before" ] || die "the old process is still running"
expect "state" "$(state)" paired
expect "generation" "$(generation)" 2
soon serves_live
expect "refreshes" "$(sim count refreshes)" 1
