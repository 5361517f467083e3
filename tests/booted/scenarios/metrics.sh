# shellcheck shell=bash
# The metrics of a device, by the timer that is off until somebody enables it: one file, which another user reads. It starts no
# daemon that somebody stopped, and says that there is none.

timer=c2c-authd-metrics.timer service=c2c-authd-metrics.service
directory=/var/lib/prometheus/node-exporter
expect "by default" "$(systemctl is-enabled "$timer" || true)" disabled
expect "the preset" "$(systemctl preset "$timer" 2>&1; systemctl is-enabled "$timer" || true)" disabled
world
pair
# As Debian's node_exporter has it: not root's.
install --directory --owner=uploader "$directory"
systemctl start "$service"
metric() { sed -n "s/^c2c_authd_$1 //p" "$directory/c2c-authd.prom"; }
expect "up" "$(metric up)" 1
expect "paired" "$(metric paired)" 1
expect "the token's end" "$(metric token_expires_timestamp_seconds)" "$(property Device TokenExpires)"
expect "files" "$(ls -A "$directory")" c2c-authd.prom
as ui cat "$directory/c2c-authd.prom" >/dev/null || die "its reader is another user"

systemctl stop "$UNIT"
mkdir -p "/run/systemd/system/$timer.d"
printf '[Timer]\nOnActiveSec=1s\n' >"/run/systemd/system/$timer.d/soon.conf"
systemctl daemon-reload
systemctl enable --quiet --now "$timer"
soon is 0 metric up
expect "the daemon" "$(unit ActiveState)" inactive
expect "what else is told" "$(grep --count --invert-match '^#' "$directory/c2c-authd.prom")" 1
systemctl disable --quiet --now "$timer"
rm -rf "$directory" "/run/systemd/system/$timer.d"
systemctl daemon-reload
