# shellcheck shell=bash
# A board without a battery for its clock, paired, boots in 1970; systemd moves the clock to its own birthday and no further. The
# daemon does not believe that, keeps the pairing, and has the old token when the time is set: there is no server to ask.

within 120 is active unit ActiveState
clock=$(date +%s)
[ "$clock" -lt 1793491200 ] || die "the machine knows the time: $(date)"
note <<<"the clock at boot, after systemd: $(date --utc --iso-8601=seconds)"
expect "state" "$(state)" paired
refuses Offline token
expect "state after the question" "$(state)" paired

# NTP sets the clock like this.
date --set "@$(sed -n 's/^NOW=//p' /booted/boot)" >/dev/null
within 60 is "$(cat /var/lib/the-token)" token
expect "state in the end" "$(state)" paired
expect "reason" "$(property Pairing AttentionNeeded)" false
