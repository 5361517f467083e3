# shellcheck shell=bash
# Both secrets sealed by the TPM, then by TPM and host key together: the daemon gets them by name through systemd, and the
# pairing outlives the change. The tool, which does the latter, makes the unit wait for the TPM. What is left behind is what the
# next boots find.

[ -c /dev/tpmrm0 ] || die "there is no TPM"
# It answers "partial": booted without firmware, nobody has measured anything. Sealing without PCRs needs none of that.
systemd-creds has-tpm2 | note || true

# Not bound to PCRs: an update of the firmware must not lock the device out.
credential() {
    systemd-creds --quiet encrypt --with-key=tpm2 --tpm2-pcrs= --name="$1" - "/etc/credstore.encrypted/c2c-authd.$1"
    chmod 600 "/etc/credstore.encrypted/c2c-authd.$1"
}
world
pair
first=$(token)

# From one kind to the other, as an operator does who wants both.
wait=/etc/systemd/system/$UNIT.d/50-provision.conf
[ ! -e "$wait" ] || die "the unit waits already"
report=$(c2c-authctl provision --upgrade-key host+tpm2 --json)
expect "what was done" "$(jq --compact-output '[."client-secret", ."state-key", .key, ."unit-drop-in"]' <<<"$report")" \
    "[\"moved\",\"moved\",\"host+tpm2\",\"$wait\"]"
expect_like "what systemd knows" "$(unit Wants)" 'dev-tpmrm0\.device'
expect_like "the same again" "$(c2c-authctl provision --upgrade-key host+tpm2)" '^Nothing to do'
systemctl restart "$UNIT"
expect "the state under the other key" "$(state)" paired
expect "the token under the other key" "$(token)" "$first"
! grep --quiet --text --fixed-strings "$(cat "$SIM_DIR/client-secret")" /etc/credstore.encrypted/* || die "the secret lies there in clear"
printf '%s' "$first" >/var/lib/the-token
