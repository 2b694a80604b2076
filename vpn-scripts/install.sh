#!/bin/sh
# install.sh: makes a Debian 12 machine a VPN host, or upgrades one. Run it as root.
#
# What it puts where:
#   /usr/local/libexec/vpn-host             a link to the version in use
#   /usr/local/libexec/vpn-host.d/VERSION   the scripts, named by their content
#   /etc/vpn-host                           options of the last run, authorized keys
#   /etc/ssh/sshd_config.d/10-vpn-host.conf what the account may do: one command
#   /etc/systemd/system/vpn-host-*          OpenVPN's service, the CRL's timer
#   /var/lib/vpn-host                       CA and certificates, owned by the account
# Every step may be repeated, and a run that was cut short is finished by the next.
set -efu
umask 022
LC_ALL=C
PATH=/usr/sbin:/usr/bin:/sbin:/bin
export LC_ALL PATH

link=/usr/local/libexec/vpn-host
versions=/usr/local/libexec/vpn-host.d
etc=/etc/vpn-host
drop_in=/etc/ssh/sshd_config.d/10-vpn-host.conf
units=/etc/systemd/system
run=/run/vpn-host

usage() {
  cat <<'END'
install.sh --remote HOST --authorized-key KEY [options]     a new host
install.sh                                                  upgrade, all options as before

  --remote HOST          name or address that VPN clients connect to
  --authorized-key KEY   the platform's public SSH key: a file, or the line itself; may be
                         given several times. These keys replace those of earlier runs
  --ssh-host HOST        name or address that the platform connects to; --remote's
  --user USER            vpn-host: the account of the platform; made when it is missing
  --state DIR            /var/lib/vpn-host
  --port N               1194
  --proto udp|tcp        udp
  --network CIDR         10.88.0.0/24, from /16 to /29: the addresses of the clients
  --local ADDRESS        address that OpenVPN listens on; all when left out
  --dev tun|tunN         tun
  --static-addresses N   0: so many at the end of the network are for clients with an address
                         of their own, and given to nobody else
  --crl-days N           30: how long a CRL is valid; a timer renews it every day
  --adopt PKI            take over an easy-rsa PKI, with --adopt-server NAME, --adopt-tls-crypt FILE
                         or --adopt-tls-auth FILE what its clients need; see README.md
  --help
END
}

say() { printf '%s\n' "$1"; }

die() { # CODE MESSAGE, which names the cure
  printf 'install.sh: %s\n' "$2" >&2
  exit "$1"
}

bad() {
  die 64 "$1; see install.sh --help"
}

NL='
'
tab=$(printf '\t')

# --- options ----------------------------------------------------------------------

remembered='remote ssh_host user state port proto network local dev static_addresses crl_days'
remote='' ssh_host='' user='' state='' port='' proto='' network='' local='' dev='' static_addresses='' crl_days=''
keys='' adopt='' adopt_server='' adopt_tls_crypt='' adopt_tls_auth=''

options_read() {
  while [ $# -gt 0 ]; do
    [ "$1" != --help ] || { usage; exit 0; }
    [ $# -ge 2 ] || bad "$1 is not known or needs a value"
    case $2 in *"$NL"* | *"$tab"*) [ "$1" = --authorized-key ] || bad "$1 must be one plain line" ;; esac
    case $1 in
      --remote) remote=$2 ;;
      --authorized-key) key_argument "$2" ;;
      --ssh-host) ssh_host=$2 ;;
      --user) user=$2 ;;
      --state) state=$2 ;;
      --port) port=$2 ;;
      --proto) proto=$2 ;;
      --network) network=$2 ;;
      --local) local=$2 ;;
      --dev) dev=$2 ;;
      --static-addresses) static_addresses=$2 ;;
      --crl-days) crl_days=$2 ;;
      --adopt) adopt=$2 ;;
      --adopt-server) adopt_server=$2 ;;
      --adopt-tls-crypt) adopt_tls_crypt=$2 ;;
      --adopt-tls-auth) adopt_tls_auth=$2 ;;
      *) bad "$1 is not known" ;;
    esac
    shift 2
  done
}

# What was not given stays as it was in the last run. The file is data, never sourced.
options_recall() {
  [ -e "$etc/install.conf" ] || return 0
  while IFS='=' read -r option value; do
    case " $remembered " in *" $option "*) ;; *) die 70 "$etc/install.conf is damaged; remove it and give all options again" ;; esac
    eval "[ -n \"\$$option\" ] || $option=\$value"
  done <"$etc/install.conf"
}

options_check() {
  : "${user:=vpn-host}" "${state:=/var/lib/vpn-host}" "${port:=1194}" "${proto:=udp}"
  : "${network:=10.88.0.0/24}" "${dev:=tun}" "${static_addresses:=0}" "${crl_days:=30}"
  [ -n "$remote" ] || bad '--remote is missing: the name or address that VPN clients connect to'
  : "${ssh_host:=$remote}"
  case $ssh_host in [!A-Za-z0-9:]* | *[!A-Za-z0-9.:-]*) bad '--ssh-host must be a host name or an address' ;; esac
  case $user in
    root) bad '--user must not be root: the account needs no rights of its own' ;;
    [!a-z_]* | *[!a-z0-9_-]*) bad '--user must be a plain login name' ;;
  esac
  [ -n "$adopt" ] || [ -z "$adopt_server$adopt_tls_crypt$adopt_tls_auth" ] || bad '--adopt is missing: --adopt-… are for it'
  case $adopt_server in *[!A-Za-z0-9._-]* | [!A-Za-z0-9]*) bad '--adopt-server must be a plain name' ;; esac
  [ -n "$keys" ] || [ -s "$etc/authorized_keys" ] || bad '--authorized-key is missing: the public SSH key of the platform'
}

options_remember() {
  for option in $remembered; do
    eval "value=\$$option"
    printf '%s=%s\n' "$option" "$value"
  done | place "$etc/install.conf"
}

# --- authorized keys --------------------------------------------------------------

# A line has a space in it, a file's name does not need one.
key_argument() { # FILE|LINE
  key_count=0
  case $1 in
    *' '*) key_lines "$1" ;;
    *)
      [ -r "$1" ] || bad "--authorized-key: there is no file $1 that can be read"
      key_lines "$(cat -- "$1")"
      ;;
  esac
  [ "$key_count" -gt 0 ] || bad '--authorized-key holds no key'
}

key_lines() { # TEXT
  while IFS= read -r key_line; do
    case $key_line in '' | '#'*) continue ;; esac
    key_add "$key_line"
    key_count=$((key_count + 1))
  done <<END
$1
END
}

# Type and key only: a comment could carry anything, and options are ours to give.
key_add() { # LINE
  key_type=${1%%[ "$tab"]*}
  key_blob=${1#"$key_type"}
  key_blob=${key_blob#[ "$tab"]}
  key_blob=${key_blob%%[ "$tab"]*}
  case $key_type in
    ssh-ed25519 | ecdsa-sha2-nistp256 | ecdsa-sha2-nistp384 | ecdsa-sha2-nistp521 | ssh-rsa) ;;
    sk-ssh-ed25519@openssh.com | sk-ecdsa-sha2-nistp256@openssh.com) ;;
    *) bad '--authorized-key must be a public key, "ssh-ed25519 AAAA...", without options before it' ;;
  esac
  case $key_blob in '' | *[!A-Za-z0-9+/=]*) bad '--authorized-key is cut or damaged; copy the whole line' ;; esac
  keys="$keys$key_type $key_blob$NL"
}

# Once ssh-keygen is there for sure.
keys_check() {
  [ -z "$keys" ] || printf '%s' "$keys" | ssh-keygen -l -f - >/dev/null 2>&1 ||
    bad '--authorized-key is not a key that ssh-keygen can read; copy the whole line'
}

keys_place() {
  gate="$link/gate $state"
  if [ -z "$keys" ]; then
    # Kept keys, behind the command of today.
    keys=$(sed -n 's/^restrict,command="[^"]*" //p' "$etc/authorized_keys")$NL
    [ "$keys" != "$NL" ] || die 70 "$etc/authorized_keys holds no key of ours; give the keys with --authorized-key"
  fi
  printf '%s' "$keys" | sed "s|^|restrict,command=\"$gate\" |" | place "$etc/authorized_keys"
}

# --- steps ------------------------------------------------------------------------

# place FILE: standard input becomes FILE, whole or not at all.
place() {
  if ! cat >"$1.new" || ! sync "$1.new" || ! mv -fT "$1.new" "$1"; then
    die 74 "cannot write $1; check free space"
  fi
}

begin() {
  [ "$(id -u)" -eq 0 ] || die 77 'only root can install; run it with sudo'
  here=$(cd -P -- "${0%/*}" && pwd)
  for file in gate vpn-host setup adopt sessions crl tls-crypt-v2-verify; do
    [ -x "$here/libexec/$file" ] || die 66 "libexec/$file is missing next to install.sh; unpack the whole release"
  done
  [ -r "$here/install/services.sh" ] || die 66 'install/services.sh is missing next to install.sh; unpack the whole release'
  # shellcheck source=install/services.sh
  . "$here/install/services.sh"
  [ -r /etc/debian_version ] || die 69 'this is no Debian; install.sh knows Debian 12 only'
  mkdir -p "$etc" || die 74 "cannot make $etc; check that the disk is writable"
  exec 8<"$etc"
  flock -n 8 || die 75 'another install.sh is at work; wait for it to end'
  work=$(mktemp -d) || die 74 'cannot make a temporary directory; check free space in /tmp'
  trap 'rm -rf "$work"' EXIT
  # Without this, dash would leave without it.
  trap 'exit 130' HUP INT TERM
}

packages() {
  missing=
  for package in openvpn openssh-server openssl perl-base util-linux; do
    found=$(dpkg-query -W -f '${Status}' "$package" 2>/dev/null) || found=
    [ "$found" = 'install ok installed' ] || missing="$missing $package"
  done
  [ -n "$missing" ] || return 0
  say "packages:$missing"
  export DEBIAN_FRONTEND=noninteractive
  if ! packages_get >"$work/apt" 2>&1; then
    cat "$work/apt" >&2
    die 69 "apt-get failed; its messages are above; cure them, or install these yourself:$missing"
  fi
}

packages_get() {
  # shellcheck disable=SC2086 # a list of plain names
  apt-get -qq update && apt-get -qq -y --no-install-recommends install $missing
}

# The password is "*", not "!": sshd without PAM refuses accounts that are locked.
account() {
  if ! getent passwd "$user" >/dev/null; then
    say "account: $user"
    useradd --system --user-group --home-dir "$state" --no-create-home --shell /bin/sh --password '*' \
      --comment 'VPN host' "$user" || die 74 "useradd failed to make $user; its message is above"
  fi
  entry=$(getent passwd "$user")
  shell=${entry##*:}
  case $shell in
    */nologin | */false | '') die 70 "the account $user has no shell, and sshd runs the gate with one; usermod --shell /bin/sh $user" ;;
  esac
  [ "$(id -u "$user")" -ne 0 ] || die 70 "the account $user is root; choose another with --user"
  case $(getent shadow "$user") in "$user:!"*) usermod --password '*' "$user" ;; esac
}

# The name of a version is the hash of its content: the same files, the same place.
scripts() {
  version=$(cd "$here/libexec" && find . -type f -exec sha256sum {} + | sort -k 2 | sha256sum)
  version=$(printf %.16s "$version")
  if [ -e "$link" ] && [ ! -L "$link" ]; then die 70 "$link is not a link, so install.sh did not make it; move it away"; fi
  mkdir -p "$versions"
  if [ ! -d "$versions/$version" ]; then
    rm -rf "$versions/new"
    cp -R "$here/libexec" "$versions/new" || die 74 "cannot write below $versions; check free space"
    chown -R root:root "$versions/new"
    chmod -R u=rwX,go=rX "$versions/new"
    sync "$versions/new"/* "$versions/new"/lib/* 2>/dev/null || sync
    mv -T "$versions/new" "$versions/$version"
  fi
}

# In one rename: every request finds the old version or the new one. A request that
# runs goes on in its own version, so the one before stays.
scripts_switch() {
  previous=$(readlink "$link") || previous=
  if [ "$previous" != "vpn-host.d/$version" ]; then
    say "scripts: version $version"
    ln -sfn "vpn-host.d/$version" "$link.new"
    mv -fT "$link.new" "$link"
  fi
  set +f
  for old in "$versions"/*; do
    case ${old##*/} in "$version" | "${previous#vpn-host.d/}") ;; *) rm -rf "$old" ;; esac
  done
  set -f
}

# As the account: CA and state belong to it. From the new version, before the switch:
# if it refuses this state directory, the old version goes on.
state_directory() {
  [ -d "$state" ] || install -d -m 0711 -o "$user" -g "$(id -g "$user")" "$state" || die 74 "cannot make $state; make its parent directory"
  owner=$(stat -c %U "$state")
  [ "$owner" = "$user" ] ||
    die 70 "$state belongs to $owner; if it comes from a backup, or the account is a new one: chown -hR $user: $state, then run install.sh again"
  set -- --state "$state" --remote "$remote" --port "$port" --proto "$proto" --network "$network" --dev "$dev" \
    --crl-days "$crl_days" --management "$run/management.sock" --pidfile "$run/openvpn.pid" --ssh-user "$user" \
    --static-addresses "$static_addresses" --scripts "$link"
  [ -z "$local" ] || set -- "$@" --local "$local"
  if [ -n "$adopt" ]; then
    adopt_copy
    set -- "$@" --adopt "$work/pki"
    [ -z "$adopt_server" ] || set -- "$@" --adopt-server "$adopt_server"
    [ -z "$adopt_tls_crypt" ] || set -- "$@" --adopt-tls-crypt "$work/pki/tls-crypt.key"
    [ -z "$adopt_tls_auth" ] || set -- "$@" --adopt-tls-auth "$work/pki/tls-auth.key"
  fi
  as_account "$versions/$version/setup" "$@" >"$work/setup" || die "$?" 'setup failed; its message is above'
  grep '^adopted: \|^  left: ' "$work/setup" || :
}

adopt_copy() { # The account may not read the PKI: it gets what it needs, and that goes when this ends.
  install -d -m 0700 "$work/pki" "$work/pki/private" || die 74 'cannot copy the PKI; check free space in /tmp'
  for part in ca.crt crl.pem index.txt issued certs_by_serial renewed private/ca.key "private/$adopt_server.key"; do
    [ ! -e "$adopt/$part" ] || cp -RL "$adopt/$part" "$work/pki/$part" || die 74 'cannot copy the PKI; check free space in /tmp'
  done
  [ -z "$adopt_tls_crypt" ] || cp "$adopt_tls_crypt" "$work/pki/tls-crypt.key" || die 66 'the tls-crypt key cannot be read'
  [ -z "$adopt_tls_auth" ] || cp "$adopt_tls_auth" "$work/pki/tls-auth.key" || die 66 'the tls-auth key cannot be read'
  chown -R "$user" "$work/pki" && chmod 0711 "$work"
}

as_account() { (cd / && exec runuser -u "$user" -- "$@"); }

ssh_access() {
  mkdir -p /etc/ssh/sshd_config.d /run/sshd # Debian's service makes the second one at its start
  keys_place
  cp -f "$drop_in" "$work/drop-in" 2>/dev/null || :
  ssh_drop_in | place "$drop_in"
  sshd -t 2>"$work/sshd" || ssh_undo "sshd does not accept it: $(head -n 3 "$work/sshd")"
  sshd -T -C "user=$user,host=localhost,addr=127.0.0.1" >"$work/sshd-user" || ssh_undo 'sshd -T failed'
  grep -qxF "forcecommand $gate" "$work/sshd-user" ||
    ssh_undo 'it has no effect; /etc/ssh/sshd_config must have the line "Include /etc/ssh/sshd_config.d/*.conf" at its top'
  if grep -q '^allow\(users\|groups\) ' "$work/sshd-user"; then
    say "look at AllowUsers and AllowGroups in sshd's configuration: they must let $user in"
  fi
}

ssh_undo() { # WHY
  if [ -e "$work/drop-in" ]; then cp -f "$work/drop-in" "$drop_in"; else rm -f "$drop_in"; fi
  die 70 "$drop_in was taken back, because $1; cure that and run install.sh again"
}

ssh_drop_in() {
  cat <<END
# The account of the VPN platform: one command, by key, and nothing else.
# Written by install.sh: the next run overwrites changes.
Match User $user
  ForceCommand $gate
  AuthenticationMethods publickey
  PubkeyAuthentication yes
  AuthorizedKeysFile $etc/authorized_keys
  AuthorizedKeysCommand none
  TrustedUserCAKeys none
  PasswordAuthentication no
  KbdInteractiveAuthentication no
  DisableForwarding yes
  AllowTcpForwarding no
  AllowStreamLocalForwarding no
  AllowAgentForwarding no
  X11Forwarding no
  PermitTunnel no
  PermitTTY no
  PermitUserRC no
  SetEnv HOME=/nonexistent
  ClientAliveInterval 30
  ClientAliveCountMax 4
Match all
END
}

# --- the end ----------------------------------------------------------------------

self_test() {
  printf 'vpn-host 1\nverb=check\nend=22\n' >"$work/request"
  as_account "$link/vpn-host" "$state" <"$work/request" >"$work/reply" || {
    sed -n 's/^error=/vpn-host says: /p' "$work/reply" >&2
    die 70 'the host is installed and its check fails; cure what it says above, then run install.sh again'
  }
}

# The platform takes Ed25519 and ECDSA keys; the first of them that sshd shows.
host_key() {
  host_key=
  for kind in ed25519 ecdsa; do
    while read -r word file; do
      case $word:$file in hostkey:*"_${kind}_"*) ;; *) continue ;; esac
      [ -n "$host_key" ] || [ ! -r "$file.pub" ] || host_key=$(cut -d ' ' -f 1,2 "$file.pub")
    done <"$work/sshd-user"
  done
  [ -n "$host_key" ] || die 70 'sshd has no Ed25519 or ECDSA host key; ssh-keygen -A makes them, then run install.sh again'
}

report() {
  ssh_port=$(sed -n 's/^port //p;T;q' "$work/sshd-user")
  cat <<END

This is a VPN host. Give registerServer exactly this:
  host:    $ssh_host
  port:    $ssh_port
  user:    $user
  hostKey: $host_key

Clients need $port/$proto open to $remote; the platform needs $ssh_port/tcp. Back up $state: it is the CA.
END
}

options_read "$@"
begin
options_recall
options_check
packages
keys_check
account
scripts
state_directory
scripts_switch
ssh_access
options_remember
services
host_key
report
self_test
