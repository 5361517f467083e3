# Completes c2c-authctl in fish. Written from the tool's own table by src/cli/spec/tests.rs.

set --local verbs status pair complete cancel unpair token qr watch check provision factory-reset
complete --command c2c-authctl --no-files
complete --command c2c-authctl --long-option bus --exclusive --arguments 'system session' --description "system (default), session, or a D-Bus address"
complete --command c2c-authctl --long-option version --description "print the version and exit"
complete --command c2c-authctl --long-option help --description "print this and exit"

complete --command c2c-authctl --condition "not __fish_seen_subcommand_from $verbs" --arguments status --description "is the device paired, with what, and what is wrong; also with the daemon dead"
complete --command c2c-authctl --condition "__fish_seen_subcommand_from status" --long-option json --description "for programs"

complete --command c2c-authctl --condition "not __fish_seen_subcommand_from $verbs" --arguments pair --description "show a QR code and a code, wait until the device is paired; Ctrl-C cancels"
complete --command c2c-authctl --condition "__fish_seen_subcommand_from pair" --long-option replace --description "pair again although the device is paired; the old pairing holds until the new one does"

complete --command c2c-authctl --condition "not __fish_seen_subcommand_from $verbs" --arguments complete --description "hand in the address a browser elsewhere ended on, read from a pipe or typed"

complete --command c2c-authctl --condition "not __fish_seen_subcommand_from $verbs" --arguments cancel --description "end the pairing that waits for a code to be entered"

complete --command c2c-authctl --condition "not __fish_seen_subcommand_from $verbs" --arguments unpair --description "forget the pairing"
complete --command c2c-authctl --condition "__fish_seen_subcommand_from unpair" --long-option yes --description "do not ask"

complete --command c2c-authctl --condition "not __fish_seen_subcommand_from $verbs" --arguments token --description "print an access token: a secret, for pipes"
complete --command c2c-authctl --condition "__fish_seen_subcommand_from token" --long-option min-validity --exclusive --description "one that lives at least so long, e.g. 10min"

complete --command c2c-authctl --condition "not __fish_seen_subcommand_from $verbs" --arguments qr --description "show the QR code of the pairing that waits"
complete --command c2c-authctl --condition "__fish_seen_subcommand_from qr" --long-option png --require-parameter --force-files --description "write a picture; - is standard output"
complete --command c2c-authctl --condition "__fish_seen_subcommand_from qr" --long-option svg --require-parameter --force-files --description "write a drawing; - is standard output"
complete --command c2c-authctl --condition "__fish_seen_subcommand_from qr" --long-option size --exclusive --description "pixels of the picture's or drawing's side, at least 100"
complete --command c2c-authctl --condition "__fish_seen_subcommand_from qr" --long-option static --description "the address alone, where the code is then typed"

complete --command c2c-authctl --condition "not __fish_seen_subcommand_from $verbs" --arguments watch --description "print each change of state until interrupted"
complete --command c2c-authctl --condition "__fish_seen_subcommand_from watch" --long-option json --description "for programs"

complete --command c2c-authctl --condition "not __fish_seen_subcommand_from $verbs" --arguments check --description "find what is wrong with configuration, secrets, system and server"
complete --command c2c-authctl --condition "__fish_seen_subcommand_from check" --long-option json --description "for programs"
complete --command c2c-authctl --condition "__fish_seen_subcommand_from check" --long-option offline --description "leave the server alone"

complete --command c2c-authctl --condition "not __fish_seen_subcommand_from $verbs" --arguments provision --description "store the client secret, read from a pipe or typed unseen, and make the state key"
complete --command c2c-authctl --condition "__fish_seen_subcommand_from provision" --long-option with-key --exclusive --arguments 'auto host tpm2 host+tpm2' --description "seal with the TPM, the host's key, or both (default: auto)"
complete --command c2c-authctl --condition "__fish_seen_subcommand_from provision" --long-option files --exclusive --arguments '(__fish_complete_directories)' --description "keep them as files there: for systems without credentials"
complete --command c2c-authctl --condition "__fish_seen_subcommand_from provision" --long-option client-id --exclusive --description "configure the unit's client id as well"
complete --command c2c-authctl --condition "__fish_seen_subcommand_from provision" --long-option replace --description "although another secret or client id is there, or one that cannot be read"
complete --command c2c-authctl --condition "__fish_seen_subcommand_from provision" --long-option upgrade-key --exclusive --arguments 'host tpm2 host+tpm2' --description "seal what is there with another key; reads no secret"
complete --command c2c-authctl --condition "__fish_seen_subcommand_from provision" --long-option no-restart --description "leave the daemon as it is"
complete --command c2c-authctl --condition "__fish_seen_subcommand_from provision" --long-option json --description "for programs"

complete --command c2c-authctl --condition "not __fish_seen_subcommand_from $verbs" --arguments factory-reset --description "forget the pairing here and at the server, for the next owner"
complete --command c2c-authctl --condition "__fish_seen_subcommand_from factory-reset" --long-option clock --description "forget the latest known time too"
complete --command c2c-authctl --condition "__fish_seen_subcommand_from factory-reset" --long-option provisioning --description "forget client secret, state key and client id too"
complete --command c2c-authctl --condition "__fish_seen_subcommand_from factory-reset" --long-option forget-revocations --description "also if the server could not be told"
complete --command c2c-authctl --condition "__fish_seen_subcommand_from factory-reset" --long-option wait --exclusive --description "how long to wait for the server (default: 20s)"
complete --command c2c-authctl --condition "__fish_seen_subcommand_from factory-reset" --long-option yes --description "do not ask"
complete --command c2c-authctl --condition "__fish_seen_subcommand_from factory-reset" --long-option json --description "for programs"
