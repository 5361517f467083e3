# shellcheck shell=bash
# A TPM (a software one, which PID 1 and the tool reach as libtss2 says): a fleet sealed with the host's key is upgraded to both,
# then to the TPM alone, with the pairing kept; not bound to PCRs; a cleared TPM is named, and provisioning again is the way out.

device=swtpm:host=127.0.0.1,port=2321
tpm=/run/swtpm
tpm_on() {
    mkdir -p "$tpm"
    systemd-run --quiet --collect --unit=swtpm swtpm socket --tpm2 --tpmstate "dir=$tpm" --server type=tcp,port=2321 \
        --ctrl type=tcp,port=2322 --flags not-need-init,startup-clear
    soon listening 2321
}
tpm_off() { systemctl stop swtpm.service; }
listening() { [ -n "$(ss --no-header --listening --tcp --numeric "sport = :$1")" ]; }

# The kernel's resource manager does this for a real TPM: sessions and objects that a caller leaves
# behind go with it (TPM2 FlushContext of each handle there can be). Three would fill it. The tool
# takes nothing from its environment. So the program itself is covered, for the time of this
# scenario, by one that does so and knows where this TPM is.
mkdir -p /run/bin
cat >/run/bin/tpm-flush <<'END'
#!/bin/bash
exec 5<>/dev/tcp/127.0.0.1/2321
for kind in 02 03 80; do
    for number in 00 01 02; do
        printf "\x80\x01\x00\x00\x00\x0e\x00\x00\x01\x65\x$kind\x00\x00\x$number" >&5
        head -c 10 <&5 >/dev/null
    done
done
END
cp /usr/bin/systemd-creds /run/bin/systemd-creds-itself
cat >/run/bin/systemd-creds <<END
#!/bin/bash
[ "\$1" = has-tpm2 ] || /run/bin/tpm-flush
SYSTEMD_TPM2_DEVICE=$device exec /run/bin/systemd-creds-itself "\$@"
END
chmod 755 /run/bin/*
mount --bind /run/bin/systemd-creds /usr/bin/systemd-creds
export PATH=/run/bin:$PATH
# key: of both, as check sees them
key() { c2c-authctl check --offline --json | jq --raw-output '.checks[] | select(.check == "state-key") | .what'; }

sim_start
device
tpm_on
c2c-authctl provision --with-key host --client-id "$CLIENT" <"$SIM_DIR/client-secret"
systemctl start "$UNIT"
pair
first=$(token)

report=$(c2c-authctl provision --upgrade-key host+tpm2 --json)
expect "what was done" "$(jq --compact-output '[."client-secret", ."state-key", .key, .unit]' <<<"$report")" \
    '["moved","moved","host+tpm2","left-alone"]'
expect_like "the key" "$(key)" '^sealed with host\+tpm2'
# This TPM is no device that systemd would see come: nobody is to wait for it.
[ ! -e "/etc/systemd/system/$UNIT.d" ] || die "the unit waits for a device that never comes"
tpm-flush
systemctl restart "$UNIT"
expect "the token" "$(token)" "$first"
expect_like "the same again" "$(c2c-authctl provision --upgrade-key host+tpm2)" '^Nothing to do'

# A secret that is bound to PCRs is reported, and the cure cures it.
head -c 32 /dev/urandom >/run/other-key
systemd-creds --quiet encrypt --with-key=tpm2 --tpm2-pcrs=7 --name=state-key /run/other-key /run/bound
cp /etc/credstore.encrypted/c2c-authd.state-key /run/unbound
cp /run/bound /etc/credstore.encrypted/c2c-authd.state-key
expect_like "bound" "$(c2c-authctl check --offline || true)" 'warn  state-key .*measurements'
cp /run/unbound /etc/credstore.encrypted/c2c-authd.state-key

c2c-authctl provision --upgrade-key tpm2
mv /var/lib/systemd/credential.secret /run/kept
tpm-flush
systemctl restart "$UNIT"
expect "the token without the host's key" "$(token)" "$first"
mv /run/kept /var/lib/systemd/credential.secret

# The TPM is cleared: another seed.
tpm_off
rm -r "$tpm"
tpm_on
systemctl restart "$UNIT" 2>/dev/null && die "it started"
expect "how it ended" "$(unit ActiveState)/$(unit ExecMainStatus)" failed/243
said=$(c2c-authctl status) || true
expect_like "status" "$said" 'state-key: .*the TPM was cleared or cannot be reached'
code=0
c2c-authctl provision --with-key host+tpm2 <"$SIM_DIR/client-secret" || code=$?
expect "exit code without --replace" "$code" 8
c2c-authctl provision --with-key host+tpm2 --replace --no-restart <"$SIM_DIR/client-secret"
tpm-flush
systemctl reset-failed "$UNIT"
systemctl start "$UNIT"
expect "reason" "$(property Pairing PairingReason)" state-key-mismatch
pair
tpm_off
umount /usr/bin/systemd-creds
