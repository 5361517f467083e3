# shellcheck shell=bash
# boots: 1
# The bus is restarted while a refresh that was sent waits for its answer: the daemon takes the answer and stores it, and only then
# ends with 75 to be started again.

sim_start
held_refresh
before=$(unit MainPID)
systemctl restart dbus.service
soon happened bus-lost
stays 4 is "$before" unit MainPID
sim release
back_on_the_bus
expect "state" "$(state)" paired
expect "generation" "$(generation)" 2
soon serves_live
expect "refreshes" "$(sim count refreshes)" 1
