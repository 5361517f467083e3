# shellcheck shell=bash
# Somebody cleared the TPM: systemd cannot open the credentials, says so with 243 and does not try again and again. Sealed anew,
# the device runs; the record of the old key is not destroyed and not believed, and pairing works.

within 60 is failed unit ActiveState
expect "exit status" "$(unit ExecMainStatus)" 243
expect "restarts" "$(unit NRestarts)" 0
record=$(find "$STATE" -type f -name 'record*' | head -n 1)
[ -n "$record" ] || die "there is no record any more"

rm -f /etc/credstore.encrypted/client-secret /etc/credstore.encrypted/state-key
sim_start
provision
systemctl reset-failed "$UNIT"
systemctl start "$UNIT"
expect_like "state" "$(state)" '^(unpaired|unprovisioned)$'
note <<<"with a new state key: $(state), $(property Pairing PairingReason)"
pair
token >/dev/null
