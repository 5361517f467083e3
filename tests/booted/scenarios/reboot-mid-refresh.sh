# shellcheck shell=bash
# boots: 2
# The system is rebooted while a refresh that was sent waits for its answer, over an interface that systemd-networkd has by DHCP
# and takes down when it stops. The answer comes seconds after the daemon was told to stop: the network outlives the daemon, the
# answer is stored, and the next boot serves that token.

sim_outside
case $phase in
1)
    provision
    refreshing_early
    sim fault refresh stall-after released
    systemctl enable --now "$UNIT"
    soon ip route get 10.99.0.1
    late_answer
    pair
    sim await refresh 1 60
    next_boot systemctl reboot
    ;;
2)
    echo "-- the end of the boot before"
    journalctl --quiet --boot=-1 --no-pager --output=short-precise | tail -n 80
    soon is active unit ActiveState
    expect "state" "$(state)" paired
    expect "generation" "$(generation)" 2
    soon serves_live
    expect "refreshes" "$(sim requests refresh)" 1
    drained_before_the_network
    ;;
esac
