# shellcheck shell=bash
# boots: 1
# The bus is restarted under it: the daemon ends with 75, systemd starts it again, and it is paired as before.

world
pair
before=$(token)
systemctl restart dbus.service
back_on_the_bus
happened bus-lost || die "no word of the lost bus in the journal"
expect "state" "$(state)" paired
expect "the token" "$(token)" "$before"
expect "refreshes" "$(sim count refreshes)" 0
