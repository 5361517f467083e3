# shellcheck shell=bash
# While a refresh is in flight shutdown and sleep are delayed, if there is a polkit to allow it to a caller that is not root; where
# there is none, logind says no and the refresh is as good.

locks() {
    busctl --system --json=short call org.freedesktop.login1 /org/freedesktop/login1 org.freedesktop.login1.Manager \
        ListInhibitors | jq --raw-output '[.data[0][] | select(.[1] == "c2c-authd") | "\(.[3]) \(.[0])"] | sort | join(", ")'
}
sim_start
provision
refreshing_often
# Both are held until they are released, so that what is done between them has all the time it takes.
sim fault refresh stall-after released 2
systemctl start "$UNIT"

# Without polkit: no lock.
activation=/usr/share/dbus-1/system-services/org.freedesktop.PolicyKit1.service
reload_bus() { busctl --system call org.freedesktop.DBus /org/freedesktop/DBus org.freedesktop.DBus ReloadConfig; }
mv "$activation" /tmp/activation
systemctl stop polkit.service
reload_bus
pair
sim await refresh 1 60
expect "locks without polkit" "$(locks)" ""
expect "polkit" "$(systemctl is-active polkit.service || true)" inactive
mv /tmp/activation "$activation"
reload_bus
sim release
soon is 2 generation

# With it: a lock for as long as the refresh is in flight. What it brings lives long.
sim refreshed-life 28800
sim await refresh 2 60
soon is "delay shutdown, delay sleep" locks
sim release
soon is 3 generation
soon is "" locks
