# shellcheck shell=bash
# boots: 1
# The package is upgraded while a refresh that was sent waits for its answer: the old process takes the answer and stores it, then
# the new one serves that token. This is the moment in which an upgrade could cost a pairing.

# Over what the rig has put there file by file; dpkg takes these files over.
DEBIAN_FRONTEND=noninteractive dpkg --force-confold --install /packages/previous.deb
sim_start
provision
refreshing_early
systemctl restart "$UNIT"
sim fault refresh stall-after 8
pair_for_long
sim await refresh 1 20
before=$(unit MainPID)
began=$SECONDS
dpkg --force-confold --install /packages/current.deb
took=$((SECONDS - began))
[ "$took" -ge 5 ] || die "the upgrade took $took s: nobody waited for the answer"
[ "$(unit MainPID)" != "$before" ] || die "the old process is still running"
expect "state" "$(state)" paired
expect "generation" "$(generation)" 2
expect "the token" "$(token)" "$(sim live "$CLIENT" access)"
expect "refreshes" "$(sim count refreshes)" 1
