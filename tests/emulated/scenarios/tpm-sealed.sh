# shellcheck shell=bash
# Both secrets sealed by the TPM, then by TPM and host key together: the daemon gets them by name through systemd, and the
# pairing outlives the change. What is left behind is what the next boots find.

[ -c /dev/tpmrm0 ] || die "there is no TPM"
# It answers "partial": booted without firmware, nobody has measured anything. Sealing without PCRs needs none of that.
systemd-creds has-tpm2 | note || true

key=tpm2
# Not bound to PCRs: an update of the firmware must not lock the device out.
credential() {
    systemd-creds --quiet encrypt --with-key="$key" --tpm2-pcrs= --name="$1" - "/etc/credstore.encrypted/$1"
    chmod 600 "/etc/credstore.encrypted/$1"
}
world
pair
first=$(token)

# From one kind to the other, as an operator does who wants both.
key=host+tpm2
for name in client-secret state-key; do
    systemd-creds decrypt --name="$name" "/etc/credstore.encrypted/$name" /run/plain
    credential "$name" </run/plain
    shred --remove /run/plain
done
systemctl restart "$UNIT"
expect "the state under the other key" "$(state)" paired
expect "the token under the other key" "$(token)" "$first"
! grep --quiet --text --fixed-strings "$(cat "$SIM_DIR/client-secret")" /etc/credstore.encrypted/* || die "the secret lies there in clear"
printf '%s' "$first" >/var/lib/the-token
# The TPM's driver is a module here and comes late: see tpm-late.
install -D --mode=644 /dev/stdin "/etc/systemd/system/$UNIT.d/60-tpm.conf" <<<$'[Unit]\nWants=tpm2.target\nAfter=tpm2.target'
