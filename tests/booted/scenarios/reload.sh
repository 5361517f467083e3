# shellcheck shell=bash
# systemctl reload: a good file is in force at once; a bad one, and one that would need a restart, change nothing, and say so in
# STATUS and journal. The process stays the same one.

world
pair
main=$(unit MainPID)

configure 50-access <<<$'[access]\nuploader = []'
systemctl reload "$UNIT"
soon happened reloaded
refuses org.freedesktop.DBus.Error.AccessDenied call uploader Tokens GetAccessToken u 0

configure 50-access <<<$'[access]\nuploader = ["c2c-uploader"]\nuploadre = 1'
systemctl reload "$UNIT"
soon happened reload-refused
expect_like "the refusal" "$(event reload-refused)" 'config\.d/50-access\.toml.*uploadre'
expect "its priority" "$(event reload-refused PRIORITY)" 4
soon like 'The new configuration is refused.*50-access\.toml' unit StatusText
refuses org.freedesktop.DBus.Error.AccessDenied call uploader Tokens GetAccessToken u 0

configure 50-access <<<$'[device]\nclient-id = "SIM-OTHER"'
systemctl reload "$UNIT"
restart_is_named() { [[ $(event reload-refused) == *device.client-id*restart* ]]; }
soon restart_is_named
expect_like "status" "$(c2c-authctl status)" 'configuration on disk is refused.*device\.client-id'
expect "client id" "$(property Device ClientId)" "$CLIENT"

rm "$CONFIG/50-access.toml"
systemctl reload "$UNIT"
quiet() { [[ $(unit StatusText) != *refused* ]]; }
soon quiet
expect "the token" "$(token)" "$(sim live "$CLIENT" access)"
expect "the process" "$(unit MainPID)" "$main"
expect "the unit" "$(unit ActiveState)" active
