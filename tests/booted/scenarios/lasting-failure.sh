# shellcheck shell=bash
# A fault that may pass is retried for as long as it takes, and the reason stays in sight. A state
# partition that is not there (74) does not turn into `start-limit-hit`, and when it comes the
# device comes back by itself. A fault that somebody has to mend is not retried: files of another
# user (77) end in `failed` with one try and the cure. The device comes back when it is called.

partition=/srv/c2c-state
rm -rf "$partition" "$partition.away"
sim_start
provision
install --directory --mode=700 --owner=c2c-authd "$partition"
configure 40-state <<<"[state]
directory = \"$partition\""
drop_in 10-quick <<<"[Service]
RestartSec=500ms
ReadWritePaths=/srv"
systemctl start "$UNIT"
pair
systemctl stop "$UNIT"
mv "$partition" "$partition.away"
systemctl --no-block start "$UNIT"
# In one question: between two of them it may be started again.
reason() { systemctl show --property=Result,ExecMainStatus "$UNIT" | sort -r | sed 's/.*=//' | paste --serial --delimiters=/; }
soon at_least 6 unit NRestarts
# Between two tries, that is.
soon is exit-code/74 reason
soon like "$partition does not exist" event failed
# Also of a device that is between two tries: a question in the midst of one waits for its end.
told() { c2c-authctl status 2>&1 || true; }
within 180 like 'cannot be read or written.*systemd restarts it' told
mv "$partition.away" "$partition"
soon is active unit ActiveState
expect "state" "$(state)" paired

# At a pace that slows down, where systemd can.
if [ "$(systemd_version)" -ge 254 ]; then
    drop_in 20-restart-pace <<<"$(cat /usr/share/doc/c2c-authd/examples/restart-pace.conf)"
    expect "the longest pause" "$(unit RestartMaxDelayUSec)" 20s
    systemctl stop "$UNIT"
    mv "$partition" "$partition.away"
    systemctl --no-block start "$UNIT"
    # Half a second, and then each pause longer than the one before.
    soon at_least 5 unit NRestarts
    mapfile -t tries < <(entries | jq 'select(.C2C_EVENT == "failed") | .__REALTIME_TIMESTAMP | tonumber' | tail -n 5)
    [ $((tries[4] - tries[3])) -gt $((2 * (tries[1] - tries[0]))) ] || die "the pauses do not grow: ${tries[*]}"
    mv "$partition.away" "$partition"
    soon is active unit ActiveState
fi

systemctl stop "$UNIT"
# Not the directory itself, whose owner systemd sets right.
chown root "$partition"/*
systemctl start "$UNIT" 2>/dev/null && die "it started"
expect "how it ended" "$(unit ActiveState)/$(reason)/$(unit NRestarts)" failed/exit-code/77/0
soon like "$partition/record.*owner" event failed
chown c2c-authd "$partition"/*
expect "state, when somebody asks" "$(state)" paired
# It answers before it says that it is ready.
soon is active unit ActiveState
rm -rf "$partition"
