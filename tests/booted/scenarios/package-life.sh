# shellcheck shell=bash
# boots: 1
# needs: packages
# The life of the Debian package in a running system: installed where nothing was, upgraded with the pairing kept, again with
# the unit disabled, removed, installed again where it was removed, purged.

# Without what the rig has put there, and without the users.
systemctl stop "$UNIT"
if dpkg-query --show c2c-authd >/dev/null 2>&1; then dpkg --purge c2c-authd; fi
rm -rf /usr/bin/c2c-auth* /usr/share/doc/c2c-authd /usr/lib/systemd/system/"$UNIT"* /usr/lib/sysusers.d/c2c-authd.conf /usr/share/dbus-1/*/org.cameratocloud.* \
    /usr/lib/systemd/catalog/c2c-authd.catalog /etc/c2c-authd
sed -i -E '/^(c2c-[a-z]+|ui|uploader|both):/d' /etc/passwd /etc/shadow /etc/group /etc/gshadow
if id c2c-authd 2>/dev/null; then die "the user is still there"; fi
systemctl daemon-reload
busctl call org.freedesktop.DBus /org/freedesktop/DBus org.freedesktop.DBus ReloadConfig

owner() { busctl --json=short call org.freedesktop.DBus / org.freedesktop.DBus GetNameOwner s "$NAME" | jq --raw-output '.data[0]'; }
package() { DEBIAN_FRONTEND=noninteractive dpkg --force-confold "$@" 2>&1 | tee /run/results/dpkg.last; }
installed() { dpkg-query --show --showformat='${db:Status-Abbrev}${Version}' c2c-authd; }

# Installed: running, enabled, on the bus, and what it says is that it is not provisioned.
package --install /packages/previous.deb
expect "the status" "$(installed)" "ii 0.0.9-1"
expect "the unit" "$(unit ActiveState)/$(unit UnitFileState)" active/enabled
expect "its user" "$(stat --format=%U "/proc/$(unit MainPID)")" c2c-authd
expect_like "on the bus" "$(owner)" '^:1\.'
expect "state" "$(state)" unprovisioned
expect "the directories of drop-ins" "$(stat --format=%U:%a /etc/c2c-authd/config.d /usr/lib/c2c-authd/config.d | uniq)" root:755
systemd-sysusers
expect_like "what an uploader is told who pairs" "$(call uploader Pairing StartPairing 'a{sv}' 0 2>&1 || true)" '[Dd]enied'
expect "dpkg's own look at its files" "$(dpkg --verify c2c-authd)" ""

sim_start
provision
echo '# the operator was here' >>/etc/c2c-authd/config.toml
systemctl restart "$UNIT"
pair
first=$(token)
before=$(unit MainPID)

# Upgraded: another process, the new unit file, the same pairing; the operator's line stays, a file of the old one goes.
package --install /packages/current.deb
expect_like "the status" "$(installed)" '^ii 0\.1\.'
[ "$(unit MainPID)" != "$before" ] || die "the old process is still running"
[ "$(unit WatchdogUSec)" != 1min\ 1s ] || die "the unit file of the old version is still in force"
expect "state after the upgrade" "$(state)" paired
expect "the token after the upgrade" "$(token)" "$first"
expect "refreshes" "$(sim count refreshes)" 0
grep --quiet 'the operator was here' /etc/c2c-authd/config.toml || die "the operator's line is gone"
[ ! -e /usr/share/doc/c2c-authd/OLD ] || die "a file of the old version stayed"

# Upgraded again, from the old one with its own configuration: that is replaced without a question.
package --install /packages/previous.deb
dpkg-deb --fsys-tarfile /packages/previous.deb | tar --extract --to-stdout ./etc/c2c-authd/config.toml >/etc/c2c-authd/config.toml
systemctl disable "$UNIT" 2>&1
package --install /packages/current.deb
if grep --quiet 'older c2c-authd' /etc/c2c-authd/config.toml; then die "an unchanged configuration was not replaced"; fi
expect "what the operator disabled" "$(unit UnitFileState)" disabled
systemctl enable "$UNIT" 2>&1
systemctl restart "$UNIT"
expect "state" "$(state)" paired

# Removed: nothing runs, nobody may own the name; what was learned stays.
package --remove c2c-authd
expect_like "the status" "$(installed)" '^rc '
expect "processes" "$(pgrep --count --exact c2c-authd || true)" 0
nobody_owns() { ! owner 2>/dev/null; }
soon nobody_owns
[ -n "$(find "$STATE" -name 'record*')" ] || die "the pairing is gone"
[ -s /etc/credstore.encrypted/c2c-authd.client-secret ] || die "the credential is gone"
grep --quiet 'SIM-000123' "$CONFIG"/*.toml || die "the configuration is gone"

# Again: it goes on where it ended.
package --install /packages/current.deb
expect "state after the return" "$(state)" paired
expect "the token after the return" "$(token)" "$first"

# Purged: nothing is left but the users, and it is said what is left at the server.
package --purge c2c-authd
grep --quiet 'NOT revoked' /run/results/dpkg.last || die "nobody was told that the pairing lives on at the server"
left=$(find / -xdev -ignore_readdir_race \( -path /proc -o -path /sys -o -path /run/results -o -path /packages -o -path /booted -o -path /var/log -o -path /tmp \) -prune \
    -o \( -name '*c2c-authd*' -o -name '*c2c-authctl*' -o -name '*cameratocloud*' -o -path '/etc/credstore.encrypted/*' \) -print)
expect "what is left" "$left" ""
[ ! -e /run/c2c-authd ] || die "the runtime directory is left"
expect "the user" "$(id --user --name c2c-authd)" c2c-authd
expect "revocations" "$(sim count revocations)" 0
sim live "$CLIENT" refresh >/dev/null || die "then the note was wrong: the server forgot it"
