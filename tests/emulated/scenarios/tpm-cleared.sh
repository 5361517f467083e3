# shellcheck shell=bash
# Somebody cleared the TPM: systemd cannot open the credentials, says so with 243 and does not try again and again. Sealed anew by
# the tool, which finds the TPM by itself, the device runs; the record of the old key is not destroyed and not believed, and
# pairing works.

# Not because the TPM is late.
within 120 test -c /dev/tpmrm0
within 120 is failed unit ActiveState
expect "exit status" "$(unit ExecMainStatus)" 243
expect "restarts" "$(unit NRestarts)" 0
journalctl --quiet --no-pager --boot --unit="$UNIT" --grep='credential' --output=cat | head -n 2 | note
record=$(find "$STATE" -type f -name 'record*' | head -n 1)
[ -n "$record" ] || die "there is no record any more"
expect_like "status" "$(c2c-authctl status || true)" 'state-key: .*the TPM was cleared or cannot be reached'

sim_start
device
c2c-authctl provision --client-id "$CLIENT" --replace --no-restart <"$SIM_DIR/client-secret"
expect_like "the key" "$(c2c-authctl check --offline --json | jq --raw-output '.checks[] | select(.check == "state-key") | .what')" \
    '^sealed with host\+tpm2'
systemctl reset-failed "$UNIT"
systemctl start "$UNIT"
expect "reason" "$(property Pairing PairingReason)" state-key-mismatch
note <<<"with a new state key: $(state), $(property Pairing PairingReason)"
pair
token >/dev/null
