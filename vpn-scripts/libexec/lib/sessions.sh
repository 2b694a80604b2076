# shellcheck shell=sh
# shellcheck disable=SC2154 # fields of the request
# Verbs kill and sessions: OpenVPN's management socket, through the sessions
# helper. The lock is not held meanwhile: OpenVPN may take its time. Should the name
# be given away in between, its new holder's session may be ended, and comes back;
# "open" is never too low for it.

# Only for a serial that is buried, and a name that nobody else uses: OpenVPN
# knows sessions by name.
verb_kill() {
  [ -e "revoked/$serial" ] || die 65 'the serial is not revoked; revoke it first'
  owner_check "revoked/$serial"
  ! name_live || die 65 "the name has the live serial $live_serial; its sessions are not to be ended"
  conf_read
  sessions_configured
  state_unlock
  # When it was renamed into place: its modification time may be ahead of the clock.
  sessions_published=$(stat -c %Z pub/crl.pem) || die 70 'pub/crl.pem cannot be read; run check'
  sessions_ask kill "$name" "$sessions_published"
  reply_begin
  for sessions_line in $sessions_text; do
    reply_field "${sessions_line%%=*}" "${sessions_line#*=}"
  done
  reply_field crl_checked "$sessions_checked"
  reply_send
}

# A revoked client stays out only if OpenVPN's configuration names the list in force.
sessions_configured() {
  sessions_checked=none
  [ "$conf_management" != none ] || return 0
  sessions_checked=no
  [ -r server/openvpn.conf ] || die 70 'server/openvpn.conf is lost; run install.sh'
  while IFS= read -r sessions_line || [ -n "$sessions_line" ]; do
    case $sessions_line in
      "crl-verify \"$PWD/pub/crl.pem\"") sessions_checked=yes ;;
    esac
  done <server/openvpn.conf
  [ "$sessions_checked" = yes ] ||
    die 70 'server/openvpn.conf does not name the CRL of this state directory, so OpenVPN may let the revoked in; run install.sh'
}

verb_sessions() {
  conf_read
  sessions_ask list
  reply_begin
  reply_field server "${sessions_text%%"$NL"*}"
  case $sessions_text in
    *"$NL"*) reply_payload "${sessions_text#*"$NL"}" ;;
    *) reply_text="${reply_text}payload=0$NL$NL"; reply_send ;;
  esac
}

sessions_ask() { # kill NAME PUBLISHED | list
  sessions_text=$("$lib/../sessions" "$conf_management" "$conf_pidfile" "$@") ||
    die 70 'the sessions helper failed; its message is on standard error'
}
