# shellcheck shell=bash
# The watchdog is fed by the loop and starves with it: a process that is alive and stuck is killed, told as `watchdog`, started
# again, and still paired. Before that it lives for several times the watchdog's patience, idle.

drop_in 10-watchdog <<<$'[Service]\nWatchdogSec=2s\nRestartSec=200ms'
world
pair
first=$(unit MainPID)
fed() { [ "$(unit WatchdogTimestampMonotonic)" -gt $(($1 + 5000000)) ]; }
within 10 fed "$(unit WatchdogTimestampMonotonic)"
expect "the process" "$(unit MainPID)" "$first"

kill -STOP "$first"
restarted() { [ "$(unit NRestarts)" = 1 ] && [ "$(unit ActiveState)" = active ]; }
within 20 restarted
said _PID=1 >/tmp/said
grep --quiet "Failed with result 'watchdog'" /tmp/said || die "systemd does not say that it was the watchdog"
expect "state" "$(state)" paired
expect "the token" "$(token)" "$(sim live "$CLIENT" access)"
