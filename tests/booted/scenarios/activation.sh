# shellcheck shell=bash
# D-Bus activation: a call starts the daemon, as its unit and user, and is answered. Who holds no role is refused; dbus-daemon asks
# its policy first and starts nothing, dbus-broker starts the daemon and then refuses.

refuses org.freedesktop.DBus.Error.AccessDenied call nobody Pairing StartPairing 'a{sv}' 0
case $(systemctl show --property=Id --value dbus.service) in
dbus-broker.service) expect "the unit after a stranger's call" "$(unit ActiveState)" active ;;
*) expect "the unit after a stranger's call" "$(unit ActiveState)" inactive ;;
esac
systemctl stop "$UNIT"

refuses NotProvisioned start_pairing 0
expect "the unit after the call" "$(unit ActiveState)" active
expect "its user" "$(stat --format=%U "/proc/$(unit MainPID)")" c2c-authd

systemctl stop "$UNIT"
expect "a property of a stopped daemon" "$(state)" unprovisioned
expect "the unit after it was read" "$(unit ActiveState)" active
