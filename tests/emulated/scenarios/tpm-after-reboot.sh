# shellcheck shell=bash
# The next boot with the same TPM: systemd opens both credentials, the device is paired, and its token is the old one; the
# server is not asked for it, because there is none.

within 60 is active unit ActiveState
expect "state" "$(state)" paired
expect "the token" "$(token)" "$(cat /var/lib/the-token)"
expect "reason" "$(property Pairing AttentionNeeded)" false
