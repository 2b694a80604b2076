# shellcheck shell=sh
# shellcheck disable=SC2154 # fields of the request
# One platform per host. etc/owner names it: the first platform that changes
# something here. Two platforms would give serials and names away behind each
# other's back, and neither would know of the other's certificates.
#
# "any" in etc/owner lets every platform in; it is for tests.

owner_pass() {
  owner_pinned=
  [ ! -e etc/owner ] || IFS= read -r owner_pinned <etc/owner || :
  case $owner_pinned in
    any) return 0 ;;
    '')
      [ ! -s etc/owner ] || die 70 'etc/owner is damaged; write the name of the platform into it, or remove it'
      [ -n "$owner" ] || return 0
      write tmp/owner "$owner"
      commit tmp/owner etc/owner
      return 0
      ;;
  esac
  [ "$owner" = "$owner_pinned" ] || die 77 "this host belongs to the platform $owner_pinned; if that one is gone for good, remove etc/owner in the state directory, then run reconcile"
}
