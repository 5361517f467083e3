# shellcheck shell=bash
# The watchdog is fed by progress of the loop and by nothing else: it lives with every other thread frozen, and with only the
# loop's frozen it is killed, told as `watchdog`, started again, and still paired. To see that it is not killed for another reason:
# fed from beside the loop, the same stuck daemon is left alone.

drop_in 10-watchdog <<<$'[Service]\nWatchdogSec=6s\nRestartSec=200ms\nNotifyAccess=all'
world
pair
first=$(unit MainPID)
threads() { ls "/proc/$first/task"; }
# freeze TID…: until `thaw`.
freeze() {
    # The answer to the previous call is no answer to this one.
    rm -f /tmp/hold /tmp/frozen
    mkfifo /tmp/hold
    /booted/guest/freeze "$@" </tmp/hold >/tmp/frozen 2>&1 &
    freezer=$!
    exec {hold}>/tmp/hold
    soon grep --quiet frozen /tmp/frozen
}
thaw() {
    exec {hold}>&-
    wait "$freezer"
}
# In how many ways the threads are held: t is «tracing stop».
held() { for thread in $(threads); do awk -v "main=$((thread == first))" '$1 == "State:" { print (main ? "loop" : "other"), $2 == "t" ? "held" : "free" }' \
    "/proc/$first/task/$thread/status"; done | sort --unique | tr '\n' ' '; }
fed() { unit WatchdogTimestampMonotonic; }
fed_beyond() { [ "$(fed)" -gt "$1" ]; }

# The loop alone: fed for two and a half times the patience.
mapfile -t others < <(threads | grep --invert-match --line-regexp "$first")
[ "${#others[@]}" -gt 0 ] || die "there is no other thread"
freeze "${others[@]}"
expect "the threads" "$(held)" "loop free other held "
soon fed_beyond $(($(fed) + 15000000))
expect "the process" "$(unit MainPID)/$(unit NRestarts)" "$first/0"
thaw
soon serves_live

# Everything but the loop, and somebody who feeds in its place.
/booted/guest/feed "$(unit ControlGroup)" &
feeder=$!
freeze "$first"
expect "the threads" "$(held)" "loop held other free "
stays 14 is "$first" unit MainPID
expect "restarts" "$(unit NRestarts)" 0

# Everything but the loop.
kill "$feeder"
wait "$feeder" || true
soon restarted
thaw
said _PID=1 >/tmp/said
grep --quiet "Failed with result 'watchdog'" /tmp/said || die "systemd does not say that it was the watchdog"
expect "state" "$(state)" paired
soon serves_live
