# shellcheck shell=bash
# kill -9 while a code is on show: systemd starts the daemon again, the same code is still on show and still good, and the server
# sees one patient poller. The boot is known again although the sandbox hides the kernel's boot id.

world
start_pairing 0 >/dev/null
code() { call ui Pairing GetPairingCode | grep -o '"user-code" s "[0-9]*"'; }
shown=$(code)
sim await poll 1 60
kill -KILL "$(unit MainPID)"
soon restarted
soon happened flow-resumed
expect "the code" "$(code)" "$shown"
expect "codes issued" "$(sim count codes)" 1
sim approve any
soon is paired state
expect "complaints of the server" "$(sim violations)" ""
