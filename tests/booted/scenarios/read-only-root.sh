# shellcheck shell=bash
# boots: 1
# volatile: state
# The root file system is read-only, /var is another: the whole job, pairing, refresh, restart.

if touch /usr/written /etc/written 2>/dev/null; then
    die "the root file system can be written"
fi
# The configuration of the test, and its credentials, come with a partition of their own.
mount -t tmpfs tmpfs /etc/c2c-authd
mkdir -p /run/credstore.encrypted
STORE=/run/credstore.encrypted
sim_start
provision
refreshing_early
systemctl start "$UNIT"
pair
soon serves_live
soon is 2 generation
expect "the token after a refresh" "$(token)" "$(sim live "$CLIENT" access)"
systemctl restart "$UNIT"
expect "the token after a restart" "$(token)" "$(sim live "$CLIENT" access)"
