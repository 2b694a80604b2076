#!/usr/bin/env bats
# A real sshd whose only defence is the line in authorized_keys: its configuration
# allows everything else.

setup_file() {
  load ../helper
  load ../world
  make_world
  local here=$BATS_FILE_TMPDIR
  ssh-keygen -q -t ed25519 -N '' -C '' -f "$here/key"
  ssh-keygen -q -t ed25519 -N '' -C '' -f "$here/host_key"
  in_world useradd --system --home-dir "$here/home" --shell /bin/sh --password '*' vpn-test
  chmod o+x "$BATS_RUN_TMPDIR" "$here"
  cp -R "$libexec" "$here/libexec"
  chmod -R go+rX "$here/libexec"
  in_world install -d -o vpn-test -g vpn-test -m 0711 "$here/home"
  in_world runuser -u vpn-test -- "$here/libexec/setup" --state "$here/home/state" --remote vpn.example.net --management none
  lines "restrict,command=\"$here/libexec/gate $here/home/state\" $(<"$here/key.pub")" >"$here/authorized_keys"
  lines 'ListenAddress 127.0.0.1:2222' "HostKey $here/host_key" "PidFile none" "AuthorizedKeysFile $here/authorized_keys" \
    'StrictModes no' 'UsePAM no' 'PermitTTY yes' 'AllowTcpForwarding yes' 'AllowStreamLocalForwarding yes' 'PermitTunnel yes' 'GatewayPorts yes' \
    'X11Forwarding yes' 'PermitUserRC yes' 'AcceptEnv *' 'PasswordAuthentication no' 'KbdInteractiveAuthentication no' 'Subsystem sftp internal-sftp' >"$here/sshd_config"
  # What an account may leave for its next login must not run either.
  in_world install -d -o vpn-test -g vpn-test -m 0700 "$here/home/.ssh"
  lines "touch $here/home/rc-ran" >"$here/home/.ssh/rc"
  in_world mkdir -p /run/sshd
  in_world /usr/sbin/sshd -E "$here/sshd.log" -f "$here/sshd_config"
  wait_for 'sshd to answer' answers 2222
}

teardown_file() {
  load ../helper
  load ../world
  end_world
}

setup() {
  load ../helper
  load ../world
  state=$BATS_FILE_TMPDIR/home/state
}

# over_ssh OPTION...: the request on standard input.
over_ssh() {
  status=0
  world_ssh "$@" vpn-test@127.0.0.1 vpn-host-v1 >"$BATS_TEST_TMPDIR/reply" 2>"$BATS_TEST_TMPDIR/stderr" || status=$?
  read_reply
}

@test "the line in authorized_keys alone allows one command and nothing else" {
  only_the_gate vpn-test
  [ ! -e "$BATS_FILE_TMPDIR/home/rc-ran" ]
}

@test "a certificate is issued, repeated and revoked over SSH" {
  over_ssh < <(fields issue "days=$days")
  expect 0
  payload >"$BATS_TEST_TMPDIR/profile"
  assert_profile "$BATS_TEST_TMPDIR/profile"
  over_ssh < <(fields issue "days=$days")
  [ "$(value replayed)" = 1 ]
  payload | cmp - "$BATS_TEST_TMPDIR/profile"
  over_ssh < <(fields revoke)
  expect 0
  over_ssh < <(fields issue "days=$days")
  expect 66
}

@test "an environment sent along changes nothing" {
  serial=$other_serial name=bob
  over_ssh -o 'SetEnv=LC_ALL=tr_TR.UTF-8 OPENSSL_CONF=/nonexistent ENV=/nonexistent PERL5OPT=-Mnothing IFS=a PATH=/nonexistent:/usr/bin:/bin' < <(fields issue "days=$days")
  expect 0
}

@test "a request that is cut by the end of the connection does nothing" {
  serial=6FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF name=carol
  over_ssh < <(fields issue "days=$days" | head -c 150)
  expect 64
  [ ! -e "$state/intent/$serial" ]
  [ ! -e "$state/fence/$serial" ]
}
