# shellcheck shell=sh
# shellcheck disable=SC2034,SC2154 # shared with the other parts
# The client's own tls-crypt-v2 key: wrapped by the server's, with the serial in it, so that
# OpenVPN can refuse the serial before TLS begins. It does while pub/admitted/SERIAL is
# missing: see tls-crypt-v2-verify.

tls_crypt_key=

# tls_crypt_make: sets tls_crypt_key. It goes through a pipe into memory, like the private
# key. The serial ends with a newline, for the "read" of tls-crypt-v2-verify.
tls_crypt_make() {
  tls_crypt_serial=$(printf '%s\n' "$serial" | base64 -w 0) || die 69 'base64 failed; repeat the request'
  tls_crypt_key=$(openvpn --tls-crypt-v2 server/tls-crypt-v2.key --genkey tls-crypt-v2-client '' "$tls_crypt_serial") ||
    tls_crypt_failed
  case $tls_crypt_key in
    '-----BEGIN OpenVPN tls-crypt-v2 client key-----'*'-----END OpenVPN tls-crypt-v2 client key-----') ;;
    *) tls_crypt_failed ;;
  esac
}

# OpenVPN tells on standard output what went wrong.
tls_crypt_failed() {
  # Under the lock, a failure is told under the fence that it was met under.
  [ -z "${fence_new-}" ] || fence_store
  case $tls_crypt_key in *BEGIN*) ;; *) printf '%s\n' "$tls_crypt_key" >&2 ;; esac
  die 69 'openvpn failed to make the tls-crypt-v2 key; its message is on standard error; run check, then repeat the request'
}

# Before the lock is taken, because it takes as long as a third of an issue: only the serial
# goes into it. Who finds the serial issued under the lock has no use for it.
tls_crypt_prepare() {
  [ -z "$days" ] || [ -e "issued/$serial" ] || [ -e "revoked/$serial" ] || tls_crypt_make
}

# The file is empty: that it is there is all. The caller syncs the directory.
tls_crypt_admit() {
  write_empty "pub/admitted/$serial"
}
