#!/usr/bin/env bats
# The installer, for real: in a world whose /etc, /usr/local and /var/lib are its own.
# The tests of this file are one story, in this order.

setup_file() {
  load ../helper
  load ../world
  outside >"$BATS_FILE_TMPDIR/outside"
  make_world
  local here=$BATS_FILE_TMPDIR
  chmod o+x "$BATS_RUN_TMPDIR" "$here"
  ssh-keygen -q -t ed25519 -N '' -C 'a comment' -f "$here/key"
  ssh-keygen -q -t ed25519 -N '' -C '' -f "$here/key2"
  mkdir "$here/release"
  cp -R "$room/install.sh" "$room/install" "$libexec" "$here/release/"
  # Nothing is to be fetched: whoever asks apt-get finds this.
  printf '#!/bin/sh\necho "$*" >>%s/apt.log\n' "$here" >"$here/apt-get"
  chmod +x "$here/apt-get"
  in_world mount --bind "$here/apt-get" /usr/bin/apt-get
  # As on a machine whose only way in is Debian's own sshd configuration.
  in_world sh -c 'mkdir -p /etc/ssh/sshd_config.d && echo "Include /etc/ssh/sshd_config.d/*.conf
UsePAM yes
AcceptEnv LANG LC_*
X11Forwarding yes
Subsystem sftp /usr/lib/openssh/sftp-server" >/etc/ssh/sshd_config && ssh-keygen -A >/dev/null'
}

teardown_file() {
  load ../helper
  load ../world
  end_world
}

setup() {
  load ../helper
  load ../world
  here=$BATS_FILE_TMPDIR state=/var/lib/vpn-host
}

# What the installer would change, seen from outside the world.
outside() {
  {
    getent passwd vpn-host
    getent group vpn-host
    sha256sum /etc/ssh/sshd_config /etc/ssh/sshd_config.d/*
    find /etc/vpn-host /usr/local/libexec/vpn-host* /var/lib/vpn-host /run/vpn-host /etc/systemd/system -printf '%p %m %u %T@ %l\n' | sort
  } 2>/dev/null || :
}

install() { in_world "$here/release/install.sh" "$@"; }

# seen FILE...: their content, in the world.
seen() { in_world cat "$@"; }

# over_ssh: the request on standard input.
over_ssh() {
  status=0
  world_ssh vpn-host@127.0.0.1 vpn-host-v1 >"$BATS_TEST_TMPDIR/reply" 2>"$BATS_TEST_TMPDIR/stderr" || status=$?
  read_reply
}

everything_kept() {
  in_world sh -c 'cd /var/lib/vpn-host && cat ca/* server/server.* server/tls-crypt-v2.key etc/host.conf revoked.log issued/* intent/* fence/*' | sha256sum
}

@test "bad options are refused before anything is done, and the error names the cure" {
  local key
  key=$(<"$here/key.pub")
  refused() { # TEXT OPTION...
    local text=$1
    shift
    echo "# $*"
    run -64 install "$@"
    [[ $output == *"$text"* ]]
    run ! in_world getent passwd vpn-host
  }
  refused '--remote is missing'
  refused '--authorized-key is missing' --remote x
  refused 'no file' --remote x --authorized-key /nonexistent
  refused 'without options' --remote x --authorized-key "command=\"x\" $key"
  refused 'without options' --remote x --authorized-key "$here/key"
  refused 'copy the whole line' --remote x --authorized-key "${key:0:40}"
  refused 'cut or damaged' --remote x --authorized-key 'ssh-ed25519 AA"AA'
  refused 'without options' --remote x --authorized-key "$key"$'\n''from="*" x'
  refused 'must not be root' --remote x --authorized-key "$key" --user root
  refused 'plain login name' --remote x --authorized-key "$key" --user 'a b'
  refused 'not known' --frobnicate x
  refused 'not known or needs a value' --remote
  run -0 install --help
  [[ $output == *--authorized-key* ]]
}

@test "only root can install" {
  run -77 in_world runuser -u nobody -- "$here/release/install.sh" --remote x --authorized-key "$(<"$here/key.pub")"
  [[ $output == *sudo* ]]
}

@test "a package that is missing is got with apt-get, quietly" {
  printf '#!/bin/sh\n[ "$4" = openvpn ] || echo "install ok installed"\n' >"$here/dpkg-query"
  chmod +x "$here/dpkg-query"
  in_world mount --bind "$here/dpkg-query" /usr/bin/dpkg-query
  run install --remote vpn.example.net --authorized-key "$here/key.pub"
  [ "$(<"$here/apt.log")" = '-qq update'$'\n''-qq -y --no-install-recommends install openvpn' ]
  printf '#!/bin/sh\necho "E: no network"; exit 100\n' >"$here/apt-get"
  run -69 install --remote vpn.example.net --authorized-key "$here/key.pub"
  [[ $output == *'E: no network'* && $output == *'install these yourself: openvpn'* ]]
  in_world umount /usr/bin/dpkg-query
}

@test "a fresh host is installed, and the operator is told what registerServer needs" {
  in_world sh -c 'rm -rf /var/lib/vpn-host /etc/vpn-host /usr/local/libexec/vpn-host* /etc/ssh/sshd_config.d/*; userdel vpn-host || :'
  run -0 install --remote vpn.example.net --authorized-key "$here/key.pub" --network 10.77.0.0/24 --local 127.0.0.1 --dev tun9
  local key
  key=$(in_world cut -d ' ' -f 1,2 /etc/ssh/ssh_host_ed25519_key.pub)
  [[ $output == *$'\n  host:    vpn.example.net\n  port:    22\n  user:    vpn-host\n  hostKey: '"$key"$'\n'* ]]
  [[ $output == *'/usr/sbin/sshd'* && $output == *'/usr/sbin/openvpn'* && $output == *'verb=crl'* ]]
}

@test "the account has no password that fits, and owns its state and nothing else" {
  [[ $(in_world getent shadow vpn-host) == 'vpn-host:*:'* ]]
  [[ $(in_world getent passwd vpn-host) == *':/var/lib/vpn-host:/bin/sh' ]]
  [ "$(in_world stat -c '%U %a' /var/lib/vpn-host /var/lib/vpn-host/ca/ca.key | paste -s)" = $'vpn-host 711\tvpn-host 600' ]
  [ -z "$(in_world find /etc/vpn-host /usr/local/libexec/vpn-host.d /etc/ssh/sshd_config.d /etc/systemd/system \( -user vpn-host -o -perm /022 ! -type l \) -print)" ]
  [[ $(seen /etc/vpn-host/authorized_keys) == 'restrict,command="/usr/local/libexec/vpn-host/gate /var/lib/vpn-host" ssh-ed25519 '* ]]
}

@test "systemd accepts the units" {
  run -0 in_world systemd-analyze verify --man=no /etc/systemd/system/vpn-host-openvpn.service /etc/systemd/system/vpn-host-crl.service /etc/systemd/system/vpn-host-crl.timer
  [ -z "$output" ] || { echo "$output" && return 1; }
}

@test "over SSH the account can do one thing, with Debian's sshd configuration" {
  in_world /usr/sbin/sshd -E "$here/sshd.log" -o Port=2222 -o ListenAddress=127.0.0.1
  wait_for 'sshd to answer' answers 2222
  only_the_gate vpn-host
}

@test "OpenVPN starts as the installer says, and answers the platform's account" {
  in_world sh -c "$(in_world "$here/release/install.sh" | sed -n 's/^ *\(mkdir -p .run.vpn-host && .*\)/\1/p')"
  wait_for 'OpenVPN to answer' in_world test -S /run/vpn-host/management.sock
  over_ssh < <(fields issue "days=$days")
  expect 0
  over_ssh < <(request verb=sessions)
  expect 0
  [ "$(value server)" = running ]
  serial=$other_serial name=bob
  over_ssh < <(fields revoke)
  expect 0
  over_ssh < <(fields kill)
  expect 0
  [ "$(value server) $(value killed) $(value open)" = 'running 0 0' ]
}

@test "the command for cron, and the one of the timer, renew the CRL" {
  local before
  before=$(in_world stat -c %Y /var/lib/vpn-host/pub/crl.pem)
  in_world runuser -u vpn-host -- sh -c "$(in_world "$here/release/install.sh" | sed -n 's/^ *\(printf .*\)/\1/p')" >"$BATS_TEST_TMPDIR/reply"
  status=0
  read_reply
  [ "$(value crl_number)" -gt "$before" ]
  # The unit's standard input, as systemd would make it.
  seen /etc/systemd/system/vpn-host-crl.service | sed -n 's/^StandardInputText=//p' | cmp - <(request verb=crl)
}

@test "a second run changes nothing, without any option" {
  everything_kept >"$BATS_TEST_TMPDIR/before"
  seen /etc/vpn-host/authorized_keys /etc/vpn-host/install.conf /etc/ssh/sshd_config.d/10-vpn-host.conf /etc/passwd /var/lib/vpn-host/server/openvpn.conf >"$BATS_TEST_TMPDIR/files"
  in_world readlink /usr/local/libexec/vpn-host >>"$BATS_TEST_TMPDIR/files"
  run -0 install
  everything_kept | cmp - "$BATS_TEST_TMPDIR/before"
  { seen /etc/vpn-host/authorized_keys /etc/vpn-host/install.conf /etc/ssh/sshd_config.d/10-vpn-host.conf /etc/passwd /var/lib/vpn-host/server/openvpn.conf
    in_world readlink /usr/local/libexec/vpn-host; } | cmp - "$BATS_TEST_TMPDIR/files"
  [[ $output == *'hostKey: ssh-ed25519 '* ]]
}

upgrade() { # N: to a version of its own
  echo "# version $1" >>"$here/release/libexec/lib/reply.sh"
  run -0 install
  [[ $output == *'scripts: version '* ]]
  in_world grep -q "^# version $1" /usr/local/libexec/vpn-host/lib/reply.sh
}

@test "an upgrade switches in one step, keeps everything issued, and lets a running request finish" {
  everything_kept >"$BATS_TEST_TMPDIR/before"
  local old
  old=$(in_world readlink /usr/local/libexec/vpn-host)
  make_slow_pipe
  apart 1 slowly over_ssh
  exec 7>"$slow"
  printf 'vpn-host 1\n' >&7
  wait_for 'the request to be under way' in_world sh -c 'ls -l /proc/[0-9]*/cwd | grep -q "/usr/local/libexec/vpn-host.d/.*/lib"'
  upgrade 1
  printf 'verb=sessions\nend=25\n' >&7
  exec 7>&-
  collect
  [ "$statuses" = 0 ]
  everything_kept | cmp - "$BATS_TEST_TMPDIR/before"
  over_ssh < <(fields issue "days=$days")
  [ "$(value replayed)" = 1 ]

  # The one in use and the one before stay, older ones go.
  in_world test -d "/usr/local/libexec/$old"
  upgrade 2
  run ! in_world test -e "/usr/local/libexec/$old"
  [ "$(in_world ls /usr/local/libexec/vpn-host.d | wc -l)" -eq 2 ]
}

# bash reads ~/.bashrc when sshd starts it, also for a forced command.
@test "an account with another shell reads nothing in its home" {
  in_world sh -c 'usermod --shell /bin/bash vpn-host && echo "echo noise" >/var/lib/vpn-host/.bashrc'
  over_ssh < <(request verb=hello)
  expect 0
  in_world sh -c 'usermod --shell /bin/sh vpn-host && rm /var/lib/vpn-host/.bashrc'
}

@test "new keys replace the old ones" {
  run -0 install --authorized-key "$(<"$here/key2.pub")" --authorized-key "$here/key.pub"
  [ "$(seen /etc/vpn-host/authorized_keys | wc -l)" -eq 2 ]
  run -0 install --authorized-key "$here/key2.pub"
  [ "$(seen /etc/vpn-host/authorized_keys | cut -d ' ' -f 3,4)" = "$(cut -d ' ' -f 1,2 "$here/key2.pub")" ]
  run -255 world_ssh vpn-host@127.0.0.1 vpn-host-v1 </dev/null
  run -0 install --authorized-key "$here/key.pub"
  over_ssh < <(request verb=hello)
  expect 0
}

@test "an option that is given again is the only one that changes" {
  run -0 install --port 443
  [[ $output == *'443/udp'* ]]
  seen /var/lib/vpn-host/server/openvpn.conf >"$BATS_TEST_TMPDIR/conf"
  grep -qx 'port 443' "$BATS_TEST_TMPDIR/conf"
  grep -qx 'server 10.77.0.0 255.255.255.0 nopool' "$BATS_TEST_TMPDIR/conf"
  grep -qx 'dev tun9' "$BATS_TEST_TMPDIR/conf"
}

@test "a configuration that sshd does not accept is taken back" {
  seen /etc/ssh/sshd_config.d/10-vpn-host.conf >"$BATS_TEST_TMPDIR/before"
  in_world sh -c 'cp /etc/ssh/sshd_config /run/kept; echo "NoSuchOption yes" >>/etc/ssh/sshd_config'
  run -70 install --state /var/lib/vpn-host
  [[ $output == *'was taken back'* && $output == *NoSuchOption* ]]
  seen /etc/ssh/sshd_config.d/10-vpn-host.conf | cmp - "$BATS_TEST_TMPDIR/before"
  in_world sh -c 'grep -v ^Include /run/kept >/etc/ssh/sshd_config; rm /etc/ssh/sshd_config.d/10-vpn-host.conf'
  run -70 install
  [[ $output == *'"Include /etc/ssh/sshd_config.d/*.conf"'* ]]
  run ! in_world test -e /etc/ssh/sshd_config.d/10-vpn-host.conf
  in_world cp /run/kept /etc/ssh/sshd_config
  run -0 install
}

@test "a version that refuses the state directory is not switched to" {
  local old
  old=$(in_world readlink /usr/local/libexec/vpn-host)
  echo '# version 3' >>"$here/release/libexec/lib/reply.sh"
  in_world sh -c 'mv /var/lib/vpn-host/ca/ca.key /run/'
  run -70 install
  [[ $output == *'restore ca/ from the backup'* ]]
  [ "$(in_world readlink /usr/local/libexec/vpn-host)" = "$old" ]
  in_world sh -c 'mv /run/ca.key /var/lib/vpn-host/ca/'
  run -0 install
  [ "$(in_world readlink /usr/local/libexec/vpn-host)" != "$old" ]
}

@test "a host that is not well is told of at the end, after what registerServer needs" {
  in_world cp -p "$state/server/server.crt" "$here/server.crt"
  in_world runuser -u vpn-host -- sh -c 'cd /var/lib/vpn-host && openssl req -config etc/openssl.cnf -x509 -key server/server.key \
    -subj /CN=server -CA ca/ca.crt -CAkey ca/ca.key -days 10 -extensions server -out server/server.crt' 2>"$BATS_TEST_TMPDIR/openssl.err"
  run -70 install
  [[ $output == *'hostKey: ssh-ed25519 '*'ends within 14 days; remove server/server.crt, then run install.sh'* ]]
  in_world rm "$state/server/server.crt"
  run -0 install
  in_world openssl x509 -in "$state/server/server.crt" -noout -checkend 300000000
  in_world cp -p "$here/server.crt" "$state/server/server.crt"
}

# On the other machine the number of the account is somebody else's.
@test "a host is restored from its backup onto another machine" {
  everything_kept >"$BATS_TEST_TMPDIR/before"
  in_world flock /var/lib/vpn-host/lock tar -C / -cpf "$here/backup.tar" etc/vpn-host var/lib/vpn-host
  in_world sh -c 'set -eu
    number=$(id -u vpn-host)
    rm -rf /etc/vpn-host /var/lib/vpn-host /usr/local/libexec/vpn-host* /etc/ssh/sshd_config.d/*
    userdel --force vpn-host
    useradd --system --no-create-home --uid "$number" somebody'
  in_world tar -C / -xpf "$here/backup.tar"
  run -70 install
  [[ $output == *'belongs to somebody; '*'chown -hR vpn-host: /var/lib/vpn-host, then run install.sh again' ]]
  in_world chown -hR vpn-host: /var/lib/vpn-host
  run -0 install
  everything_kept | cmp - "$BATS_TEST_TMPDIR/before"
  over_ssh < <(fields issue "days=$days")
  expect 0
  [ "$(value replayed)" = 1 ]
  in_world openssl crl -in "$state/pub/crl.pem" -noout -text | grep -q "Serial Number: $other_serial"
}

@test "with systemd, services are started once, and OpenVPN is restarted only for what it reads" {
  printf '#!/bin/sh\necho "$*" >>%s/systemctl.log\n' "$here" >"$here/systemctl"
  chmod +x "$here/systemctl"
  in_world mount --bind "$here/systemctl" "$(command -v systemctl)"
  in_world mkdir -p /run/systemd/system
  run -0 install
  [ "$(<"$here/systemctl.log")" = 'daemon-reload
reload-or-restart ssh.service
--quiet enable --now vpn-host-crl.timer
--quiet enable vpn-host-openvpn.service
restart vpn-host-openvpn.service' ]
  [[ $output != *'nothing was started'* ]]
  run -0 install --ssh-host ssh.example.net
  [ "$(tail -n 1 "$here/systemctl.log")" = 'start vpn-host-openvpn.service' ]
  [[ $output == *'host:    ssh.example.net'* ]]
  run -0 install --port 1195
  [ "$(tail -n 1 "$here/systemctl.log")" = 'restart vpn-host-openvpn.service' ]
  printf '#!/bin/sh\n[ "$1" != restart ]\n' >"$here/systemctl"
  run -69 install --port 1196
  [[ $output == *'journalctl -u vpn-host-openvpn'* ]]
  # What failed is tried again.
  printf '#!/bin/sh\necho "$*" >>%s/systemctl.log\n' "$here" >"$here/systemctl"
  run -0 install
  [ "$(tail -n 1 "$here/systemctl.log")" = 'restart vpn-host-openvpn.service' ]
}

@test "an easy-rsa PKI that only root can read is taken over, and no copy of its key is left" {
  export EASYRSA_BATCH=1 EASYRSA_ALGO=ec EASYRSA_CURVE=prime256v1 EASYRSA_PKI=$here/pki
  {
    /usr/share/easy-rsa/easyrsa init-pki
    /usr/share/easy-rsa/easyrsa --req-cn=OldCA build-ca nopass
    /usr/share/easy-rsa/easyrsa build-server-full vpn-gw nopass
    /usr/share/easy-rsa/easyrsa build-client-full ann nopass
  } >"$BATS_TEST_TMPDIR/easyrsa.log" 2>&1
  openvpn --genkey secret "$here/pki/tc.key"
  chmod 700 "$here/pki"
  run -0 install --state /var/lib/vpn-adopted --adopt "$here/pki" --adopt-server vpn-gw --adopt-tls-crypt "$here/pki/tc.key"
  [[ $output == *'adopted: 1 new clients, 0 revoked; left: 0'* ]]
  diff <(openssl x509 -in "$here/pki/ca.crt") <(seen /var/lib/vpn-adopted/ca/ca.crt)
  seen /var/lib/vpn-adopted/server/openvpn.conf | grep -qx 'tls-crypt "/var/lib/vpn-adopted/server/tc.key"'
  run ! in_world sh -c 'ls -d "${TMPDIR:-/tmp}"/tmp.*/pki'
  run -66 install --adopt /nonexistent
  run -0 install
  [[ $output != *'new clients'* ]]
}

@test "two installers do not run at once" {
  run -75 in_world flock /etc/vpn-host "$here/release/install.sh"
  [[ $output == *'another install.sh'* ]]
}

@test "the machine outside the world is as it was" {
  outside | diff "$here/outside" -
}
