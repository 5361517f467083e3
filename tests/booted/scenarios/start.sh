# shellcheck shell=bash
# The unit as shipped: READY under Type=notify, its sentence in `systemctl status`, a static user, its two directories with
# their modes, the bus it says it is on; an unprovisioned device runs, and says what it lacks.

systemctl start "$UNIT"
expect "state of the unit" "$(unit ActiveState)/$(unit SubState)" active/running
# The package for a systemd that knows it has the drop-in.
[ "$(systemd_version)" -ge 253 ] && type=notify-reload || type=notify
expect Type "$(unit Type)" "$type"
expect_like "the sentence" "$(systemctl status --no-pager "$UNIT")" 'Status: "Not provisioned: '
expect "pairing state" "$(state)" unprovisioned
expect "reason" "$(property Pairing PairingReason)" client-id-missing

expect "user of the process" "$(stat --format=%U "/proc/$(unit MainPID)")" c2c-authd
for directory in "$STATE" /run/c2c-authd; do
    expect "$directory" "$(stat --format='%U:%G %a' "$directory")" "c2c-authd:c2c-authd 700"
done
refuses NotProvisioned start_pairing 0

systemctl stop "$UNIT"
expect "result" "$(unit Result)" success
[ -d /run/c2c-authd ] || die "the runtime directory went with the unit"
