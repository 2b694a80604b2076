-- Where each VPN host and this database differ, as they were last compared. An observation: it is written over, is in no
-- backup, and nothing that is decided goes by it. `configuration` is the SHA-256 of OpenVPN's configuration that
-- somebody has confirmed, or that was seen first; what is found later is held against it.
CREATE TABLE server_drifts (
  server_id     TEXT    NOT NULL PRIMARY KEY REFERENCES servers (id),
  claimed_at    INTEGER NOT NULL,
  tried_at      INTEGER,
  checked_at    INTEGER,
  error_code    TEXT,
  error_message TEXT,
  report        TEXT,
  configuration TEXT
) STRICT, WITHOUT ROWID;
