# shellcheck shell=bash
# The next boot with the same TPM, whose driver is a module and comes late: the unit waits for it, systemd opens both credentials,
# the device is paired, and its token is the old one; the server is not asked for it, because there is none.

within 120 is active unit ActiveState
expect "restarts" "$(unit NRestarts)" 0
expect "state" "$(state)" paired
expect "the token" "$(token)" "$(cat /var/lib/the-token)"
expect "reason" "$(property Pairing AttentionNeeded)" false
journalctl --quiet --no-pager --boot --unit="$UNIT" --output=short-monotonic | head -n 2 | note
# For the next boot, which shows what that drop-in is for.
mv "/etc/systemd/system/$UNIT.d/50-provision.conf" /var/lib/
