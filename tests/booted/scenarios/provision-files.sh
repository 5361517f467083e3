# shellcheck shell=bash
# For systems without credentials: files of the daemon's own, under the shipped sandbox; from there into credentials, with the
# pairing kept and no copy left behind.

sim_start
device
factory=/var/lib/c2c-factory
report=$(c2c-authctl provision --files "$factory" --client-id "$CLIENT" --json <"$SIM_DIR/client-secret")
expect "key" "$(jq --raw-output .key <<<"$report")" file
expect "the secret" "$(stat --format='%U:%G %a' "$factory/client-secret")" "c2c-authd:c2c-authd 600"
systemctl start "$UNIT"
pair
first=$(token)
c2c-authctl check --offline

chmod 640 "$factory/state-key"
code=0
c2c-authctl check --offline >/run/checked || code=$?
expect "exit code of check" "$code" 1
expect_like "what it says" "$(cat /run/checked)" 'FAIL  state-key .*chmod 0600'
chmod 600 "$factory/state-key"

c2c-authctl provision --with-key host <"$SIM_DIR/client-secret"
[ -z "$(ls "$factory")" ] || die "a copy in clear was left"
expect "state" "$(state)" paired
expect "the token" "$(token)" "$first"
