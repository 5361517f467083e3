# shellcheck shell=bash
# D-Bus activation: a call starts the daemon, as its unit and user, and is answered. Who holds no role is refused; dbus-daemon asks
# its policy first and starts nothing, dbus-broker starts the daemon and then refuses.

refuses org.freedesktop.DBus.Error.AccessDenied call nobody Pairing StartPairing 'a{sv}' 0
case $(systemctl show --property=Id --value dbus.service) in
# The name is there a moment before the unit says that it is ready.
dbus-broker.service) soon is active unit ActiveState ;;
*) expect "the unit after a stranger's call" "$(unit ActiveState)" inactive ;;
esac
systemctl stop "$UNIT"

refuses NotProvisioned start_pairing 0
soon is active unit ActiveState
expect "its user" "$(stat --format=%U "/proc/$(unit MainPID)")" c2c-authd

systemctl stop "$UNIT"
expect "a property of a stopped daemon" "$(state)" unprovisioned
soon is active unit ActiveState
