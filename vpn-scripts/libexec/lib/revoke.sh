# shellcheck shell=sh
# shellcheck disable=SC2154 # fields of the request
# Verb revoke: a tombstone first, then everything that follows from it, as often
# as it takes. It also works for a serial that was never issued, and keeps it from
# ever being.

verb_revoke() {
  revoke_replayed=0
  if [ -e "revoked/$serial" ]; then
    owner_check "revoked/$serial"
    revoke_replayed=1
  else
    [ ! -e "intent/$serial" ] || owner_check "intent/$serial"
    revoke_bury
  fi
  revoke_clear
  if [ "$revoke_replayed" -eq 1 ] && crl_holds pub/crl.pem "$serial"; then
    conf_read
    crl_reachable
    crl_read_number
  else
    crl_publish "$serial"
  fi
  reply_begin
  reply_field published yes
  reply_field crl_number "$crl_number"
  reply_field replayed "$revoke_replayed"
  reply_send
}

# The log line goes first: whoever makes the next CRL finds it there.
revoke_bury() {
  revoke_now=$(date -u '+%s %y%m%d%H%M%SZ') || die 70 'the clock cannot be read'
  crl_line "${revoke_now#* }" "$serial" "$name"
  # The empty line ends one that a power cut tore.
  printf '\n%s\n' "$crl_text" >>revoked.log || write_failed
  write tmp/tombstone "$name $client ${revoke_now% *}"
  sync -d revoked.log tmp/tombstone || write_failed
  mv -fT tmp/tombstone "revoked/$serial" || write_failed # the commit point
  sync revoked || write_failed
}

# The profile with its keys goes, OpenVPN refuses the serial from now on, and the name becomes
# free.
revoke_clear() {
  set --
  [ ! -e "pub/admitted/$serial" ] || set -- "pub/admitted/$serial"
  [ ! -e "issued/$serial" ] || set -- "$@" "issued/$serial"
  ccd_held
  [ -z "$ccd_held" ] || set -- "$@" "addresses/$ccd_held"
  if name_held; then
    [ ! -e "pub/ccd/$name" ] || set -- "$@" "pub/ccd/$name"
    set -- "$@" "names/$name"
  fi
  [ $# -gt 0 ] || return 0
  rm -f -- "$@" || write_failed
  sync pub/admitted pub/ccd addresses issued names || write_failed
}
