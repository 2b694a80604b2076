"""import.py PROFILE NAME: reads a profile as NetworkManager's OpenVPN plugin does, without its daemon.

What it does not understand, it refuses; and what it would connect with has to be what is in the profile."""

import os
import pathlib
import sys
import tempfile

import gi

gi.require_version("NM", "1.0")
from gi.repository import NM  # noqa: E402

profile, name = pathlib.Path(sys.argv[1]), sys.argv[2]
text = profile.read_text()
with tempfile.TemporaryDirectory() as home:
    # The plugin writes keys and certificates below it.
    os.environ["HOME"] = home
    info = NM.VpnPluginInfo.new_from_file("/usr/lib/NetworkManager/VPN/nm-openvpn-service.name")
    connection = info.load_editor_plugin().import_(str(profile))
    read = {}
    connection.get_setting_vpn().foreach_data_item(lambda key, value, *_: read.__setitem__(key, value))
    for key, value in {
        "connection-type": "tls",
        "remote-cert-tls": "server",
        "verify-x509-name": "name:server",
        "tls-version-min": "1.2",
        "dev": "tun",
    }.items():
        assert read.get(key) == value, f"{key} is {read.get(key)}"
    assert connection.get_id() == name, connection.get_id()
    remote = next(line for line in text.splitlines() if line.startswith("remote ")).split()
    assert read["remote"].split(":")[:2] == remote[1:], read["remote"]
    for tag in ("ca", "cert", "key", "tls-crypt-v2"):
        inline = text.split(f"<{tag}>\n")[1].split(f"</{tag}>")[0]
        kept = pathlib.Path(read[tag]).read_text()
        assert kept.split() == inline.split(), f"<{tag}> was read as something else"
print(f"NetworkManager reads the profile of {name}: {', '.join(sorted(read))}")
