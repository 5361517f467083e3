# shellcheck shell=bash
# Every line of the sandbox bites: guest/sandbox.table, row by row. Each probe is tried three times: with no line (it works), with
# this line alone (refused, so it is this line that does it), and under the unit as shipped. A line that has no row fails.

place=/run/c2c-probe
# The unit with the part of its sandbox that is this distribution's.
file=$place.unit
sed '/^\[Install\]/,$d' "/usr/lib/systemd/system/$UNIT" >"$file"
cat "/usr/lib/systemd/system/$UNIT.d/05-multiarch.conf" >>"$file"
table() { grep --invert-match '^#' /booted/guest/sandbox.table; }

# The lines of [Service] that are about something else than the sandbox.
others='Type|BusName|Environment|MemoryMax|MemorySwapMax|ExecStart|ExecReload|User|Group|(State|Runtime)Directory(Mode|Preserve)?|LoadCredentialEncrypted|WatchdogSec|Restart.*|Timeout.*'
lines=$(sed -n '/^\[Service\]/,$s/^\([A-Za-z]*\)=.*/\1/p' "$file" | sort --unique | grep --extended-regexp --invert-match --line-regexp "$others")
tried=$(table | awk '{ print $1 }' | tr + '\n' | sort --unique)
# Tried below, by what is left when the unit has stopped.
tried=$(printf '%s\n' "$tried" RemoveIPC | sort)
expect "lines of the sandbox without a row, rows without a line" "$(diff <(echo "$lines") <(echo "$tried") || true)" ""

# The probes look for these.
rm -rf /var/lib/c2c-probe "$place"
mkdir -p "$place" /var/lib/c2c-probe/writable /home/c2c-probe /usr/lib/modules/c2c-probe
chmod 777 /var/lib/c2c-probe/writable
install --mode=644 /dev/null /home/c2c-probe/clip
install --mode=644 /dev/null /tmp/c2c-probe
install --mode=600 --owner=ui /dev/null /var/lib/c2c-probe/foreign
install -D --mode=755 /usr/bin/true /usr/lib/c2c-probe/bin/true
install --mode=4755 /usr/bin/id /var/lib/c2c-probe/id
rm -f /dev/c2c-probe
mknod --mode=666 /dev/c2c-probe c 1 5
mknod --mode=666 /var/lib/c2c-probe/kmsg c 1 11
ipcrm --shmem-key 0xc2c 2>/dev/null || true
perl -I/booted/guest -MSyscall -e 'call("shmget", 0xc2c, 4096, 01666) != -1 or die "$!"'

# probing NAME USER KEPT PROBE…: a unit that runs probes: the shipped one with these lines of its sandbox and no others.
probing() {
    local name=$1 user=$2 kept=$3 gone
    shift 3
    # A second unit of the same bus name would be refused; a credential brings a list of devices with it.
    gone=BusName
    if [ "$kept" != all ]; then
        gone+=$(grep --fixed-strings --line-regexp --invert-match "${kept//+/$'\n'}" <<<"$lines"$'\nLoadCredentialEncrypted' | sed 's/^/|/' | tr -d '\n')
    fi
    # Not two owners of the same directories at the same time.
    [ "$user" != root ] || gone+='|User|Group|StateDirectory|RuntimeDirectory'
    {
        grep --extended-regexp --invert-match "^($gone)=" "$file"
        cat <<END
[Service]
Type=oneshot
ExecStart=
ExecStart=/usr/bin/perl /booted/guest/probe $*
Environment=HOST_MOUNTS=$(readlink /proc/1/ns/mnt)
StandardOutput=truncate:$place/$name
Restart=no
WatchdogSec=0
END
        ! [[ $kept =~ ^all$|ExecPaths ]] || echo ExecPaths=/usr/bin/perl
    } >"/run/systemd/system/c2c-probe-$name.service"
    units+=("c2c-probe-$name.service")
}
# said NAME PROBE
said() { awk -v probe="$2" '$1 == probe { print $2 }' "$place/$1"; }

units=() row=0
while read -r line probe who alone _; do
    row=$((row + 1))
    probing "row-$row" "$who" "$line" "$probe"
done < <(table)
mapfile -t all < <(table | awk '{ print $2 }' | sort --unique)
probing shipped c2c-authd all "${all[@]}" write-state write-runtime
for who in c2c-authd root; do
    mapfile -t all < <(table | awk -v who="$who" '$3 == who { print $2 }' | sort --unique)
    probing "bare-$who" "$who" none "${all[@]}"
done
systemctl daemon-reload
systemctl start "${units[@]}" || systemctl --no-pager status "${units[@]}"

failures=0
check() {
    local verdict=
    [[ $2 =~ ^($3)$ ]] || verdict="  <- wanted $3" failures=$((failures + 1))
    printf '%-40s %s%s\n' "$1" "$2" "$verdict"
}
check "shipped: write-state" "$(said shipped write-state)" open
check "shipped: write-runtime" "$(said shipped write-runtime)" open
row=0
while read -r line probe who alone shipped; do
    row=$((row + 1))
    check "no line: $probe" "$(said "bare-$who" "$probe")" open
    check "$line: $probe" "$(said "row-$row" "$probe")" "$alone"
    check "shipped: $probe" "$(said shipped "$probe")" "$shipped"
done < <(table)

# The number of our shared memory segments that are left when the unit has stopped.
left() { ipcs --shmems | grep --count "^0x00000c2d" || true; }
kept() {
    probing "$1" c2c-authd "$2" make-shared-memory
    systemctl daemon-reload
    systemctl start "c2c-probe-$1.service"
    check "$1: make-shared-memory" "$(said "$1" make-shared-memory)" open
}
kept no-line none
check "no line: left behind" "$(left)" 1
ipcrm --shmem-key 0xc2d
kept RemoveIPC RemoveIPC
# systemd removes them once it has forgotten each other unit of this user.
soon is 0 left
check "RemoveIPC: left behind" "$(left)" 0
kept as-shipped all
soon is 0 left
check "shipped: left behind" "$(left)" 0

# A drop-in adds to the distribution's list.
drop_in 10-more <<<"[Service]
ExecPaths=/srv/more"
check "ExecPaths= of a drop-in" "$(unit ExecPaths)" '.*/usr/bin/c2c-authd.*/srv/more.*'
rm "$DROP_INS/10-more.conf"
systemctl daemon-reload

expect "probes that said something else" "$failures" 0
