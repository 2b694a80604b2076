-- What each VPN host said of itself when a worker last asked. An observation, not the truth: it is written over, is
-- in no backup, and nothing that is decided goes by it.
CREATE TABLE server_contacts (
  server_id     TEXT    NOT NULL PRIMARY KEY REFERENCES servers (id),
  claimed_at    INTEGER NOT NULL,
  looked_at     INTEGER,
  answered_at   INTEGER,
  error_code    TEXT,
  error_message TEXT,
  presented_key TEXT,
  facts         TEXT,
  sessions      TEXT
) STRICT, WITHOUT ROWID;
