# shellcheck shell=bash
# boots: 2
# The system is switched off while a refresh that was sent waits for its answer, over an interface that systemd-networkd has by DHCP
# and takes down when it stops: the network outlives the daemon, the answer is stored, and the next boot serves that token.

sim_outside
case $phase in
1)
    provision
    refreshing_early
    sim fault refresh stall-after 6
    systemctl enable --now "$UNIT"
    within 20 ip route get 10.99.0.1
    pair_for_long
    sim await refresh 1 20
    next_boot systemctl poweroff
    ;;
2)
    echo "-- the end of the boot before"
    journalctl --quiet --boot=-1 --no-pager --output=short-precise | tail -n 80
    within 20 is active unit ActiveState
    expect "state" "$(state)" paired
    expect "generation" "$(generation)" 2
    within 20 is "$(sim live "$CLIENT" access)" token
    expect "refreshes" "$(sim requests refresh)" 1
    order=$(journalctl --quiet --boot=-1 --output=json _PID=1 | jq --raw-output 'select(.JOB_TYPE == "stop" and .JOB_RESULT == "done") |
        .UNIT | select(. == "c2c-authd.service" or . == "systemd-networkd.service")' | tail -n 2 | tr '\n' ' ')
    expect "the order of their ends" "$order" "c2c-authd.service systemd-networkd.service "
    ;;
esac
