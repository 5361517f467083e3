# Completes c2c-authctl in fish. Written from the tool's own table by src/ctl/spec/tests.rs.

set --local verbs status pair complete cancel unpair token reject qr watch check report metrics provision factory-reset help
complete --command c2c-authctl --no-files
complete --command c2c-authctl --long-option bus --exclusive --arguments 'system session' --description "system (default), session, or a D-Bus address"
complete --command c2c-authctl --long-option version --description "print the version and exit"
complete --command c2c-authctl --long-option help --description "print this and exit"

complete --command c2c-authctl --condition "not __fish_seen_subcommand_from $verbs" --arguments status --description "tell whether the device is paired, with what, and what is wrong; works with the daemon dead"
complete --command c2c-authctl --condition "__fish_seen_subcommand_from status" --long-option json --description "print JSON"

complete --command c2c-authctl --condition "not __fish_seen_subcommand_from $verbs" --arguments pair --description "show a QR code and a pairing code until the device is paired; Ctrl-C cancels"
complete --command c2c-authctl --condition "__fish_seen_subcommand_from pair" --long-option replace --description "pair a paired device again; the old pairing stays valid until the new one is complete"

complete --command c2c-authctl --condition "not __fish_seen_subcommand_from $verbs" --arguments complete --description "hand in the address that a browser elsewhere ended on; read from a pipe or terminal"

complete --command c2c-authctl --condition "not __fish_seen_subcommand_from $verbs" --arguments cancel --description "cancel the pairing in progress"

complete --command c2c-authctl --condition "not __fish_seen_subcommand_from $verbs" --arguments unpair --description "forget the pairing"
complete --command c2c-authctl --condition "__fish_seen_subcommand_from unpair" --long-option yes --description "do not ask"

complete --command c2c-authctl --condition "not __fish_seen_subcommand_from $verbs" --arguments token --description "print an access token: a secret, meant for a pipe"
complete --command c2c-authctl --condition "__fish_seen_subcommand_from token" --long-option min-validity --exclusive --description "valid for at least D, e.g. 10min"
complete --command c2c-authctl --condition "__fish_seen_subcommand_from token" --long-option json --description "print JSON"

complete --command c2c-authctl --condition "not __fish_seen_subcommand_from $verbs" --arguments reject --description "tell that the API answered 401 to a token; then ask for one again"

complete --command c2c-authctl --condition "not __fish_seen_subcommand_from $verbs" --arguments qr --description "show the QR code of the pairing in progress"
complete --command c2c-authctl --condition "__fish_seen_subcommand_from qr" --long-option png --require-parameter --force-files --description "write a PNG file; - is standard output"
complete --command c2c-authctl --condition "__fish_seen_subcommand_from qr" --long-option svg --require-parameter --force-files --description "write an SVG file; - is standard output"
complete --command c2c-authctl --condition "__fish_seen_subcommand_from qr" --long-option size --exclusive --description "pixels on a side, 250 to 1000 (default: 250)"
complete --command c2c-authctl --condition "__fish_seen_subcommand_from qr" --long-option static --description "QR code of the address only; the code is typed"

complete --command c2c-authctl --condition "not __fish_seen_subcommand_from $verbs" --arguments watch --description "print each change of state until interrupted"
complete --command c2c-authctl --condition "__fish_seen_subcommand_from watch" --long-option json --description "print JSON"

complete --command c2c-authctl --condition "not __fish_seen_subcommand_from $verbs" --arguments check --description "find what is wrong with configuration, secrets, system and server"
complete --command c2c-authctl --condition "__fish_seen_subcommand_from check" --long-option json --description "print JSON"
complete --command c2c-authctl --condition "__fish_seen_subcommand_from check" --long-option offline --description "do not contact the server"
complete --command c2c-authctl --condition "__fish_seen_subcommand_from check" --long-option paired --description "fail unless the device is paired"
complete --command c2c-authctl --condition "__fish_seen_subcommand_from check" --long-option accepted --description "as root: only ask whether the server accepts this device"

complete --command c2c-authctl --condition "not __fish_seen_subcommand_from $verbs" --arguments report --description "write one file for support: check, status, configuration, journal; no secrets"
complete --command c2c-authctl --condition "__fish_seen_subcommand_from report" --force-files

complete --command c2c-authctl --condition "not __fish_seen_subcommand_from $verbs" --arguments metrics --description "print metrics for Prometheus; never starts the daemon"
complete --command c2c-authctl --condition "__fish_seen_subcommand_from metrics" --long-option textfile --exclusive --arguments '(__fish_complete_directories)' --description "write DIR/c2c-authd.prom, for node_exporter"

complete --command c2c-authctl --condition "not __fish_seen_subcommand_from $verbs" --arguments provision --description "store the client secret, read from a pipe or terminal, and create the state key"
complete --command c2c-authctl --condition "__fish_seen_subcommand_from provision" --long-option with-key --exclusive --arguments 'auto host tpm2 host+tpm2' --description "seal with the TPM, the host's key, or both (default: as it is, else auto)"
complete --command c2c-authctl --condition "__fish_seen_subcommand_from provision" --long-option files --exclusive --arguments '(__fish_complete_directories)' --description "store as files in DIR, for systems without credentials"
complete --command c2c-authctl --condition "__fish_seen_subcommand_from provision" --long-option client-id --exclusive --description "set the client id as well"
complete --command c2c-authctl --condition "__fish_seen_subcommand_from provision" --long-option replace --description "replace a secret or client id that differs or cannot be read"
complete --command c2c-authctl --condition "__fish_seen_subcommand_from provision" --long-option upgrade-key --exclusive --arguments 'host tpm2 host+tpm2' --description "reseal the stored secrets with another key; reads no secret"
complete --command c2c-authctl --condition "__fish_seen_subcommand_from provision" --long-option no-restart --description "do not restart the daemon"
complete --command c2c-authctl --condition "__fish_seen_subcommand_from provision" --long-option verify --description "then ask the server whether it accepts this device"
complete --command c2c-authctl --condition "__fish_seen_subcommand_from provision" --long-option json --description "print JSON"

complete --command c2c-authctl --condition "not __fish_seen_subcommand_from $verbs" --arguments factory-reset --description "forget the pairing here and at the server, for the next owner"
complete --command c2c-authctl --condition "__fish_seen_subcommand_from factory-reset" --long-option clock --description "also forget the latest known time"
complete --command c2c-authctl --condition "__fish_seen_subcommand_from factory-reset" --long-option provisioning --description "also forget client secret, state key and client id"
complete --command c2c-authctl --condition "__fish_seen_subcommand_from factory-reset" --long-option forget-revocations --description "reset even if the server was not told"
complete --command c2c-authctl --condition "__fish_seen_subcommand_from factory-reset" --long-option wait --exclusive --description "how long to wait for the server (default: 20s)"
complete --command c2c-authctl --condition "__fish_seen_subcommand_from factory-reset" --long-option yes --description "do not ask"
complete --command c2c-authctl --condition "__fish_seen_subcommand_from factory-reset" --long-option json --description "print JSON"

complete --command c2c-authctl --condition "not __fish_seen_subcommand_from $verbs" --arguments help --description "print this and exit"
