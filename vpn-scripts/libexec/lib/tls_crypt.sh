# shellcheck shell=sh
# shellcheck disable=SC2034,SC2154 # shared with the other parts
# The client's own tls-crypt-v2 key: wrapped by the server's, with the serial in it, so that
# OpenVPN can refuse the serial before TLS begins. It does while pub/admitted/SERIAL is
# missing: see tls-crypt-v2-verify.

tls_crypt_key=

tls_crypt_issue() {
  [ -n "$tls_crypt_key" ] || tls_crypt_make || tls_crypt_failed
}

# tls_crypt_make: sets tls_crypt_key, or fails and sets it to what was said. The key goes through a
# pipe into memory, like the private key. The serial ends with a newline, for the "read" of
# tls-crypt-v2-verify.
tls_crypt_make() {
  tls_crypt_serial=$(
    base64 -w 0 <<END
$serial
END
  ) || {
    tls_crypt_key='base64 failed'
    return 1
  }
  tls_crypt_key=$(openvpn --tls-crypt-v2 server/tls-crypt-v2.key --genkey tls-crypt-v2-client '' "$tls_crypt_serial") || return 1
  case $tls_crypt_key in
    '-----BEGIN OpenVPN tls-crypt-v2 client key-----'*'-----END OpenVPN tls-crypt-v2 client key-----') ;;
    *) return 1 ;;
  esac
}

# OpenVPN says on standard output what went wrong, where the key would be, too.
tls_crypt_failed() {
  # A failure is told under the fence that it was met under.
  [ -z "$fence_new" ] || fence_store
  case $tls_crypt_key in *BEGIN* | *END*) ;; *) printf '%s\n' "$tls_crypt_key" >&2 ;; esac
  die 69 'openvpn failed to make the tls-crypt-v2 key; its message is on standard error; run check, then repeat the request'
}

# The file is empty: that it is there is all. The caller syncs the directory.
tls_crypt_admit() {
  write_empty "pub/admitted/$serial"
}
