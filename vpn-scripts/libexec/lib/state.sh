# shellcheck shell=sh
# shellcheck disable=SC2034,SC2154 # shared with the other parts
# The state directory: one writer at a time, and files that are whole or absent.

state_dirs='etc ca server intent issued foreign names addresses fence revoked pub pub/admitted pub/ccd tmp'

state_open() {
  case $1 in /*) ;; *) die 70 'the state directory must be an absolute path' ;; esac
  cd -P -- "$1" 2>/dev/null || die 70 'the state directory is missing; run install.sh'
  for state_dir in $state_dirs; do
    if [ ! -d "$state_dir" ] || [ ! -x "$state_dir" ]; then
      die 70 "the directory $state_dir is missing or closed; restore it from the backup, or run install.sh on a new host"
    fi
  done
  if [ ! -r lock ] || [ ! -r etc/host.conf ]; then die 70 'the state directory is not set up; run install.sh'; fi
}

# Children inherit descriptor 9: when this shell is killed, a child that still
# works keeps the others out until it is done.
state_lock() {
  exec 9<lock
  flock -w 20 9 || die 75 'another request held the lock for 20 seconds; repeat this one'
  state_sweep
}

state_unlock() {
  exec 9<&-
}

# What a killed run left, a private key perhaps. What OpenSSL has said last, in
# tmp/.openssl.err, stays: removing it would be a process per request.
state_sweep() {
  set +f
  set -- tmp/*
  set -f
  [ ! -e "$1" ] || rm -f -- "$@" || die 74 'cannot empty tmp/; check the disk'
}

# write FILE TEXT: TEXT and a newline, by a builtin: no process sees it.
write() {
  printf '%s\n' "$2" >"$1" || write_failed
}

# ":" would not do: a redirection of a special builtin that fails ends dash.
write_empty() {
  printf '' >"$1" || write_failed
}

write_failed() {
  die 74 'a write to the state directory failed; check free space and the disk, then repeat the request'
}

# commit FILE TARGET: TARGET is the old file or the whole new one, after a power
# cut too, and is there for good once this returns.
commit() {
  sync -d "$1" || write_failed
  mv -fT "$1" "$2" || write_failed
  sync "${2%/*}" || write_failed
}

# move FROM TO...: renames in this order, by one process; an empty TO removes FROM. Files
# that were synced, and directories that are going to be.
move() {
  perl -e 'while (my ($from, $to) = splice @ARGV, 0, 2) { (length $to ? rename $from, $to : unlink $from) or die "$from: $!\n" }' \
    "$@" || write_failed
}

# conf_read: etc/host.conf into conf_* variables. It is data, never sourced.
conf_read() {
  conf_host_id='' conf_management='' conf_pidfile='' conf_crl_days='' conf_openvpn_user='' conf_network='' conf_static_addresses=0
  while IFS='=' read -r conf_key conf_value; do
    case $conf_key in
      host_id) conf_host_id=$conf_value ;;
      management) conf_management=$conf_value ;;
      pidfile) conf_pidfile=$conf_value ;;
      crl_days) conf_crl_days=$conf_value ;;
      openvpn_user) conf_openvpn_user=$conf_value ;;
      network) conf_network=$conf_value ;;
      static_addresses) conf_static_addresses=$conf_value ;;
    esac
  done <etc/host.conf
  case $conf_static_addresses in '' | 0?* | *[!0-9]* | ??????*) die 70 'etc/host.conf is damaged; run install.sh again' ;; esac
  case $conf_crl_days in '' | 0* | *[!0-9]* | ?????*) die 70 'etc/host.conf is damaged; run install.sh again' ;; esac
  if [ -z "$conf_host_id" ] || [ -z "$conf_management" ]; then die 70 'etc/host.conf is damaged; run install.sh again'; fi
}

# file_serial FILE: the first line of FILE must be a serial, into $file_serial.
file_serial() {
  file_serial=
  IFS= read -r file_serial <"$1" || :
  case $file_serial in *[!0-9A-F]*) file_serial= ;; esac
  [ "${#file_serial}" -eq 32 ] || die 70 "$1 is damaged; restore it from the backup"
}

# owner_check FILE: the first two words of FILE (an intent, a tombstone) are the
# name and the client that the serial belongs to.
owner_check() {
  owner_name='' owner_client=''
  read -r owner_name owner_client _ <"$1" || :
  case $owner_client in cli_*) ;; *) die 70 "$1 is damaged; restore it from the backup" ;; esac
  if [ "$owner_name" != "$name" ] || [ "$owner_client" != "$client" ]; then
    die 65 'the serial belongs to another name or client; every client has a serial of its own'
  fi
}

# fence_whole SERIAL TOKEN: the token of fence/SERIAL is a number, and leaves room for higher ones. Those
# that are handed out never come near the end: somebody wrote it.
fence_whole() {
  case $2 in
    '' | 0* | *[!0-9]*) fence_broken "$1" 'is damaged' ;;
    9?????????????? | ????????????????*) fence_broken "$1" 'has a token above 899999999999999, which leaves no room for those of requests' ;;
  esac
}

# fence_broken SERIAL WHAT. After the cure the platform's next request passes, because its token is
# higher than the one in the database, and whoever was overtaken does not: 32 zeros are no attempt's.
fence_broken() {
  die 70 "fence/$1 $2; write \"N 00000000000000000000000000000000\" into it, with N from the platform's database: SELECT fence FROM clients WHERE serial = '$1' (1 if that is 0, or nothing)"
}

# name_held: is this serial the one that names/NAME points at?
name_held() {
  [ -e "names/$name" ] || return 1
  file_serial "names/$name"
  [ "$file_serial" = "$serial" ]
}

# name_live: does another serial, not revoked, hold the name? Into $live_serial.
name_live() {
  live_serial=
  if [ ! -e "names/$name" ] || name_held || [ -e "revoked/$file_serial" ]; then return 1; fi
  live_serial=$file_serial
}

# openssl_failed WHAT: under the lock, with what it said in tmp/.openssl.err.
openssl_failed() {
  # A failure is told under the fence that it was met under.
  [ -z "${fence_new-}" ] || fence_store
  cat tmp/.openssl.err >&2 || :
  die 69 "openssl failed to $1; its message is on standard error; run check, then repeat the request"
}
