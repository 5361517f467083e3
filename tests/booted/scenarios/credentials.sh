# shellcheck shell=bash
# A credential that is not there is a state: the daemon runs and says which one. One that this system cannot decrypt ends in 243
# before the daemon runs, once, and is named; the records on disk are untouched and good when the credential is.

world
pair
kept=$(token)

mv /etc/credstore.encrypted/c2c-authd.client-secret /tmp/
systemctl restart "$UNIT"
expect "state without the secret" "$(state)/$(property Pairing AttentionNeeded)" paired/true
expect "the token without the secret" "$(token)" "$kept"
mv /etc/credstore.encrypted/c2c-authd.state-key /tmp/
systemctl restart "$UNIT"
expect "state without both" "$(state)" unprovisioned
refuses NotProvisioned call uploader Tokens GetAccessToken u 0

# Encrypted under another host's key: the same bytes, one of them changed.
mv /tmp/c2c-authd.client-secret /etc/credstore.encrypted/
base64 --decode /tmp/c2c-authd.state-key | perl -0777 -pe 'substr($_, -8, 1) ^= "\x01"' | base64 >/etc/credstore.encrypted/c2c-authd.state-key
if systemctl restart "$UNIT" 2>/tmp/said; then
    die "it started"
fi
expect "code" "$(unit ExecMainStatus)" 243
expect "restarts" "$(unit NRestarts)" 0
expect "result" "$(unit Result)" exit-code
# systemd 257 names the credential, 252 only the step.
said >/tmp/said
grep --quiet --extended-regexp 'state-key|step CREDENTIALS' /tmp/said || die "the journal does not say that it was a credential"

mv /tmp/c2c-authd.state-key /etc/credstore.encrypted/
systemctl start "$UNIT"
expect "the token with both" "$(token)" "$kept"
