# shellcheck shell=bash
# The unit lives under MemoryMax=64M without swap, and that limit is a real one here: something else is killed by it.

hog() { systemd-run --quiet --wait --property=MemoryMax=64M --property=MemorySwapMax=0 sh -c 'head -c 100M /dev/zero | tail >/dev/null'; }
if hog; then die "100 MB fit into 64: nobody enforces the limit"; fi

world
pair
token >/dev/null
for format in png svg text; do
    call ui Pairing GetQrCode 'a{sv}' 2 format s "$format" what s uri >/dev/null || true
done
# Refreshes, each with a TLS connection of its own, and a replacement of the pairing.
for generation in 1 2 3; do
    sim end-access-token "$CLIENT"
    reject() {
        call uploader Tokens RejectAccessToken t "$generation"
        at_least $((generation + 1)) generation
    }
    within 60 reject
done
start_pairing 1 replace b true >/dev/null
sim approve any
within 30 is paired state

group=/sys/fs/cgroup$(unit ControlGroup)
expect "the limit" "$(cat "$group/memory.max")" 67108864
expect "kills" "$(awk '$1 == "oom_kill" { print $2 }' "$group/memory.events")" 0
expect "restarts" "$(unit NRestarts)" 0
note <<END
memory.peak of the unit $(cat "$group/memory.peak") bytes, of 67108864; VmHWM $(awk '$1 == "VmHWM:" { print $2 }' "/proc/$(unit MainPID)/status") kB
END
