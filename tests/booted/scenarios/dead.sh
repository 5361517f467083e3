# shellcheck shell=bash
# status and check with the daemon dead, and what check says of a device that is well, of a clock, of a certificate, of roles
# and of files that are missing; entries of the journal with their explanations.

world
pair
c2c-authctl check
expect "verdict" "$(c2c-authctl check --json | jq --raw-output '[.checks[] | select(.verdict == "fail")] | length')" 0

# fails REGEX ARGUMENT…: check does, and says so
fails() {
    local said code=0
    said=$(c2c-authctl check "${@:2}") || code=$?
    expect "exit code" "$code" 1
    expect_like "what check says" "$said" "$1"
}

sim tls expired
fails 'FAIL  tls .*certificate'
sim tls wrong-ca
fails 'FAIL  tls .*not trusted'
sim tls good
sim refuse
fails 'FAIL  tcp .*refused'
sim accept

policy=/usr/share/dbus-1/system.d/org.cameratocloud.Auth1.conf
mv "$policy" /run/policy
fails 'FAIL  bus-policy .*Install' --offline
mv /run/policy "$policy"
chmod 777 "$STATE"
fails 'FAIL  state .*chmod 0700' --offline
chmod 700 "$STATE"

# Dead of its configuration: the sentence of its last try is shown.
configure 99-bad <<<'[refresh]
at = "often"'
systemctl restart "$UNIT" 2>/dev/null && die "it started"
code=0
journalctl --sync
said=$(c2c-authctl status) || code=$?
expect "exit code of status" "$code" 7
expect_like "status" "$said" '99-bad.toml:2'
fails 'skip  unit .*see configuration' --offline
fails 'skip  daemon .*see configuration' --offline
fails 'FAIL  configuration .*99-bad.toml:2' --offline
rm "$CONFIG/99-bad.toml"
systemctl reset-failed "$UNIT"
systemctl start "$UNIT"
c2c-authctl status

systemctl mask --runtime --now "$UNIT"
expect_like "status of a masked unit" "$(c2c-authctl status || true)" 'is masked'
systemctl unmask --runtime "$UNIT"

journalctl --update-catalog
expect_like "the journal explains" "$(journalctl --catalog --no-pager --after-cursor="$cursor" --unit="$UNIT")" 'Subject: This device is paired'
