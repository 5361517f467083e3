# shellcheck shell=bash
# A user who has the bus start a unit that fails, in a loop, meets the start limit and no more: `status` goes on naming the fault,
# and when it has passed the device comes back by itself, with no caller. So it is the second time, and where the limit refuses
# the timer's own starts. A stop by the operator lasts.

again=c2c-authd-again.timer
# The shipped numbers, since the rest of this is done with shorter times. A start by the timer must
# fall into a new interval of the limit.
expect "the limit" "$(unit StartLimitIntervalUSec)/$(unit StartLimitBurst)" 5min/200
expect_like "the pause" "$(systemctl show --property=TimersMonotonic --value "$again")" 'OnUnitInactiveUSec=5min 30s'
expect "its accuracy" "$(systemctl show --property=AccuracyUSec --value "$again")" 1s

partition=/srv/c2c-state
rm -rf "$partition" "$partition.away"
world
systemctl stop "$UNIT"
install --directory --mode=700 --owner=c2c-authd "$partition"
configure 40-state <<<"[state]
directory = \"$partition\""
drop_in 90-quick <<<"[Unit]
StartLimitIntervalSec=12s
StartLimitBurst=2
[Service]
RestartSec=1s
RestartSteps=0
ReadWritePaths=/srv"
mkdir -p "/run/systemd/system/$again.d"
cat >"/run/systemd/system/$again.d/quick.conf" <<'END'
[Timer]
OnUnitInactiveSec=
OnUnitInactiveSec=13s
END
systemctl daemon-reload
systemctl start "$UNIT"
pair

# One user, who has no role, for as long as the file is there.
calls() {
    local end=$((SECONDS + 60))
    while [ -e /run/c2c-loop ] && [ "$SECONDS" -lt "$end" ]; do
        as nobody busctl --system --timeout=5 call org.freedesktop.DBus /org/freedesktop/DBus org.freedesktop.DBus \
            StartServiceByName su "$NAME" 0 >/dev/null 2>&1 || true
    done
}
# In the journal alone: the result that systemd shows is that of the fault.
refused() { said _PID=1 | grep --count 'c2c-authd.service: Start request repeated too quickly' || true; }
told() { c2c-authctl status 2>&1 || true; }
for time in first second; do
    echo "-- the $time time"
    systemctl stop "$UNIT"
    # Three tries within the interval are few: a slow machine makes them, too.
    systemctl reset-failed "$UNIT" || true
    mv "$partition" "$partition.away"
    before=$(refused)
    systemctl --no-block start "$UNIT"
    touch /run/c2c-loop
    calls &
    soon at_least $((before + 1)) refused
    rm /run/c2c-loop
    wait
    expect_like "status" "$(told)" 'directory cannot be read or written.*does not exist'
    # Nobody calls from here on: `unit` asks systemd, and the bus is not asked for us.
    mv "$partition.away" "$partition"
    soon is active unit ActiveState
    expect "state" "$(state)" paired
done

echo "-- a limit that outlasts several starts by the timer"
drop_in 91-long <<<"[Unit]
StartLimitIntervalSec=40s"
systemctl reset-failed "$UNIT"
systemctl stop "$UNIT"
mv "$partition" "$partition.away"
before=$(refused)
systemctl --no-block start "$UNIT"
# Restart= meets the limit first, then the timer does.
soon at_least $((before + 3)) refused
mv "$partition.away" "$partition"
soon is active unit ActiveState

echo "-- a stop lasts"
timer() { systemctl show --property=ActiveState --value "$again"; }
rm "$DROP_INS/91-long.conf"
systemctl daemon-reload
systemctl reset-failed "$UNIT"
systemctl stop "$UNIT"
mv "$partition" "$partition.away"
systemctl --no-block start "$UNIT"
soon is failed unit ActiveState
soon is active timer
mv "$partition.away" "$partition"
systemctl stop "$UNIT"
expect "the timer" "$(timer)" inactive
stays 15 is failed unit ActiveState

rm -rf "/run/systemd/system/$again.d" "$partition"
