# shellcheck shell=bash
# All services of a machine share the stores of credentials. Files named client-secret and state-key there are another service's:
# they are not loaded, and neither provisioning nor a reset touches them. A file of our own name that is in clear ends the start
# with 243, and is named.

others=(/etc/credstore.encrypted/client-secret /etc/credstore.encrypted/state-key /run/credstore.encrypted/client-secret
    /etc/credstore/state-key /var/lib/c2c-provision/credstore.encrypted/client-secret)
for other in "${others[@]}"; do
    mkdir -p "$(dirname "$other")"
done
# One that opens under the name that the daemon reads, and one that opens under none.
printf 'made-up-other' | systemd-creds --quiet encrypt --with-key=host --name=client-secret - "${others[0]}"
for other in "${others[@]:1}"; do
    printf 'made-up-other\n' >"$other"
done
sums() { sha256sum "${others[@]}"; }
before=$(sums)

sim_start
device "client-id = \"$CLIENT\""
systemctl start "$UNIT"
expect "state" "$(state)" unprovisioned
expect "what the daemon was given" "$(ls "/run/credentials/$UNIT" 2>/dev/null || true)" ""
said=$(c2c-authctl check --offline) && die "it has what it needs"
expect_like "what check says" "$said" 'FAIL  client-secret '
[[ $said != *credstore* ]] || die "check looked at another service's: $said"

c2c-authctl provision --with-key host <"$SIM_DIR/client-secret"
pair
first=$(token)
expect "what the daemon was given" "$(ls "/run/credentials/$UNIT")" $'client-secret\nstate-key'
expect "the others" "$(sums)" "$before"
c2c-authctl check --offline

# In clear, under our name: beside the sealed one it is told; without that one it ends the start, and is told again.
mkdir -p /run/credstore
for plain in /etc/credstore /run/credstore; do
    printf 'made-up-clear' >"$plain/c2c-authd.client-secret"
    systemctl restart "$UNIT"
    expect "the token" "$(token)" "$first"
    expect_like "what check says" "$(c2c-authctl check --offline)" "warn  client-secret .*$plain/c2c-authd.client-secret is not used"
    mv "$STORE/c2c-authd.client-secret" /run/kept
    systemctl restart "$UNIT" 2>/dev/null && die "it started with a secret in clear"
    expect "how it ended" "$(unit ActiveState)/$(unit ExecMainStatus)" failed/243
    said=$(c2c-authctl status) || true
    expect_like "what status says" "$said" "$plain/c2c-authd.client-secret: .*remove it"
    [[ $said != *TPM* ]] || die "status blames the TPM: $said"
    said=$(c2c-authctl check --offline) || true
    expect_like "what check says" "$said" "FAIL  client-secret .*$plain/c2c-authd.client-secret: .*remove it"
    rm "$plain/c2c-authd.client-secret"
    mv /run/kept "$STORE/c2c-authd.client-secret"
    systemctl reset-failed "$UNIT"
    systemctl start "$UNIT"
    expect "the token" "$(token)" "$first"
done

# Sealed, in a store for what is not: systemd opens it.
mv "$STORE/c2c-authd.client-secret" /etc/credstore/
systemctl restart "$UNIT"
expect "the token" "$(token)" "$first"
expect_like "what check says" "$(c2c-authctl check --offline)" 'ok    client-secret .*/etc/credstore/c2c-authd.client-secret'
mv /etc/credstore/c2c-authd.client-secret "$STORE/"

c2c-authctl factory-reset --yes --provisioning
expect "the others" "$(sums)" "$before"
expect "ours" "$(find /etc /var/lib/c2c-provision -name 'c2c-authd.client-secret' -o -name 'c2c-authd.state-key')" ""
rm "${others[@]}"
rmdir /etc/credstore /run/credstore 2>/dev/null || true
