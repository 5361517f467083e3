# shellcheck shell=bash
# The production line's step with the host's key: one command from an image to a device that can be paired; the same again is
# nothing, another secret must be meant; typed on a terminal it is not shown; nothing is in clear on disk.

sim_start
device
systemctl start "$UNIT"
expect "reason" "$(property Pairing PairingReason)" client-id-missing
secret=$(cat "$SIM_DIR/client-secret")

# provisions SECRET ARGUMENT…: what it printed
provisions() { printf '%s\n' "$1" | c2c-authctl provision "${@:2}"; }
pid() { unit MainPID; }

before=$(pid)
report=$(provisions "$secret" --with-key host --client-id "$CLIENT" --json)
expect "what was done" "$(jq --compact-output '[.changed, ."client-secret", ."state-key", ."client-id", .key, .unit]' <<<"$report")" \
    '[true,"stored","stored","stored","host","restarted"]'
[ "$(pid)" != "$before" ] || die "the daemon was not restarted"
expect "state" "$(state)" unpaired
for file in client-secret state-key; do
    expect "$file" "$(stat --format='%U %a' "/etc/credstore.encrypted/$file")" "root 600"
done
! grep --recursive --quiet --fixed-strings "$secret" /etc /var /run/c2c-authd || die "the secret is on disk in clear"
pair
first=$(token)

before=$(pid)
expect_like "the same again" "$(provisions "$secret" --client-id "$CLIENT")" '^Nothing to do'
code=0
provisions made-up-other >/dev/null || code=$?
expect "exit code for another secret" "$code" 8
code=0
printf 'made-up\n' | as nobody c2c-authctl provision || code=$?
expect "exit code for nobody" "$code" 6
code=0
c2c-authctl provision </dev/null || code=$?
expect "exit code without a secret" "$code" 2
expect "the process" "$(pid)" "$before"

# Typed: the terminal shows the question and not the answer.
mkfifo /run/typed
script --quiet --flush --return --command "c2c-authctl provision --replace --with-key host" /run/screen </run/typed >/dev/null &
typist=$!
exec 4>/run/typed
soon grep --quiet 'not shown' /run/screen
printf 'made-up-typed\r' >&4
wait "$typist"
exec 4>&-
expect_like "the screen" "$(cat /run/screen)" 'replaced'
! grep --quiet made-up-typed /run/screen || die "the secret was shown"
[ "$(pid)" != "$before" ] || die "the daemon was not restarted"

# The state key stayed, and with it the pairing.
provisions "$secret" --replace --with-key host
expect "state" "$(state)" paired
expect "the token" "$(token)" "$first"
c2c-authctl check --offline
