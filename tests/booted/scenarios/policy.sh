# shellcheck shell=bash
# The bus policy as shipped: every method, property, signal and the name itself, tried as root, a member of each group, of both, of
# none, and as the daemon's own user; held against guest/policy.table.

. /booted/guest/policy.sh
world
hold shipped

# Every method and signal of the live object has its row, so that a new one cannot be forgotten.
busctl --xml-interface introspect "$NAME" "$OBJECT" | sed -n -E \
    -e "s/.*<interface name=\"$NAME\.([A-Za-z]*)\".*/I \1/p" -e 's/.*<(method|signal) name="([A-Za-z]*)".*/M \2/p' -e 's/.*<\/interface>.*/I/p' |
    awk '$1 == "I" { interface = $2 } $1 == "M" && interface { print interface "." $2 }' | sort >/tmp/members
at_least 10 wc -l </tmp/members || die "too few members: $(cat /tmp/members)"
rows shipped | awk '$1 ~ /^(Pairing|Tokens|Device)[.]/ { print $1 }' | sort | diff - /tmp/members || die "rows and members differ"

# The tool names the group to who has none, and says nothing of the bus's rules.
code=0
said=$(as nobody c2c-authctl token 2>&1) || code=$?
expect "the exit code of who has no role" "$code" 6
expect_like "its words" "$said" c2c-uploader
case $said in *rules*) die "the bus's words reach the user: $said" ;; esac

# A daemon that does not run is started by a call of those who may call. dbus-broker starts it for others too and refuses them then
# (and StartServiceByName is asked of the bus, which refuses nobody): what matters is that they get no further.
verdict() { as "$1" /booted/guest/act Tokens.GetAccessToken | cut -d ' ' -f 2; }
systemctl stop "$UNIT"
expect "nobody's call of a daemon that is stopped" "$(verdict nobody)" bus
note <<<"called by nobody, the stopped daemon is then $(unit ActiveState)"
systemctl stop "$UNIT"
expect "an uploader's call of a daemon that is stopped" "$(verdict uploader)" ok
expect "the unit" "$(unit ActiveState)" active
