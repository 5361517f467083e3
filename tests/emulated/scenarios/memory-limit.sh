# shellcheck shell=bash
# The unit lives under MemoryMax=64M without swap, and that limit is a real one here: something else is killed by it.

hog() { systemd-run --quiet --wait --property=MemoryMax=64M --property=MemorySwapMax=0 sh -c 'head -c 100M /dev/zero | tail >/dev/null'; }
if hog; then die "100 MB fit into 64: nobody enforces the limit"; fi

serves_what_is_live() {
    local live
    live=$(sim live "$CLIENT" access) && [ "$(token)" = "$live" ]
}

sim_start
provision
configure 50-refresh <<<$'[refresh]\nat = "10%"'
systemctl start "$UNIT"
start_pairing 0 >/dev/null
for format in png svg text; do
    call ui Pairing GetQrCode 'a{sv}' 1 format s "$format" >/dev/null
done
sim approve any
within 60 is paired state
token >/dev/null
# Refreshes, each over a TLS connection of its own: a rejected token that is dead, then what short lives bring. Then a replacement.
sim access-life 40
sim end-access-token "$CLIENT"
rejected 1
within 120 at_least 4 generation
sim access-life 28800
start_pairing 1 replace b true >/dev/null
sim approve any
within 60 is 2 sim count pairings
within 60 is paired state
within 60 serves_what_is_live
expect "complaints of the server" "$(sim violations)" ""

group=/sys/fs/cgroup$(unit ControlGroup)
expect "the limit" "$(cat "$group/memory.max")" 67108864
expect "kills" "$(awk '$1 == "oom_kill" { print $2 }' "$group/memory.events")" 0
expect "restarts" "$(unit NRestarts)" 0
note <<END
memory.peak of the unit $(cat "$group/memory.peak") bytes, of 67108864; now anon \
$(awk '$1 == "anon" { print $2 }' "$group/memory.stat"), file $(awk '$1 == "file" { print $2 }' "$group/memory.stat"); VmHWM $(awk '$1 == "VmHWM:" { print $2 }' "/proc/$(unit MainPID)/status") kB
END
