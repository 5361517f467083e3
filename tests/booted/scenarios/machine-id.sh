# shellcheck shell=bash
# The host's key dies with the machine id: systemd deletes it when it reads it under another one. Where the id is transient nothing
# is sealed with it; under another id the tool says so, and neither it nor what it runs reads the key; with id and key back the
# pairing is as it was.

key=/var/lib/systemd/credential.secret
id=/etc/machine-id
cp --preserve=all "$id" /run/id
other_id() { tr -d - </proc/sys/kernel/random/uuid; }
sum() { sha256sum <"$key"; }
# unasked CODE WORDS ARGUMENT…: provision says so at once, without a word from the pipe, which stays open.
unasked() {
    local code=0 said
    said=$(timeout 60 c2c-authctl provision "${@:3}" 2>&1 < <(exec sleep 120 2>/dev/null)) || code=$?
    expect "exit code of provision ${*:3}" "$code" "$1"
    expect_like "what it says" "$said" "$2"
}

sim_start
device "client-id = \"$CLIENT\""

# As systemd does it where it cannot write the file: an id of this boot over it.
other_id >/run/transient
mount --bind /run/transient "$id"
transient='machine id is transient.*/etc/machine-id.*--with-key tpm2.*--files DIR.*Nothing was changed'
unasked 1 "$transient" --with-key host
unasked 1 "$transient" --with-key host+tpm2
# With a TPM of the machine's own the best key is that one.
[ -e /sys/class/tpmrm/tpmrm0 ] || unasked 1 "$transient"
# An image, whose first boot is to come.
: >/run/transient
unasked 1 'an image, not a device: provision at first boot, or use --with-key tpm2' --with-key host
echo uninitialized >/run/transient
unasked 1 'an image, not a device: provision at first boot, or use --with-key tpm2'
umount "$id"

c2c-authctl provision --with-key host <"$SIM_DIR/client-secret"
pair
first=$(token)

# Sealed well, but the id is one that goes.
cp /run/id /run/transient
mount --bind /run/transient "$id"
expect_like "what check says" "$(c2c-authctl check --offline)" 'warn  state-key .*machine id is transient'
unasked 1 "$transient" --upgrade-key host
umount "$id"

# The slot of the other id, a clone, an image that was set up anew.
systemctl stop "$UNIT"
cp --preserve=all "$key" /run/key
before=$(sum)
other_id >"$id"
foreign='sealed under another machine id; bring that id and the key back'
for verb in 'check --offline' check status status; do
    code=0
    # shellcheck disable=SC2086
    said=$(c2c-authctl $verb) || code=$?
    expect_like "what $verb says" "$said" "$STORE/c2c-authd.state-key: $foreign"
    [ "$code" -ne 0 ] || die "$verb ends with 0"
    expect "the key after $verb" "$(sum)" "$before"
    expect "the unit after $verb" "$(unit ActiveState)" inactive
done
for arguments in '' '--with-key host' '--with-key host+tpm2'; do
    # shellcheck disable=SC2086
    unasked 1 "$key .*another machine id.*Nothing was changed" $arguments --replace
done
unasked 8 "$foreign" --with-key tpm2
unasked 8 "$foreign" --upgrade-key tpm2
code=0
said=$(c2c-authctl factory-reset --yes 2>&1) || code=$?
expect "exit code of factory-reset" "$code" 1
expect_like "what factory-reset says" "$said" "$foreign.*Nothing was removed"
code=0
said=$(c2c-authctl pair 2>&1) || code=$?
expect "exit code of pair" "$code" 7
expect_like "what pair says" "$said" "$foreign"
expect "the key after all" "$(sum)" "$before"
expect "the unit after all" "$(unit ActiveState)" inactive

# With the id it is as it was.
cat /run/id >"$id"
systemctl start "$UNIT"
expect "the token" "$(token)" "$first"
c2c-authctl check --offline

# Where systemd is faster, the key is gone; what it takes is said, and with both back it is as it was.
systemctl stop "$UNIT"
other_id >"$id"
systemctl start "$UNIT" 2>/dev/null && die "it started"
expect "how it ended" "$(unit ActiveState)/$(unit ExecMainStatus)" failed/243
[ ! -e "$key" ] || die "systemd leaves the key alone now: documents and tool may be simpler"
for verb in 'check --offline' status; do
    # shellcheck disable=SC2086
    said=$(c2c-authctl $verb) || true
    expect_like "what $verb says" "$said" "$key is missing.*machine id"
done
cp --preserve=all /run/key "$key"
cat /run/id >"$id"
systemctl reset-failed "$UNIT"
systemctl start "$UNIT"
expect "the token" "$(token)" "$first"
rm /run/key
