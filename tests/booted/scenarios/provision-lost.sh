# shellcheck shell=bash
# Credentials that are not there, cannot be decrypted, or are another's: absent is a state that says what to do; undecryptable
# ends in 243 before the daemon runs, without restarts, and status and check name the credential and the way out with the
# daemon dead. What was lost and comes back finds the pairing as it was.

world
pair
first=$(token)
key=/var/lib/systemd/credential.secret
store=/etc/credstore.encrypted

# dies SENTENCE: the unit ends with 243, and both verbs say this of it.
dies() {
    systemctl restart "$UNIT" 2>/dev/null && die "it started"
    expect "how it ended" "$(unit ActiveState)/$(unit ExecMainStatus)" failed/243
    expect "restarts" "$(unit NRestarts)" 0
    local said code=0
    said=$(c2c-authctl status) || code=$?
    expect "exit code of status" "$code" 7
    expect_like "what status says" "$said" "credential could not be decrypted"
    expect_like "what status says" "$said" "$1"
    expect_like "the way out" "$said" 'c2c-authctl provision --replace'
    expect "running" "$(c2c-authctl status --json | jq .running)" false
    code=0
    said=$(c2c-authctl check --offline) || code=$?
    expect "exit code of check" "$code" 1
    expect_like "what check says" "$said" "FAIL .*$1"
}

mv "$key" /run/kept
dies "$store/c2c-authd.client-secret: .* is missing"
code=0
c2c-authctl provision <"$SIM_DIR/client-secret" || code=$?
expect "exit code without --replace" "$code" 8
mv /run/kept "$key"
systemctl reset-failed "$UNIT"
systemctl start "$UNIT"
expect "the token" "$(token)" "$first"

# A file under another name, as copied from elsewhere.
cp "$store/c2c-authd.client-secret" /run/kept
cp "$store/c2c-authd.state-key" "$store/c2c-authd.client-secret"
dies "$store/c2c-authd.client-secret: .*another device or under another name"
cp /run/kept "$store/c2c-authd.client-secret"

# With the host's key lost for good: new secrets, an old record that is kept, and a way on.
rm "$key"
dies "is missing"
c2c-authctl provision --replace --with-key host <"$SIM_DIR/client-secret"
soon is state-key-mismatch property Pairing PairingReason
[ -e "$STATE/record.0" ] || die "the record is gone"
pair
[ "$(token)" != "$first" ] || die "an old token"

rm "$store/c2c-authd.client-secret"
systemctl restart "$UNIT"
expect "reason" "$(property Pairing PairingReason)" client-secret-missing
code=0
said=$(c2c-authctl check --offline) || code=$?
expect_like "what check says of an absent one" "$said" 'FAIL  client-secret .*c2c-authctl provision'
