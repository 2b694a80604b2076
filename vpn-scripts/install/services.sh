# shellcheck shell=sh
# services.sh: what systemd runs on a VPN host, or who starts it where there is no systemd. Sourced
# by install.sh; needs its place, say, die, and the options.
# shellcheck disable=SC2154 # they are set in install.sh

unit_openvpn() {
  cat <<END
[Unit]
Description=OpenVPN server of the VPN host
After=network-online.target
Wants=network-online.target

[Service]
Type=notify
RuntimeDirectory=vpn-host
RuntimeDirectoryMode=0755
ExecStart=/usr/sbin/openvpn --suppress-timestamps --config $state/server/openvpn.conf
CapabilityBoundingSet=CAP_IPC_LOCK CAP_NET_ADMIN CAP_NET_BIND_SERVICE CAP_NET_RAW CAP_SETGID CAP_SETUID CAP_SETPCAP CAP_SYS_CHROOT CAP_DAC_OVERRIDE CAP_AUDIT_WRITE
LimitNPROC=100
DeviceAllow=/dev/null rw
DeviceAllow=/dev/net/tun rw
ProtectSystem=true
ProtectHome=true
PrivateTmp=true
Restart=on-failure
RestartSec=5s

[Install]
WantedBy=multi-user.target
END
}

# OpenVPN refuses everybody once the CRL has expired: it is made anew every day.
unit_crl_service() {
  cat <<END
[Unit]
Description=Renew the CRL of the VPN host

[Service]
Type=oneshot
User=$user
ExecStart=$link/vpn-host $state
StandardInput=data
StandardInputText=vpn-host 1
StandardInputText=verb=crl
StandardInputText=end=20
END
}

unit_crl_timer() {
  cat <<'END'
[Unit]
Description=Renew the CRL of the VPN host every day

[Timer]
OnCalendar=daily
RandomizedDelaySec=1h
Persistent=true

[Install]
WantedBy=timers.target
END
}

services() {
  unit_crl_service | place "$units/vpn-host-crl.service"
  unit_crl_timer | place "$units/vpn-host-crl.timer"
  unit_openvpn | place "$units/vpn-host-openvpn.service"
  if [ -d /run/systemd/system ]; then services_start; else services_by_hand; fi
}

# OpenVPN is restarted only when it would read something else than it did when it
# was started last: a restart ends every session for some seconds. A reload of sshd
# ends nothing.
services_start() {
  systemctl daemon-reload || die 69 'systemctl daemon-reload failed; its message is above'
  systemctl reload-or-restart ssh.service || die 69 'sshd did not take its new configuration; see journalctl -u ssh, then run install.sh again'
  systemctl --quiet enable --now vpn-host-crl.timer || die 69 'the CRL timer did not start; see journalctl -u vpn-host-crl.timer'
  systemctl --quiet enable vpn-host-openvpn.service || die 69 'systemctl enable failed; its message is above'
  act=restart
  openvpn_input >"$work/openvpn" || die 70 "$state/server is damaged; restore it from the backup"
  ! cmp -s "$work/openvpn" "$etc/openvpn.started" || act=start
  systemctl "$act" vpn-host-openvpn.service ||
    die 69 'OpenVPN did not start; see journalctl -u vpn-host-openvpn, cure it, run install.sh again'
  place "$etc/openvpn.started" <"$work/openvpn"
}

openvpn_input() {
  sha256sum "$units/vpn-host-openvpn.service" "$state/server/openvpn.conf" "$state/server/server.crt" "$state/server/tls-crypt-v2.key"
}

services_by_hand() {
  cat <<END

systemd does not run here, so nothing was started. At every start of the machine, as root:
  mkdir -p /run/sshd && /usr/sbin/sshd
  mkdir -p $run && /usr/sbin/openvpn --daemon vpn-host --config $state/server/openvpn.conf
Every day, as $user, from cron for example (OpenVPN refuses everybody once the CRL has expired):
  printf 'vpn-host 1\nverb=crl\nend=20\n' | $link/vpn-host $state
Now: an sshd that runs already needs a reload, an OpenVPN that runs a restart if options or the version changed.
END
}
