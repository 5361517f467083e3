# shellcheck shell=bash
# boots: 2
# The system is switched off while a refresh that was sent waits for its answer, over an interface that systemd-networkd has by DHCP
# and takes down when it stops. The answer comes seconds after the daemon was told to stop: the network outlives the daemon, the
# answer is stored, and the next boot serves that token.

down_mid_refresh poweroff
