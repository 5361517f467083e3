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
    expect "$file" "$(stat --format='%U %a' "/etc/credstore.encrypted/c2c-authd.$file")" "root 600"
done
! grep --recursive --quiet --fixed-strings "$secret" /etc /var /run/c2c-authd || die "the secret is on disk in clear"
pair
first=$(token)

# Programs that the caller has first in PATH never run, and no variable of the caller's reaches
# those that do: a secret passes through them.
mkdir /run/planted /run/loads
for program in systemd-creds systemctl journalctl sh; do
    printf '#!/bin/sh\necho %s >>/run/planted/ran\ncat >>/run/planted/got\n' "$program" >"/run/planted/$program"
done
chmod 755 /run/planted/*
tool=$(command -v c2c-authctl)
printf '%s\n' "$secret" | env --ignore-environment PATH=/run/planted:/usr/bin LD_DEBUG=files LD_DEBUG_OUTPUT=/run/loads/of \
    SYSTEMD_CREDENTIAL_SECRET=/run/planted/key SYSTEMD_LOG_LEVEL=debug SYSTEMD_LOG_TARGET=console \
    "$tool" provision --replace --with-key host --client-id "$CLIENT" 2>/run/planted/told
printf 'made-up-planted\n' | env --ignore-environment PATH=/run/planted:/usr/bin LD_DEBUG=files LD_DEBUG_OUTPUT=/run/loads/of \
    SYSTEMD_CREDENTIAL_SECRET=/run/planted/key "$tool" provision --replace --with-key host
PATH=/run/planted:/usr/bin "$tool" check --offline >/run/planted/checked || true
[ ! -e /run/planted/ran ] || die "these ran: $(cat /run/planted/ran)"
[ ! -e /run/planted/key ] || die "the host key is where the caller said"
# The loader writes one for each process that has the variable: the tool itself, twice.
expect "processes with the caller's variables" "$(find /run/loads -type f | wc -l)" 2
printf '%s\n' "$secret" | "$tool" provision --replace --with-key host
expect "the token" "$(token)" "$first"
rm -r /run/planted /run/loads

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
